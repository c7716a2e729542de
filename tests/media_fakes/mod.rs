//! Fake GStreamer elements in place of hardware encoders and a camera. They have the names of the real elements, encode
//! with `x264enc`, and fail as the real elements were observed to fail.
//!
//! | element | behaviour |
//! |---|---|
//! | `v4l2h264enc` | the Raspberry Pi's encoder: fails at its first frame if the caps after it have no level, or if the width is not a multiple of 32; ignores requests for key frames; takes its bitrate from `extra-controls` |
//! | `v4l2video12h264enc` | a second V4L2 encoder, which accepts only a width of 208 |
//! | `nvv4l2h264enc`, `nvvidconv` | an Orin Nano: both elements exist, but the encoder does not open |
//! | `mpph264enc` | a Rockchip encoder: stops silently after [`SILENT_AFTER`] frames, or after 3 if the picture is less than 100 pixels high |
//! | `fakecamera` | a camera that stops silently after [`SILENT_AFTER`] frames |
//!
//! Does not: check the format of the frames, except for the sizes in this table.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;

use crate::media_elements::{
    add_picture, bin_class, element_class, expose, metadata, nvidia_properties, pads, properties,
};

/// The name of the second V4L2 encoder.
pub(crate) const FURTHER_PI: &str = "v4l2video12h264enc";
/// The number of frames before an element stops, which is more than a trial encodes.
pub(crate) const SILENT_AFTER: u64 = 20;

/// How often the Pi's encoder was opened.
pub(crate) static PI_OPENED: AtomicU64 = AtomicU64::new(0);
/// Requests for key frames that the Pi's encoder ignored.
pub(crate) static PI_IGNORED: AtomicU64 = AtomicU64::new(0);
/// The last `extra-controls` of the Pi's encoder.
pub(crate) static PI_CONTROLS: Mutex<String> = Mutex::new(String::new());

/// Registers all fakes, once in a process.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        let rank = gst::Rank::NONE;
        gst::Element::register(None, "v4l2h264enc", rank, Pi::static_type()).unwrap();
        gst::Element::register(None, FURTHER_PI, rank, FurtherPi::static_type()).unwrap();
        gst::Element::register(None, "nvv4l2h264enc", rank, Orin::static_type()).unwrap();
        gst::Element::register(None, "nvvidconv", rank, Converter::static_type()).unwrap();
        gst::Element::register(None, "mpph264enc", rank, Rock::static_type()).unwrap();
        gst::Element::register(None, "fakecamera", rank, Camera::static_type()).unwrap();
    });
}

glib::wrapper! {
    pub struct Pi(ObjectSubclass<pi::Pi>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct FurtherPi(ObjectSubclass<further_pi::FurtherPi>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Orin(ObjectSubclass<orin::Orin>) @extends gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Converter(ObjectSubclass<converter::Converter>) @extends gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Rock(ObjectSubclass<rock::Rock>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Camera(ObjectSubclass<camera::Camera>) @extends gst::Bin, gst::Element, gst::Object;
}

/// Adds an `x264enc` to `bin`, with its two pads as pads of `bin`.
fn wrap(bin: &gst::Bin) -> gst::Element {
    let encoder = gst::ElementFactory::make("x264enc")
        .property("byte-stream", true)
        .property_from_str("tune", "zerolatency")
        .property_from_str("speed-preset", "ultrafast")
        .build()
        .unwrap();
    expose(bin, &encoder, &["sink", "src"]);
    encoder
}

/// Adds pads that carry nothing.
fn add_pads(element: &gst::Element, templates: &[gst::PadTemplate]) {
    for template in templates {
        element.add_pad(&gst::Pad::from_template(template)).unwrap();
    }
}

/// Drops frames whose width the encoder does not accept, and reports the error of the driver.
fn take_widths(
    bin: &gst::Bin,
    encoder: &gst::Element,
    fits: impl Fn(i32) -> bool + Send + Sync + 'static,
) {
    let bin = bin.downgrade();
    let pad = encoder.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        if fits(side(pad, "width")) {
            return gst::PadProbeReturn::Ok;
        }
        let bin = bin.upgrade().unwrap();
        gst::element_error!(bin, gst::StreamError::Failed, ["Failed to process frame."]);
        gst::PadProbeReturn::Handled
    });
}

fn is_key_request(info: &gst::PadProbeInfo) -> bool {
    info.event()
        .and_then(|event| event.structure())
        .is_some_and(|structure| structure.name() == "GstForceKeyUnit")
}

/// Drops all buffers after the first `after`.
fn silence(pad: &gst::Pad, after: impl Fn(&gst::Pad) -> u64 + Send + Sync + 'static) {
    let seen = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        if seen.fetch_add(1, Ordering::Relaxed) < after(pad) {
            gst::PadProbeReturn::Ok
        } else {
            gst::PadProbeReturn::Handled
        }
    });
}

