//! Plays films whose sound fails during playback: the pictures continue without sound, and one warning is logged.
//!
//! Does not: need a broken film; a fake decoder and a fake encoder fail after some buffers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use media::io::{AccessUnits, Capture, End};
use media::{Audio, AudioCodec, Encoder, Microphone, Options, Source, Speed, Video};
use mpegts::audio::AUDIO_PID;
use mpegts::mux::VIDEO_PID;
use mpegts::{Reader, TsEvent};

/// The time limit of a test: a test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// The number of buffers after which a fake fails.
const WORKS: u32 = 20;

/// The warnings so far.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        WARNINGS.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

glib::wrapper! {
    pub struct Failing(ObjectSubclass<failing::Failing>) @extends gst::Bin, gst::Element, gst::Object;
}
glib::wrapper! {
    pub struct FailingEncoder(ObjectSubclass<failing::FailingEncoder>) @extends gst::Bin, gst::Element, gst::Object;
}

/// Elements that wrap a real one and fail after [`WORKS`] buffers. They fail as real elements do: with an error
/// message, and with an error to the upstream element.
mod failing {
    use std::sync::OnceLock;

    use super::*;

    fn wrap(bin: &gst::Bin, element: &str) {
        let inner = gst::ElementFactory::make(element).build().unwrap();
        bin.add(&inner).unwrap();
        for name in ["sink", "src"] {
            let pad = inner.static_pad(name).unwrap();
            bin.add_pad(&gst::GhostPad::builder_with_target(&pad).unwrap().name(name).build())
                .unwrap();
        }
        let (weak, buffers) = (bin.downgrade(), AtomicU32::new(0));
        let sink = inner.static_pad("sink").unwrap();
        sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if buffers.fetch_add(1, Ordering::Relaxed) < WORKS {
                return gst::PadProbeReturn::Ok;
            }
            let bin = weak.upgrade().unwrap();
            gst::element_error!(bin, gst::StreamError::Failed, ["It broke"]);
            info.flow_res = Err(gst::FlowError::Error);
            gst::PadProbeReturn::Handled
        });
    }

    fn templates(sink: &str, src: &str) -> Vec<gst::PadTemplate> {
        let template = |name, direction, caps: &str| {
            let caps = caps.parse::<gst::Caps>().unwrap();
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
        };
        let (from, to) = (gst::PadDirection::Sink, gst::PadDirection::Src);
        vec![template("sink", from, sink), template("src", to, src)]
    }

    #[derive(Default)]
    pub struct Failing;

    #[glib::object_subclass]
    impl ObjectSubclass for Failing {
        const NAME: &'static str = "FailingDecoder";
        type Type = super::Failing;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Failing {
        fn constructed(&self) {
            self.parent_constructed();
            wrap(self.obj().upcast_ref(), "flacdec");
        }
    }

    impl GstObjectImpl for Failing {}

    impl ElementImpl for Failing {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
            let new = || {
                gst::subclass::ElementMetadata::new("Failing", "Codec/Decoder/Audio", "Fails", "-")
            };
            Some(METADATA.get_or_init(new))
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| templates("audio/x-flac", "audio/x-raw"))
        }
    }

    impl BinImpl for Failing {}

    #[derive(Default)]
    pub struct FailingEncoder {
        bitrate: AtomicU32,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FailingEncoder {
        const NAME: &'static str = "FailingEncoder";
        type Type = super::FailingEncoder;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for FailingEncoder {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
            let number = || glib::ParamSpecInt::builder("bitrate").write_only().build();
            PROPERTIES.get_or_init(|| vec![number()])
        }

        fn set_property(&self, _: usize, _: &glib::Value, _: &glib::ParamSpec) {
            self.bitrate.store(1, Ordering::Relaxed);
        }

        fn constructed(&self) {
            self.parent_constructed();
            wrap(self.obj().upcast_ref(), "avenc_aac");
        }
    }

    impl GstObjectImpl for FailingEncoder {}

    impl ElementImpl for FailingEncoder {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| templates("audio/x-raw", "audio/mpeg"))
        }
    }

    impl BinImpl for FailingEncoder {}
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        let first = gst::Rank::PRIMARY + 100;
        gst::Element::register(None, "failingflac", first, Failing::static_type()).unwrap();
        // The program looks for this encoder first.
        let encoder = FailingEncoder::static_type();
        gst::Element::register(None, "fdkaacenc", gst::Rank::NONE, encoder).unwrap();
        log::set_logger(&Warnings).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
}

