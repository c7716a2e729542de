//! Elements that behave like cameras this machine does not have, under their names: around videotestsrc, with
//! the faults that were met on devices.
//!
//! | element | as on a device |
//! |---|---|
//! | `v4l2src` | a USB camera with H.264, MJPEG, and slow raw video; the device says how its H.264 is: [`FIT`], [`LONG_GOP`], [`B_FRAMES`]; [`HANGS`] never opens |
//! | `libcamerasrc` | a camera in the Pi's camera port, or none |
//! | `nvarguscamerasrc`, `nvvidconv` | a camera in the Jetson's camera port, or none; pictures in memory of its own kind |
//! | `nvv4l2h264enc` | the Jetson's encoder: takes that memory, ignores the event for a key, heeds the signal |
//!
//! Does not: need the devices; what opens them is a fake too.

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

/// Devices that are on every machine, and may be opened.
pub(crate) const FIT: &str = "/dev/null";
/// Its keys are 10 s apart.
pub(crate) const LONG_GOP: &str = "/dev/zero";
/// Its H.264 has B-frames.
pub(crate) const B_FRAMES: &str = "/dev/full";
/// Its driver does not come back.
pub(crate) const HANGS: &str = "/dev/urandom";

/// Pictures in memory of NVIDIA's own kind.
const NVMM: &str = "video/x-raw(memory:NVMM),format=NV12,width=320,height=240,framerate=24/1";

/// What was taken from which device of `v4l2src`.
pub(crate) static TAKEN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// The camera ports that have a camera, by element.
static PORTS: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
/// Camera ports that were opened.
pub(crate) static OPENED: Mutex<Vec<&str>> = Mutex::new(Vec::new());
/// Keys that the Jetson's encoder was asked for by its signal.
pub(crate) static IDRS: AtomicU32 = AtomicU32::new(0);
/// Whether the driver of [`HANGS`] was reached.
pub(crate) static HUNG: AtomicBool = AtomicBool::new(false);

/// Registers them all, once.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        // Loaded later, by a look at the devices, the real one would take its place back.
        let _ = gst::Plugin::load_by_name("video4linux2");
        let rank = gst::Rank::NONE;
        gst::Element::register(None, "v4l2src", rank, Usb::static_type()).unwrap();
        gst::Element::register(None, "libcamerasrc", rank, Libcamera::static_type()).unwrap();
        gst::Element::register(None, "nvarguscamerasrc", rank, Argus::static_type()).unwrap();
        gst::Element::register(None, "nvvidconv", rank, Converter::static_type()).unwrap();
        gst::Element::register(None, "nvv4l2h264enc", rank, Encoder::static_type()).unwrap();
    });
}

/// From now on there are cameras in these ports.
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

fn template(name: &str, caps: &str) -> gst::PadTemplate {
    let direction = if name == "sink" { gst::PadDirection::Sink } else { gst::PadDirection::Src };
    let caps = caps.parse::<gst::Caps>().unwrap();
    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
}

/// Puts a description into `bin`.
fn fill(bin: &gst::Bin, description: &str) -> gst::Bin {
    let inner = gst::parse::bin_from_description(description, true).unwrap();
    bin.add(&inner).unwrap();
    inner
}

/// Leads the pad of `bin` to that of `inner`.
fn lead(bin: &gst::Bin, inner: &gst::Bin, name: &str) {
    let pad = bin.static_pad(name).unwrap().downcast::<gst::GhostPad>().unwrap();
    pad.set_target(Some(&inner.static_pad(name).unwrap())).unwrap();
}

/// A pad that leads nowhere yet.
fn add_pad(bin: &gst::Bin, template: &gst::PadTemplate) {
    let pad = gst::GhostPad::builder_from_template(template).name(template.name()).build();
    bin.add_pad(&pad).unwrap();
}

