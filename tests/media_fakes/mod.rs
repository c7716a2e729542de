//! Elements that behave like encoders and cameras this machine does not have, under their names: around
//! x264enc, with the faults that were met on devices.
//!
//! | element | as on a device |
//! |---|---|
//! | `v4l2h264enc` | dies on its first frame without a level in the caps behind it, or at a width that is no multiple of 32; ignores requests for keys; its bitrate is in `extra-controls` |
//! | `v4l2video12h264enc` | a further one, which takes no width but 208 |
//! | `nvv4l2h264enc`, `nvvidconv` | are there, and the encoder does not open: an Orin Nano |
//! | `mpph264enc` | stops silently after [`SILENT_AFTER`] frames, or 3 when less than 100 pixels high |
//! | `fakecamera` | a camera that stops silently after [`SILENT_AFTER`] frames |
//!
//! Does not: encode by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;

/// The second encoder of the kernel.
pub(crate) const FURTHER_PI: &str = "v4l2video12h264enc";
/// Frames before silence; more than a trial has.
pub(crate) const SILENT_AFTER: u64 = 20;

/// How often each fake was opened.
pub(crate) static PI_OPENED: AtomicU64 = AtomicU64::new(0);
/// Requests for keys that the Pi's encoder ignored.
pub(crate) static PI_IGNORED: AtomicU64 = AtomicU64::new(0);
/// The last `extra-controls` of the Pi's encoder.
pub(crate) static PI_CONTROLS: Mutex<String> = Mutex::new(String::new());

/// Registers them all, once.
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

/// Puts an x264enc with both its pads to the outside into `bin`.
fn wrap(bin: &gst::Bin) -> gst::Element {
    let encoder = gst::ElementFactory::make("x264enc")
        .property("byte-stream", true)
        .property_from_str("tune", "zerolatency")
        .property_from_str("speed-preset", "ultrafast")
        .build()
        .unwrap();
    bin.add(&encoder).unwrap();
    for name in ["sink", "src"] {
        let pad = gst::GhostPad::with_target(&encoder.static_pad(name).unwrap()).unwrap();
        bin.add_pad(&pad).unwrap();
    }
    encoder
}

fn templates(sink: &str, src: &str) -> Vec<gst::PadTemplate> {
    let template = |name, direction, caps: &str| {
        let caps = caps.parse::<gst::Caps>().unwrap();
        gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
    };
    vec![
        template("sink", gst::PadDirection::Sink, sink),
        template("src", gst::PadDirection::Src, src),
    ]
}

fn plain_templates() -> &'static [gst::PadTemplate] {
    static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
    TEMPLATES.get_or_init(|| templates("video/x-raw", "video/x-h264"))
}

fn is_key_request(info: &gst::PadProbeInfo) -> bool {
    info.event()
        .and_then(|event| event.structure())
        .is_some_and(|structure| structure.name() == "GstForceKeyUnit")
}