/// Makes a film of 2 s, whose sound is encoded by the element `encode`.
fn film(name: &str, encode: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = format!(
        "matroskamux name=m ! filesink location={} \
         videotestsrc num-buffers=48 ! video/x-raw,width=160,height=120,framerate=24/1 \
         ! x264enc speed-preset=ultrafast tune=zerolatency ! queue ! m. \
         audiotestsrc num-buffers=200 samplesperbuffer=480 ! audio/x-raw,rate=48000,channels=2 ! {encode} \
         ! queue max-size-time=0 ! m.",
        path.display()
    );
    let pipeline = gst::parse::launch(&text).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
    assert_eq!(end.expect("an end").type_(), gst::MessageType::Eos, "{text}");
    pipeline.set_state(gst::State::Null).unwrap();
    path
}

fn options(path: PathBuf, codec: AudioCodec, repeat: bool) -> Options {
    let audio = Audio { microphone: Microphone::File, device: None, codec, bitrate: 64_000 };
    Options {
        source: Source::File { path, repeat },
        audio: Some(audio),
        video: Video {
            width: 160,
            height: 120,
            bitrate: 300_000,
            segment: Duration::from_secs(1),
            ..Video::default()
        },
        encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
        ..Options::default()
    }
}

/// Captures until the film ends, or until `most` pictures. Returns the number of pictures, the number of frames of
/// audio, and how the capture ended, if it did.
fn capture(options: &Options, most: usize) -> (usize, usize, Option<End>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = async {
        let units = AccessUnits::new();
        let mut pieces = units.pieces();
        let capture = Capture::start(options, units).unwrap();
        let (mut pictures, mut audio, mut reader) = (0, 0, Reader::new());
        let mut report = |report| {
            if let TsEvent::Unit(unit) = report {
                match unit.pid {
                    VIDEO_PID => pictures += 1,
                    AUDIO_PID => audio += 1,
                    pid => panic!("PID {pid}"),
                }
            }
            pictures
        };
        let mut is_over = false;
        while !is_over {
            match pieces.next().await {
                Some(piece) => {
                    reader.push(&piece.bytes, &mut |found| is_over |= report(found) >= most);
                }
                None => {
                    reader.flush(&mut |found| {
                        report(found);
                    });
                    break;
                }
            }
        }
        let end = if is_over { None } else { Some(capture.ended().await) };
        capture.stop().await;
        (pictures, audio, end)
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, work).await.expect("the capture hangs") })
}

/// Asserts that every picture of a film arrives, also if it is repeated, and that each capture warns once of the lost
/// sound.
#[track_caller]
fn check(name: &str, encode: &str, codec: AudioCodec, element: &str) {
    let path = film(name, encode);
    let lost = || {
        let warnings = WARNINGS.lock().unwrap();
        let lost = |line: &&String| line.starts_with("no sound") && line.contains(element);
        warnings.iter().filter(lost).count()
    };
    let (pictures, audio, end) = capture(&options(path.clone(), codec, false), usize::MAX);
    assert_eq!((pictures, end), (48, Some(End::EndOfStream)), "{:?}", WARNINGS.lock().unwrap());
    assert!(audio < 90, "{audio} frames of audio");
    assert_eq!(lost(), 1);

    let (pictures, _, end) = capture(&options(path.clone(), codec, true), 120);
    assert_eq!((pictures, end), (120, None), "{:?}", WARNINGS.lock().unwrap());
    assert_eq!(lost(), 2, "one warning for each capture: {:?}", WARNINGS.lock().unwrap());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn pictures_continue_if_the_audio_decoder_fails() {
    register();
    check("decoder.mkv", "flacenc", AudioCodec::Opus, "failingflac");
}

#[test]
fn pictures_continue_if_the_audio_encoder_fails() {
    register();
    check("encoder.mkv", "opusenc", AudioCodec::Aac, "fdkaacenc");
}