fn side(pad: &gst::Pad, name: &str) -> i32 {
    pad.current_caps().unwrap().structure(0).unwrap().get::<i32>(name).unwrap()
}

mod pi {
    use super::*;

    pub(super) fn properties() -> Vec<glib::ParamSpec> {
        let controls = glib::ParamSpecBoxed::builder::<gst::Structure>("extra-controls");
        vec![controls.write_only().build()]
    }

    /// Applies the V4L2 controls to `encoder`. Panics if one is missing.
    pub(super) fn control(encoder: &gst::Element, value: &glib::Value) -> String {
        let controls = value.get::<gst::Structure>().unwrap();
        let bits = controls.get::<i32>("video_bitrate").unwrap();
        let period = controls.get::<i32>("h264_i_frame_period").unwrap();
        assert_eq!(controls.get::<i32>("repeat_sequence_header"), Ok(1));
        encoder.set_property("bitrate", u32::try_from(bits / 1000).unwrap());
        if encoder.current_state() == gst::State::Null {
            encoder.set_property("key-int-max", u32::try_from(period).unwrap());
        }
        controls.to_string()
    }

    #[derive(Default)]
    pub struct Pi {
        encoder: OnceLock<gst::Element>,
        has_level: AtomicBool,
    }

    bin_class!(Pi, "FakePiEncoder");

    impl ObjectImpl for Pi {
        properties!(properties());

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            *PI_CONTROLS.lock().unwrap() = control(self.encoder.get().unwrap(), value);
        }

        fn constructed(&self) {
            self.parent_constructed();
            let encoder = wrap(self.obj().upcast_ref());
            let bin = self.obj().downgrade();
            take_widths(self.obj().upcast_ref(), &encoder, move |width| {
                bin.upgrade().unwrap().imp().has_level.load(Ordering::Relaxed) && width % 32 == 0
            });
            encoder.static_pad("src").unwrap().add_probe(
                gst::PadProbeType::EVENT_UPSTREAM,
                |_, info| {
                    if is_key_request(info) {
                        PI_IGNORED.fetch_add(1, Ordering::Relaxed);
                        return gst::PadProbeReturn::Handled;
                    }
                    gst::PadProbeReturn::Ok
                },
            );
            self.encoder.set(encoder).unwrap();
        }
    }

    impl ElementImpl for Pi {
        pads!("sink": "video/x-raw", "src": "video/x-h264");

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            if transition == gst::StateChange::ReadyToPaused {
                PI_OPENED.fetch_add(1, Ordering::Relaxed);
                let caps = self.obj().static_pad("src").unwrap().peer_query_caps(None);
                let level = caps.structure(0).and_then(|caps| caps.get::<String>("level").ok());
                self.has_level.store(level.is_some(), Ordering::Relaxed);
                let options = format!("scenecut=0:level={}", level.as_deref().unwrap_or("4"));
                self.encoder.get().unwrap().set_property("option-string", options);
            }
            self.parent_change_state(transition)
        }
    }
}

mod further_pi {
    use super::*;