/// Drops what comes after so many buffers.
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

    /// Sets the kernel's controls, all of which have to be there.
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

    #[glib::object_subclass]
    impl ObjectSubclass for Pi {
        const NAME: &'static str = "FakePiEncoder";
        type Type = super::Pi;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Pi {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(properties)
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            *PI_CONTROLS.lock().unwrap() = control(self.encoder.get().unwrap(), value);
        }

        fn constructed(&self) {
            self.parent_constructed();
            let encoder = wrap(self.obj().upcast_ref());
            let bin = self.obj().downgrade();
            encoder.static_pad("sink").unwrap().add_probe(
                gst::PadProbeType::BUFFER,
                move |pad, _| {
                    let bin = bin.upgrade().unwrap();
                    if bin.imp().has_level.load(Ordering::Relaxed) && side(pad, "width") % 32 == 0 {
                        return gst::PadProbeReturn::Ok;
                    }
                    gst::element_error!(
                        bin,
                        gst::StreamError::Failed,
                        ["Failed to process frame."]
                    );
                    gst::PadProbeReturn::Handled
                },
            );
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

    impl GstObjectImpl for Pi {}

    impl ElementImpl for Pi {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            plain_templates()
        }

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

    impl BinImpl for Pi {}
}

mod further_pi {
    use super::*;

    #[derive(Default)]
    pub struct FurtherPi {
        encoder: OnceLock<gst::Element>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FurtherPi {
        const NAME: &'static str = "FakeFurtherPiEncoder";
        type Type = super::FurtherPi;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for FurtherPi {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(pi::properties)
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            pi::control(self.encoder.get().unwrap(), value);
        }

        fn constructed(&self) {
            self.parent_constructed();
            let encoder = wrap(self.obj().upcast_ref());
            let bin = self.obj().downgrade();
            let probe = move |pad: &gst::Pad, _: &mut gst::PadProbeInfo| {
                if side(pad, "width") == 208 {
                    return gst::PadProbeReturn::Ok;
                }
                let bin = bin.upgrade().unwrap();
                gst::element_error!(bin, gst::StreamError::Failed, ["Failed to process frame."]);
                gst::PadProbeReturn::Handled
            };
            encoder.static_pad("sink").unwrap().add_probe(gst::PadProbeType::BUFFER, probe);
            self.encoder.set(encoder).unwrap();
        }
    }

    impl GstObjectImpl for FurtherPi {}

    impl ElementImpl for FurtherPi {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            plain_templates()
        }
    }

    impl BinImpl for FurtherPi {}
}

mod orin {
    use super::*;

    #[derive(Default)]
    pub struct Orin;

    #[glib::object_subclass]
    impl ObjectSubclass for Orin {
        const NAME: &'static str = "FakeOrinEncoder";
        type Type = super::Orin;
        type ParentType = gst::Element;
    }

    impl ObjectImpl for Orin {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(|| {
                let number = |name| glib::ParamSpecUInt::builder(name).write_only().build();
                vec![
                    number("bitrate"),
                    number("iframeinterval"),
                    number("idrinterval"),
                    number("control-rate"),
                    glib::ParamSpecBoolean::builder("insert-sps-pps").write_only().build(),
                ]
            })
        }

        fn set_property(&self, _: usize, _: &glib::Value, _: &glib::ParamSpec) {}

        fn constructed(&self) {
            self.parent_constructed();
            for template in Self::pad_templates() {
                self.obj().add_pad(&gst::Pad::from_template(template)).unwrap();
            }
        }
    }

    impl GstObjectImpl for Orin {}

    impl ElementImpl for Orin {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
            let all =
                ["Fake Orin Nano", "Codec/Encoder/Video", "An encoder that is not there", "-"];
            let [name, class, what, author] = all;
            let new = || gst::subclass::ElementMetadata::new(name, class, what, author);
            Some(METADATA.get_or_init(new))
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| templates("video/x-raw(memory:NVMM)", "video/x-h264"))
        }

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

    #[glib::object_subclass]
    impl ObjectSubclass for Converter {
        const NAME: &'static str = "FakeConverter";
        type Type = super::Converter;
        type ParentType = gst::Element;
    }

    impl ObjectImpl for Converter {
        fn constructed(&self) {
            self.parent_constructed();
            for template in Self::pad_templates() {
                self.obj().add_pad(&gst::Pad::from_template(template)).unwrap();
            }
        }
    }

    impl GstObjectImpl for Converter {}

    impl ElementImpl for Converter {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
            let all = ["Fake converter", "Filter/Converter/Video", "Converts nothing", "-"];
            let [name, class, what, author] = all;
            let new = || gst::subclass::ElementMetadata::new(name, class, what, author);
            Some(METADATA.get_or_init(new))
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| templates("video/x-raw", "video/x-raw(memory:NVMM)"))
        }
    }
}

mod rock {
    use super::*;

    #[derive(Default)]
    pub struct Rock {
        encoder: OnceLock<gst::Element>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Rock {
        const NAME: &'static str = "FakeRockEncoder";
        type Type = super::Rock;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Rock {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES.get_or_init(|| {
                vec![
                    glib::ParamSpecUInt::builder("bps").write_only().build(),
                    glib::ParamSpecInt::builder("gop").write_only().build(),
                    glib::ParamSpecString::builder("rc-mode").write_only().build(),
                ]
            })
        }

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

    impl GstObjectImpl for Rock {}

    impl ElementImpl for Rock {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            plain_templates()
        }
    }

    impl BinImpl for Rock {}
}

mod camera {
    use super::*;

    #[derive(Default)]
    pub struct Camera;

    #[glib::object_subclass]
    impl ObjectSubclass for Camera {
        const NAME: &'static str = "FakeCamera";
        type Type = super::Camera;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Camera {
        fn constructed(&self) {
            self.parent_constructed();
            let source = gst::ElementFactory::make("videotestsrc")
                .property("is-live", true)
                .build()
                .unwrap();
            let pad = source.static_pad("src").unwrap();
            silence(&pad, |_| SILENT_AFTER);
            self.obj().add(&source).unwrap();
            self.obj().add_pad(&gst::GhostPad::with_target(&pad).unwrap()).unwrap();
        }
    }

    impl GstObjectImpl for Camera {}

    impl ElementImpl for Camera {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                let caps = gst::Caps::builder("video/x-raw").build();
                let (direction, presence) = (gst::PadDirection::Src, gst::PadPresence::Always);
                vec![gst::PadTemplate::new("src", direction, presence, &caps).unwrap()]
            })
        }
    }

    impl BinImpl for Camera {}
}
