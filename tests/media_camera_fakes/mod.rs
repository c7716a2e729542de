//! Fake GStreamer elements in place of cameras, for tests without cameras. They have the names of the real elements,
//! show a test picture, and fail as the real elements were observed to fail.
//!
//! | element | behaviour |
//! |---|---|
//! | `v4l2src` | a USB camera with H.264, MJPEG, and slow raw video; the device path chooses its behaviour: H.264 as [`FIT`], [`LONG_GOP`] or [`B_FRAMES`]; [`HANGS`] never opens; [`INTERLACED`] is an analogue video grabber |
//! | `libcamerasrc` | a camera in the Pi's camera port, if [`plug_in`] put one there |
//! | `nvarguscamerasrc`, `nvvidconv` | a camera in the Jetson's camera port, if [`plug_in`] put one there; its pictures are in NVIDIA's memory |
//! | `nvv4l2h264enc` | the Jetson's encoder: accepts pictures in NVIDIA's memory; ignores the event that requests a key frame, but obeys the signal for the same purpose |
//!
//! Does not: read the devices of these paths, which every Linux system has.
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, Once, OnceLock};
use std::thread;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_app as gst_app;

use crate::media_elements::{
    bin_class, device_property, element_class, metadata, nvidia_properties, pads, properties,
};

/// A device whose H.264 can pass through. Every Linux system has the devices of these paths.
pub(crate) const FIT: &str = "/dev/null";
/// A device whose key frames are 10 s apart.
pub(crate) const LONG_GOP: &str = "/dev/zero";
/// A device whose H.264 has B-frames.
pub(crate) const B_FRAMES: &str = "/dev/full";
/// A device whose driver hangs when it is opened.
pub(crate) const HANGS: &str = "/dev/urandom";

/// A device whose raw video is interlaced, with a bar that moves from field to field.
pub(crate) const INTERLACED: &str = "/dev/random";

/// Pictures in NVIDIA's memory.
const NVMM: &str = "video/x-raw(memory:NVMM),format=NV12,width=320,height=240,framerate=24/1";

/// The formats that were requested from `v4l2src`, each with the device.
pub(crate) static TAKEN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// The elements whose camera ports have a camera.
static PORTS: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
/// The elements that opened their camera port.
pub(crate) static OPENED: Mutex<Vec<&str>> = Mutex::new(Vec::new());
/// The number of key frames that were requested by the signal of the Jetson's encoder.
pub(crate) static IDRS: AtomicU32 = AtomicU32::new(0);
/// Whether a test opened [`HANGS`].
pub(crate) static HUNG: AtomicBool = AtomicBool::new(false);

/// Registers all fakes, once in a process.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        // The real plugin must be loaded first: otherwise, listing the devices would load the plugin later and replace
        // the fake.
        let _ = gst::Plugin::load_by_name("video4linux2");
        let rank = gst::Rank::NONE;
        gst::Element::register(None, "v4l2src", rank, Usb::static_type()).unwrap();
        gst::Element::register(None, "libcamerasrc", rank, Libcamera::static_type()).unwrap();
        gst::Element::register(None, "nvarguscamerasrc", rank, Argus::static_type()).unwrap();
        gst::Element::register(None, "nvvidconv", rank, Converter::static_type()).unwrap();
        gst::Element::register(None, "nvv4l2h264enc", rank, Encoder::static_type()).unwrap();
    });
}