    #[derive(Default)]
    pub struct FurtherPi {
        encoder: OnceLock<gst::Element>,
    }

    bin_class!(FurtherPi, "FakeFurtherPiEncoder");

    impl ObjectImpl for FurtherPi {
        properties!(pi::properties());

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            pi::control(self.encoder.get().unwrap(), value);
        }

        fn constructed(&self) {
            self.parent_constructed();
            let encoder = wrap(self.obj().upcast_ref());
            take_widths(self.obj().upcast_ref(), &encoder, |width| width == 208);
            self.encoder.set(encoder).unwrap();
        }
    }

    impl ElementImpl for FurtherPi {
        pads!("sink": "video/x-raw", "src": "video/x-h264");
    }
}

mod orin {
    use super::*;

    #[derive(Default)]
    pub struct Orin;

    element_class!(Orin, "FakeOrinEncoder");

    impl ObjectImpl for Orin {
        properties!(nvidia_properties());

        fn set_property(&self, _: usize, _: &glib::Value, _: &glib::ParamSpec) {}

        fn constructed(&self) {
            self.parent_constructed();
            add_pads(self.obj().upcast_ref(), Self::pad_templates());
        }
    }

    impl ElementImpl for Orin {
        metadata!("Fake Orin Nano", "Codec/Encoder/Video", "Never opens");

        pads!("sink": "video/x-raw(memory:NVMM)", "src": "video/x-h264");

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            if transition == gst::StateChange::NullToReady {
                let error = gst::ResourceError::NotFound;
                gst::element_imp_error!(self, error, ["Cannot identify device."]);
                return Err(gst::StateChangeError);
            }
            self.parent_change_state(transition)
        }
    }
}

mod converter {
    use super::*;

    #[derive(Default)]
    pub struct Converter;

    element_class!(Converter, "FakeConverter");

    impl ObjectImpl for Converter {
        fn constructed(&self) {
            self.parent_constructed();
            add_pads(self.obj().upcast_ref(), Self::pad_templates());
        }
    }

    impl ElementImpl for Converter {
        metadata!("Fake converter", "Filter/Converter/Video", "Has pads only");

        pads!("sink": "video/x-raw", "src": "video/x-raw(memory:NVMM)");
    }
}

mod rock {
    use super::*;

    #[derive(Default)]
    pub struct Rock {
        encoder: OnceLock<gst::Element>,
    }

    bin_class!(Rock, "FakeRockEncoder");

    impl ObjectImpl for Rock {
        properties!(vec![
            glib::ParamSpecUInt::builder("bps").write_only().build(),
            glib::ParamSpecInt::builder("gop").write_only().build(),
            glib::ParamSpecString::builder("rc-mode").write_only().build(),
        ]);

        fn set_property(&self, _: usize, value: &glib::Value, property: &glib::ParamSpec) {
            let encoder = self.encoder.get().unwrap();
            match property.name() {
                "bps" => encoder.set_property("bitrate", value.get::<u32>().unwrap() / 1000),
                "gop" => encoder.set_property("key-int-max", value.get::<i32>().unwrap() as u32),
                _ => {}
            }
        }

        fn constructed(&self) {
            self.parent_constructed();
            let encoder = wrap(self.obj().upcast_ref());
            silence(&encoder.static_pad("src").unwrap(), |pad| {
                if side(pad, "height") < 100 { 3 } else { SILENT_AFTER }
            });
            self.encoder.set(encoder).unwrap();
        }
    }

    impl ElementImpl for Rock {
        pads!("sink": "video/x-raw", "src": "video/x-h264");
    }
}

mod camera {
    use super::*;

    #[derive(Default)]
    pub struct Camera;

    bin_class!(Camera, "FakeCamera");

    impl ObjectImpl for Camera {
        fn constructed(&self) {
            self.parent_constructed();
            silence(&add_picture(self.obj().upcast_ref()), |_| SILENT_AFTER);
        }
    }

    impl ElementImpl for Camera {
        pads!("src": "video/x-raw");
    }
}