/// Opens a camera port, if there is a camera.
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

    #[glib::object_subclass]
    impl ObjectSubclass for Usb {
        const NAME: &'static str = "FakeUsbCamera";
        type Type = super::Usb;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Usb {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES
                .get_or_init(|| vec![glib::ParamSpecString::builder("device").write_only().build()])
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            *self.device.lock().unwrap() = value.get().unwrap();
        }

        fn constructed(&self) {
            self.parent_constructed();
            add_pad(self.obj().upcast_ref(), &Self::pad_templates()[0]);
        }
    }

    impl GstObjectImpl for Usb {}

    impl ElementImpl for Usb {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                let offer = "video/x-raw,format=YUY2,width=320,height=240,framerate=5/1; \
                             image/jpeg,width=320,height=240,framerate=24/1; \
                             video/x-h264,width=320,height=240,framerate=24/1";
                vec![template("src", offer)]
            })
        }

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
            if transition == gst::StateChange::ReadyToPaused {
                self.take(&device);
            }
            self.parent_change_state(transition)
        }
    }

    impl BinImpl for Usb {}

    impl Usb {
        /// Gives what is asked for behind it.
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

    #[glib::object_subclass]
    impl ObjectSubclass for Libcamera {
        const NAME: &'static str = "FakeLibcamera";
        type Type = super::Libcamera;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Libcamera {
        fn constructed(&self) {
            self.parent_constructed();
            let bin: gst::Bin = self.obj().clone().upcast();
            add_pad(&bin, &Self::pad_templates()[0]);
            // Without a colorimetry of its own it takes the one that is asked for, as the real one does.
            let inner = fill(&bin, "videotestsrc is-live=true");
            lead(&bin, &inner, "src");
        }
    }

    impl GstObjectImpl for Libcamera {}

    impl ElementImpl for Libcamera {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| vec![template("src", "video/x-raw")])
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            open_port(self.obj().upcast_ref(), "libcamerasrc", transition)?;
            self.parent_change_state(transition)
        }
    }

    impl BinImpl for Libcamera {}
}

mod argus {
    use super::*;

    #[derive(Default)]
    pub struct Argus;

    #[glib::object_subclass]
    impl ObjectSubclass for Argus {
        const NAME: &'static str = "FakeArgus";
        type Type = super::Argus;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Argus {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            PROPERTIES
                .get_or_init(|| vec![glib::ParamSpecInt::builder("sensor-id").write_only().build()])
        }

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

    impl GstObjectImpl for Argus {}

    impl ElementImpl for Argus {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| vec![template("src", NVMM)])
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            open_port(self.obj().upcast_ref(), "nvarguscamerasrc", transition)?;
            self.parent_change_state(transition)
        }
    }

    impl BinImpl for Argus {}
}

mod converter {
    use super::*;

    #[derive(Default)]
    pub struct Converter;

    #[glib::object_subclass]
    impl ObjectSubclass for Converter {
        const NAME: &'static str = "FakeNvidiaConverter";
        type Type = super::Converter;
        type ParentType = gst::Element;
    }

    impl ObjectImpl for Converter {
        fn constructed(&self) {
            self.parent_constructed();
            let [sink, src] = Self::pad_templates() else { panic!() };
            let src = gst::Pad::from_template(src);
            let (out, told) = (src.clone(), src.clone());
            let sink = gst::Pad::builder_from_template(sink)
                .chain_function(move |_, _, buffer| out.push(buffer))
                .event_function(move |_, _, event| {
                    let wanted = told.peer_query_caps(None);
                    let stays = wanted.can_intersect(&NVMM.parse::<gst::Caps>().unwrap());
                    if event.type_() != gst::EventType::Caps || stays {
                        return told.push_event(event);
                    }
                    let caps = "video/x-raw,format=I420,width=320,height=240,framerate=24/1,\
                                pixel-aspect-ratio=1/1";
                    told.push_event(gst::event::Caps::new(&caps.parse().unwrap()))
                })
                .build();
            self.obj().add_pad(&sink).unwrap();
            self.obj().add_pad(&src).unwrap();
        }
    }

    impl GstObjectImpl for Converter {}

    impl ElementImpl for Converter {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
            let [name, class, what, author] =
                ["Fake converter", "Filter/Converter/Video", "Names pictures anew", "-"];
            let new = || gst::subclass::ElementMetadata::new(name, class, what, author);
            Some(METADATA.get_or_init(new))
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                vec![template("sink", NVMM), template("src", &format!("video/x-raw; {NVMM}"))]
            })
        }
    }
}

mod encoder {
    use super::*;

    #[derive(Default)]
    pub struct Encoder {
        encoder: OnceLock<gst::Element>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Encoder {
        const NAME: &'static str = "FakeJetsonEncoder";
        type Type = super::Encoder;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Encoder {
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
            // Requests for a key from behind do not reach it.
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

    impl GstObjectImpl for Encoder {}

    impl ElementImpl for Encoder {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| vec![template("sink", NVMM), template("src", "video/x-h264")])
        }
    }

    impl BinImpl for Encoder {}
}