/// Gives a camera to the ports of these elements, and to no other.
pub(crate) fn plug_in(ports: &[&'static str]) {
    *PORTS.lock().unwrap() = ports.iter().copied().collect();
    OPENED.lock().unwrap().clear();
}

glib::wrapper! {
    pub struct Usb(ObjectSubclass<usb::Usb>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Libcamera(ObjectSubclass<libcamera::Libcamera>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Argus(ObjectSubclass<argus::Argus>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Encoder(ObjectSubclass<encoder::Encoder>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct Converter(ObjectSubclass<converter::Converter>) @extends gst::Element, gst::Object;
}

/// Adds the elements of `description` to `bin`.
fn fill(bin: &gst::Bin, description: &str) -> gst::Bin {
    let inner = gst::parse::bin_from_description(description, true).unwrap();
    bin.add(&inner).unwrap();
    inner
}

/// Connects the pad `name` of `bin` to that of `inner`.
fn lead(bin: &gst::Bin, inner: &gst::Bin, name: &str) {
    let pad = bin.static_pad(name).unwrap().downcast::<gst::GhostPad>().unwrap();
    pad.set_target(Some(&inner.static_pad(name).unwrap())).unwrap();
}

/// Adds a pad to `bin` that is not connected yet.
fn add_pad(bin: &gst::Bin, template: &gst::PadTemplate) {
    let pad = gst::GhostPad::builder_from_template(template).name(template.name()).build();
    bin.add_pad(&pad).unwrap();
}

/// Opens a camera port. Fails like the real element if there is no camera.
fn open_port(
    element: &gst::Element,
    port: &'static str,
    transition: gst::StateChange,
) -> Result<(), gst::StateChangeError> {
    if transition != gst::StateChange::NullToReady {
        return Ok(());
    }
    OPENED.lock().unwrap().push(port);
    if PORTS.lock().unwrap().contains(port) {
        return Ok(());
    }
    gst::element_error!(element, gst::ResourceError::NotFound, ["Could not find any camera"]);
    Err(gst::StateChangeError)
}

mod usb {
    use super::*;

    #[derive(Default)]
    pub struct Usb {
        device: Mutex<String>,
    }

    bin_class!(Usb, "FakeUsbCamera");

    impl ObjectImpl for Usb {
        properties!(vec![device_property()]);

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            *self.device.lock().unwrap() = value.get().unwrap();
        }

        fn constructed(&self) {
            self.parent_constructed();
            add_pad(self.obj().upcast_ref(), &Self::pad_templates()[0]);
        }
    }

    impl ElementImpl for Usb {
        pads!(
            "src": "video/x-raw,format=YUY2,width=320,height=240,framerate=5/1; \
                    image/jpeg,width=320,height=240,framerate=24/1; \
                    video/x-h264,width=320,height=240,framerate=24/1"
        );

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            let device = self.device.lock().unwrap().clone();
            if transition == gst::StateChange::NullToReady && device == HANGS {
                HUNG.store(true, Ordering::Relaxed);
                loop {
                    thread::park();
                }
            }
            if transition == gst::StateChange::NullToReady && device == INTERLACED {
                let bin: gst::Bin = self.obj().clone().upcast();
                let inner = fill(
                    &bin,
                    "videotestsrc is-live=true pattern=bar horizontal-speed=6 \
                     ! capsfilter caps=video/x-raw,format=YUY2,width=320,height=240,framerate=10/1 \
                     ! interlace field-pattern=1:1 top-field-first=true",
                );
                lead(&bin, &inner, "src");
            }
            if transition == gst::StateChange::ReadyToPaused && device != INTERLACED {
                self.take(&device);
            }
            self.parent_change_state(transition)
        }
    }

    impl Usb {
        /// Starts to send the format that the next element asks for.
        fn take(&self, device: &str) {
            let bin: gst::Bin = self.obj().clone().upcast();
            let caps = bin.static_pad("src").unwrap().peer_query_caps(None);
            let media = caps.structure(0).unwrap().name().to_string();
            TAKEN.lock().unwrap().push((device.to_owned(), media.clone()));
            let picture = |format: &str, fps: u32| {
                format!(
                    "videotestsrc is-live=true pattern=ball \
                     ! capsfilter caps=video/x-raw,format={format},width=320,height=240,framerate={fps}/1"
                )
            };
            let keys = match device {
                LONG_GOP => "tune=zerolatency key-int-max=240",
                B_FRAMES => "bframes=2 b-adapt=false rc-lookahead=4 key-int-max=24",
                _ => "tune=zerolatency key-int-max=24",
            };
            let description = match media.as_str() {
                "video/x-h264" => format!(
                    "{} ! x264enc speed-preset=ultrafast option-string=scenecut=0 {keys} \
                     ! capsfilter caps=video/x-h264,profile=main,stream-format=byte-stream",
                    picture("I420", 24)
                ),
                "image/jpeg" => format!("{} ! jpegenc", picture("I420", 24)),
                _ => picture("YUY2", 5),
            };
            let inner = fill(&bin, &description);
            lead(&bin, &inner, "src");
        }
    }
}

mod libcamera {
    use super::*;

    #[derive(Default)]
    pub struct Libcamera;

    bin_class!(Libcamera, "FakeLibcamera");

    impl ObjectImpl for Libcamera {
        fn constructed(&self) {
            self.parent_constructed();
            let bin: gst::Bin = self.obj().clone().upcast();
            add_pad(&bin, &Self::pad_templates()[0]);
            // Like the real element, the fake has no fixed colorimetry, and uses the requested one.
            let inner = fill(&bin, "videotestsrc is-live=true");
            lead(&bin, &inner, "src");
        }
    }

    impl ElementImpl for Libcamera {
        pads!("src": "video/x-raw");

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            open_port(self.obj().upcast_ref(), "libcamerasrc", transition)?;
            self.parent_change_state(transition)
        }
    }
}

mod argus {
    use super::*;

    #[derive(Default)]
    pub struct Argus;

    bin_class!(Argus, "FakeArgus");

    impl ObjectImpl for Argus {
        properties!(vec![glib::ParamSpecInt::builder("sensor-id").write_only().build()]);

        fn set_property(&self, _: usize, _: &glib::Value, _: &glib::ParamSpec) {}

        fn constructed(&self) {
            self.parent_constructed();
            let bin: gst::Bin = self.obj().clone().upcast();
            add_pad(&bin, &Self::pad_templates()[0]);
            let inner =
                fill(&bin, "appsrc name=pictures is-live=true do-timestamp=true format=time");
            let pictures = inner.by_name("pictures").unwrap();
            let pictures = pictures.downcast::<gst_app::AppSrc>().unwrap();
            pictures.set_caps(Some(&NVMM.parse::<gst::Caps>().unwrap()));
            let give = |pictures: &gst_app::AppSrc, _| {
                thread::sleep(Duration::from_millis(40));
                let picture = gst::Buffer::from_slice(vec![128; 320 * 240 * 3 / 2]);
                let _ = pictures.push_buffer(picture);
            };
            let callbacks = gst_app::AppSrcCallbacks::builder().need_data(give);
            pictures.set_callbacks(callbacks.build());
            lead(&bin, &inner, "src");
        }
    }

    impl ElementImpl for Argus {
        pads!("src": NVMM);

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            open_port(self.obj().upcast_ref(), "nvarguscamerasrc", transition)?;
            self.parent_change_state(transition)
        }
    }
}

mod converter {
    use super::*;

    #[derive(Default)]
    pub struct Converter;

    element_class!(Converter, "FakeNvidiaConverter");

    impl ObjectImpl for Converter {
        fn constructed(&self) {
            self.parent_constructed();
            let [sink, src] = Self::pad_templates() else { panic!() };
            let src = gst::Pad::from_template(src);
            let (out, events) = (src.clone(), src.clone());
            let sink = gst::Pad::builder_from_template(sink)
                .chain_function(move |_, _, buffer| out.push(buffer))
                .event_function(move |_, _, event| {
                    let wanted = events.peer_query_caps(None);
                    let stays = wanted.can_intersect(&NVMM.parse::<gst::Caps>().unwrap());
                    if event.type_() != gst::EventType::Caps || stays {
                        return events.push_event(event);
                    }
                    let caps = "video/x-raw,format=I420,width=320,height=240,framerate=24/1,\
                                pixel-aspect-ratio=1/1";
                    events.push_event(gst::event::Caps::new(&caps.parse().unwrap()))
                })
                .build();
            self.obj().add_pad(&sink).unwrap();
            self.obj().add_pad(&src).unwrap();
        }
    }

    impl ElementImpl for Converter {
        metadata!("Fake converter", "Filter/Converter/Video", "Changes the caps only");

        pads!("sink": NVMM, "src": &format!("video/x-raw; {NVMM}"));
    }
}

mod encoder {
    use super::*;

    #[derive(Default)]
    pub struct Encoder {
        encoder: OnceLock<gst::Element>,
    }

    bin_class!(Encoder, "FakeJetsonEncoder");

    impl ObjectImpl for Encoder {
        properties!(nvidia_properties());

        fn signals() -> &'static [glib::subclass::Signal] {
            static SIGNALS: OnceLock<Vec<glib::subclass::Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                let force = glib::subclass::Signal::builder("force-IDR")
                    .action()
                    .class_handler(|values| {
                        IDRS.fetch_add(1, Ordering::Relaxed);
                        let encoder = values[0].get::<super::Encoder>().unwrap();
                        let request = gst::Structure::builder("GstForceKeyUnit")
                            .field("all-headers", true)
                            .build();
                        let x264 = encoder.imp().encoder.get().unwrap().static_pad("src").unwrap();
                        x264.send_event(gst::event::CustomUpstream::new(request));
                        None
                    })
                    .build();
                vec![force]
            })
        }

        fn set_property(&self, _: usize, value: &glib::Value, property: &glib::ParamSpec) {
            let encoder = self.encoder.get().unwrap();
            match property.name() {
                "bitrate" => encoder.set_property("bitrate", value.get::<u32>().unwrap() / 1000),
                "idrinterval" => encoder.set_property("key-int-max", value.get::<u32>().unwrap()),
                _ => {}
            }
        }

        fn constructed(&self) {
            self.parent_constructed();
            let bin: gst::Bin = self.obj().clone().upcast();
            Self::pad_templates().iter().for_each(|template| add_pad(&bin, template));
            let inner = fill(
                &bin,
                "nvvidconv ! capsfilter caps=video/x-raw,format=I420 \
                 ! x264enc name=x264 tune=zerolatency speed-preset=ultrafast byte-stream=true \
                 option-string=scenecut=0 ! identity name=behind",
            );
            lead(&bin, &inner, "sink");
            lead(&bin, &inner, "src");
            // Requests for key frames from downstream do not reach the encoder.
            inner.by_name("behind").unwrap().static_pad("src").unwrap().add_probe(
                gst::PadProbeType::EVENT_UPSTREAM,
                |_, info| match info.event().map(|event| event.type_()) {
                    Some(gst::EventType::CustomUpstream) => gst::PadProbeReturn::Handled,
                    _ => gst::PadProbeReturn::Ok,
                },
            );
            self.encoder.set(inner.by_name("x264").unwrap()).unwrap();
        }
    }

    impl ElementImpl for Encoder {
        pads!("sink": NVMM, "src": "video/x-h264");
    }
}
