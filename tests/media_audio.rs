//! Sound that is sent with the video: GStreamer and libav decode it, sound and pictures are in sync, and the failure of
//! a microphone does not affect the video.
//!
//! Does not: need a sound card or a camera; the fakes note the times of their first buffers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod media_elements;
mod scratch;
mod stream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_app as gst_app;
use media::{Audio, AudioCodec, Microphone, Options, Source};
use media_capture::{block_on, segments, start, units};
use media_elements::{add_picture, bin_class, device_property, expose, pads, properties};
use mpegts::audio::AUDIO_PID;
use mpegts::mux::VIDEO_PID;
use scratch::temporary;

/// The largest distance between a sound and its picture, in seconds.
const APART: f64 = 0.040;

/// The running time at which each fake element sent its first buffer.
static FIRST: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// Each capture holds one of these: with more than two at a time, two cores are too slow for the times to be exact.
static PLACES: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

fn place() -> MutexGuard<'static, ()> {
    let second = |_| PLACES[1].lock().unwrap_or_else(PoisonError::into_inner);
    PLACES[0].try_lock().unwrap_or_else(second)
}

/// The lock is taken on GStreamer's threads too: a test that failed with it does not end the others.
fn first() -> MutexGuard<'static, BTreeMap<String, f64>> {
    FIRST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note_first(name: String, info: &gst::PadProbeInfo<'_>) {
    let at = info.buffer().unwrap().pts().unwrap().nseconds() as f64 / 1e9;
    first().entry(name).or_insert(at);
}

glib::wrapper! {
    pub struct FakeCamera(ObjectSubclass<camera::FakeCamera>) @extends gst::Bin, gst::Element, gst::Object;
}

/// A camera that notes the time of its first picture under the name of its device.
mod camera {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    pub struct FakeCamera {
        device: Mutex<String>,
    }

    bin_class!(FakeCamera, "FakeCameraWithNotes");

    impl ObjectImpl for FakeCamera {
        properties!(vec![device_property()]);

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            *self.device.lock().unwrap() = value.get().unwrap();
        }

        fn constructed(&self) {
            self.parent_constructed();
            let bin = self.obj().downgrade();
            add_picture(self.obj().upcast_ref()).add_probe(
                gst::PadProbeType::BUFFER,
                move |_, info| {
                    let device = bin.upgrade().unwrap().imp().device.lock().unwrap().clone();
                    note_first(format!("{device} seen"), info);
                    gst::PadProbeReturn::Ok
                },
            );
        }
    }

    impl ElementImpl for FakeCamera {
        pads!("src": "video/x-raw");
    }
}

glib::wrapper! {
    pub struct FakeAlsa(ObjectSubclass<alsa::FakeAlsa>) @extends gst::Bin, gst::Element, gst::Object;
}

/// A microphone that ticks each second. Its device chooses its fault: "absent" does not open; "dying" fails after a
/// second; "unplugged" fails after a second, then fails to open once, then works; "silent" stops after a second, and
/// works when it is opened again; "hung" never opens.
mod alsa {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// How often each device was opened.
    static OPENED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

    use super::*;

    #[derive(Default)]
    pub struct FakeAlsa {
        device: Mutex<String>,
        nth: AtomicU32,
    }

    bin_class!(FakeAlsa, "FakeAlsaSource");

    impl ObjectImpl for FakeAlsa {
        properties!(vec![
            device_property(),
            glib::ParamSpecBoolean::builder("provide-clock").write_only().build(),
        ]);

        fn set_property(&self, _: usize, value: &glib::Value, property: &glib::ParamSpec) {
            if property.name() == "device" {
                *self.device.lock().unwrap() = value.get().unwrap();
            }
        }

        fn constructed(&self) {
            self.parent_constructed();
            let ticks = gst::ElementFactory::make("audiotestsrc")
                .property("is-live", true)
                .property_from_str("wave", "ticks")
                .property("samplesperbuffer", 441)
                .build()
                .unwrap();
            let pad = ticks.static_pad("src").unwrap();
            let (bin, buffers) = (self.obj().downgrade(), AtomicU32::new(0));
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let bin = bin.upgrade().unwrap();
                let device = bin.imp().device.lock().unwrap().clone();
                let nth = bin.imp().nth.load(Ordering::Relaxed);
                // The time of the first opening is noted under another name than that of later openings.
                if nth > 1 {
                    note_first(format!("{device} heard again"), info);
                } else {
                    note_first(format!("{device} heard"), info);
                }
                let is_over = buffers.fetch_add(1, Ordering::Relaxed) >= 100;
                match (device.as_str(), nth) {
                    ("dying", _) | ("unplugged", 1) if is_over => {
                        let what = gst::ResourceError::Read;
                        gst::element_error!(bin, what, ["Device disappeared"]);
                        gst::PadProbeReturn::Ok
                    }
                    ("silent", 1) if is_over => gst::PadProbeReturn::Handled,
                    _ => gst::PadProbeReturn::Ok,
                }
            });
            expose(self.obj().upcast_ref(), &ticks, &["src"]);
        }
    }

    impl ElementImpl for FakeAlsa {
        pads!("src": "audio/x-raw");

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            if transition == gst::StateChange::NullToReady {
                let device = self.device.lock().unwrap().clone();
                if device == "hung" {
                    loop {
                        std::thread::park();
                    }
                }
                let mut opened = OPENED.lock().unwrap();
                let nth = opened.entry(device.clone()).and_modify(|n| *n += 1).or_insert(1);
                self.nth.store(*nth, Ordering::Relaxed);
                if device == "absent" || (device == "unplugged" && *nth == 2) {
                    gst::element_imp_error!(self, gst::ResourceError::NotFound, ["No such device"]);
                    return Err(gst::StateChangeError);
                }
            }
            self.parent_change_state(transition)
        }
    }
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        let camera = FakeCamera::static_type();
        gst::Element::register(None, "fakecamera", gst::Rank::NONE, camera).unwrap();
        gst::Element::register(None, "alsasrc", gst::Rank::NONE, FakeAlsa::static_type()).unwrap();
    });
}

fn options(device: &str, codec: AudioCodec) -> Options {
    let (microphone, name, bitrate) = (Microphone::Alsa, Some(device.to_owned()), 64_000);
    let source = Source::Pipeline { fragment: format!("fakecamera device={device}") };
    Options {
        audio: Some(Audio { microphone, device: name, codec, bitrate }),
        ..media_capture::options(source, (160, 120), 300_000)
    }
}

/// Captures `most` segments.
fn capture(options: &Options, most: usize) -> Vec<Vec<u8>> {
    capture_as(options, most, false)
}

/// Captures `most` segments. With `is_kept`, also polls the end of the capture, as the agent does: this poll is what
/// brings lost sound back.
fn capture_as(options: &Options, most: usize, is_kept: bool) -> Vec<Vec<u8>> {
    register();
    let _place = place();
    block_on(async {
        let (capture, mut pieces) = start(options);
        let segments = tokio::select! {
            segments = segments(&mut pieces, most) => segments,
            end = capture.ended(), if is_kept => panic!("{end:?}"),
        };
        assert_eq!(segments.len(), most);
        capture.stop().await;
        segments
    })
}

/// The times of pictures and of frames of audio, in seconds. Panics if the stream carries anything else.
#[track_caller]
fn times(bytes: &[u8]) -> (Vec<f64>, Vec<f64>) {
    let units = units(bytes);
    assert!(units.iter().all(|unit| [VIDEO_PID, AUDIO_PID].contains(&unit.pid)), "{units:?}");
    (media_capture::times(bytes, VIDEO_PID), media_capture::times(bytes, AUDIO_PID))
}

/// The times of the ticks after the first picture, as GStreamer decodes both.
fn ticks(bytes: Vec<u8>, decoder: &str) -> Vec<f64> {
    let description = format!(
        "appsrc name=in format=bytes caps=video/mpegts,systemstream=true,packetsize=188 ! tsdemux name=d \
         d. ! h264parse ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! appsink name=seen sync=false \
         d. ! {decoder} ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! audioconvert \
         ! audio/x-raw,format=S16LE,channels=1,rate=48000 ! appsink name=heard sync=false"
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = |name| pipeline.by_name(name).unwrap().downcast::<gst_app::AppSink>().unwrap();
    let (seen, heard) = (sink("seen"), sink("heard"));
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    input.push_buffer(gst::Buffer::from_slice(bytes)).unwrap();
    input.end_of_stream().unwrap();
    let next = |sink: &gst_app::AppSink| {
        let sample = sink.try_pull_sample(gst::ClockTime::from_seconds(10))?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let at = segment.to_running_time(sample.buffer()?.pts()?)?;
        Some((at.nseconds() as f64 / 1e9, sample))
    };
    let (first, _) = next(&seen).expect("a picture");
    let (mut found, mut last): (Vec<f64>, f64) = (Vec::new(), -1.0);
    while let Some((at, sample)) = next(&heard) {
        let map = sample.buffer().unwrap().map_readable().unwrap();
        for (n, pair) in map.chunks_exact(2).enumerate() {
            let level = i16::from_le_bytes([pair[0], pair[1]]);
            let now = at + n as f64 / 48_000.0;
            if level.unsigned_abs() > 2000 {
                if now - last > 0.5 {
                    found.push(now - first);
                }
                last = now;
            }
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    found
}

/// Asserts that each tick has the time of the picture that was captured with it.
#[track_caller]
fn check_ticks(found: &[f64], device: &str) {
    assert!(found.len() >= 3, "{found:?}");
    let first = first();
    let made = first[&format!("{device} heard")] - first[&format!("{device} seen")];
    check_each_second(found, made);
}

/// Asserts that each tick comes a whole number of seconds after `made`.
#[track_caller]
fn check_each_second(found: &[f64], made: f64) {
    for at in found {
        let apart = at - made - (at - made).round();
        assert!(
            apart.abs() <= APART,
            "ticks are at {found:?}, expected at {made} and each second after"
        );
    }
}

#[track_caller]
fn check_sound(codec: AudioCodec, decoder: &str, name: &str) {
    let segments = capture(&options(name, codec), 4);
    let all = segments.concat();
    let (pictures, audio) = times(&all);
    assert_eq!(pictures.len(), 96, "sound causes no loss of pictures");
    assert!(audio.windows(2).all(|two| two[0] < two[1]), "{audio:?}");
    let span = |times: &[f64]| times.last().unwrap() - times[0];
    assert!(span(&audio) > span(&pictures) - 0.3, "{} s of sound", span(&audio));
    for (n, segment) in segments.iter().enumerate() {
        let (pictures, audio) = times(segment);
        assert!(audio.len() >= 30, "segment {n} has {} frames of audio", audio.len());
        // Sound and pictures of the same time are less than 0.5 s apart in the stream, so a reader needs little buffer.
        let near = |at: &f64| *at > pictures[0] - 0.5 && *at < pictures.last().unwrap() + 0.5;
        assert!(audio.iter().all(near), "segment {n}: {pictures:?} {audio:?}");
    }
    check_ticks(&ticks(all.clone(), decoder), name);
    check_libav(&all, name);
}

/// Asserts that libav decodes the stream without a message and finds this codec.
#[track_caller]
fn check_libav(bytes: &[u8], codec: &str) {
    let path = temporary("sound.ts");
    std::fs::write(&path, bytes).unwrap();
    let probed = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-map", "0:v", "-map", "0:a", "-f", "framecrc", "-"])
        .output();
    let listed = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"])
        .arg(&path)
        .output();
    std::fs::remove_file(&path).unwrap();
    let installed = "ffmpeg, which cross/setup.sh installs";
    let (probed, listed) = (probed.expect(installed), listed.expect(installed));
    let errors = String::from_utf8_lossy(&probed.stderr);
    assert!(probed.status.success() && errors.is_empty(), "{errors}");
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.contains("h264") && listed.contains(codec), "{listed}");
}

#[test]
fn gstreamer_and_libav_decode_opus_in_sync() {
    check_sound(AudioCodec::Opus, "opusdec", "opus");
}

#[test]
fn gstreamer_and_libav_decode_aac_in_sync() {
    check_sound(AudioCodec::Aac, "aacparse ! avdec_aac", "aac");
}

#[test]
fn the_test_microphone_gives_ticks() {
    let mut options = options("tick", AudioCodec::Opus);
    options.source = Source::Test;
    let audio = options.audio.unwrap();
    options.audio = Some(Audio { microphone: Microphone::Test, device: None, ..audio });
    let (pictures, audio) = times(&capture(&options, 2).concat());
    assert!(pictures.len() == 48 && audio.len() > 60, "{} and {}", pictures.len(), audio.len());
}

#[test]
fn video_is_sent_without_sound_if_the_microphone_is_missing() {
    let segments = capture(&options("absent", AudioCodec::Opus), 2);
    let (pictures, audio) = times(&segments.concat());
    assert_eq!((pictures.len(), audio.len()), (48, 0));
}

#[test]
fn video_is_sent_without_sound_if_the_microphone_hangs() {
    let began = std::time::Instant::now();
    let segments = capture_as(&options("hung", AudioCodec::Opus), 5, true);
    let (pictures, audio) = times(&segments.concat());
    assert_eq!((pictures.len(), audio.len()), (5 * 24, 0));
    assert!(pictures.windows(2).all(|two| two[1] - two[0] < 0.05), "{pictures:?}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn video_continues_without_sound_if_the_microphone_fails() {
    let segments = capture(&options("dying", AudioCodec::Opus), 4);
    let (pictures, audio) = times(&segments.concat());
    assert_eq!(pictures.len(), 96);
    let (last, end) = (audio.last().unwrap(), pictures.last().unwrap());
    assert!(audio.len() > 30 && last + 2.0 < *end, "sound to {last} of {end}");
    // The last segment's PMT has no entry for sound.
    let pmt = |segment: &[u8]| segment[188 + 5 + 2];
    assert!(pmt(&segments[3]) < pmt(&segments[0]));
}

/// Asserts that the sound stops after a second and later continues in sync, and that the pictures never stop.
#[track_caller]
fn check_comes_back(name: &str) {
    let segments = capture_as(&options(name, AudioCodec::Opus), 9, true);
    let (pictures, audio) = times(&segments.concat());
    assert_eq!(pictures.len(), 9 * 24);
    assert!(pictures.windows(2).all(|two| two[1] - two[0] < 0.05), "{pictures:?}");
    assert!(audio.windows(2).all(|two| two[0] < two[1]), "{audio:?}");
    let longest = audio.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
    assert!(longest > 1.0, "the longest gap in the sound is {longest} s");
    let frames: Vec<usize> = segments.iter().map(|segment| times(segment).1.len()).collect();
    assert!(frames[0] >= 30 && frames[7..].iter().all(|frames| *frames >= 40), "{frames:?}");

    // The segments after the return of the sound are decoded alone, so times count from the first picture of these
    // segments.
    let tail = segments[6..].concat();
    let since = times(&tail).0[0] - pictures[0];
    let found: Vec<f64> = ticks(tail, "opusdec").iter().map(|at| at + since).collect();
    let first = first();
    let made = first[&format!("{name} heard again")] - first[&format!("{name} seen")];
    assert!(found.len() >= 2, "{found:?}");
    check_each_second(&found, made);
}

#[test]
fn sound_returns_when_the_microphone_is_plugged_in_again() {
    check_comes_back("unplugged");
}

#[test]
fn sound_returns_after_a_microphone_stalled() {
    check_comes_back("silent");
}

/// A film of 2 s. Its sound lasts `ticks` seconds, with a tick each second.
fn film(name: &str, ticks: u32) -> PathBuf {
    let path = temporary(name);
    let sound = format!(
        "audiotestsrc wave=ticks num-buffers={} samplesperbuffer=480 \
         ! audio/x-raw,rate=48000,channels=2 ! opusenc ! queue max-size-time=0 ! m.",
        ticks * 100
    );
    let text = format!(
        "matroskamux name=m ! filesink location={} \
         videotestsrc num-buffers=48 ! video/x-raw,width=160,height=120,framerate=24/1 \
         ! x264enc speed-preset=ultrafast tune=zerolatency ! queue ! m. {}",
        path.display(),
        if ticks > 0 { &sound } else { "" }
    );
    stream::make(&text);
    path
}

fn of_film(path: PathBuf, codec: AudioCodec) -> Options {
    let audio = Audio { microphone: Microphone::File, device: None, codec, bitrate: 64_000 };
    Options {
        source: Source::File { path, repeat: true },
        audio: Some(audio),
        ..options("", codec)
    }
}

/// Captures three rounds of a film of 2 s whose sound lasts `sound` seconds, and checks ticks and duration.
#[track_caller]
fn check_film(name: &str, sound: u32, codec: AudioCodec, decoder: &str) {
    let options = of_film(film(name, sound), codec);
    let began = std::time::Instant::now();
    let bytes = capture(&options, 6).concat();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let (pictures, audio) = times(&bytes);
    assert_eq!(pictures.len(), 6 * 24);
    assert!(audio.windows(2).all(|two| two[0] < two[1]), "{audio:?}");
    // In each round, the ticks are at the same times as in the film.
    let found = ticks(bytes, decoder);
    let expected = (0..6).filter(|second| second % 2 < sound.min(2));
    let near = |at: f64| found.iter().any(|tick| (tick - at).abs() <= APART);
    assert!(expected.map(f64::from).all(near), "{found:?}");
    assert!(found.iter().all(|tick| (tick - tick.round()).abs() <= APART), "{found:?}");
}

#[test]
fn each_round_of_a_repeated_film_has_its_sound() {
    check_film("film.mkv", 2, AudioCodec::Opus, "opusdec");
}

#[test]
fn sound_that_is_longer_or_shorter_does_not_change_the_times_of_pictures() {
    check_film("long.mkv", 6, AudioCodec::Aac, "aacparse ! avdec_aac");
    check_film("short.mkv", 1, AudioCodec::Opus, "opusdec");
}

/// A logger that collects the lines about sound that is not sent.
struct Unsent(Mutex<Vec<String>>);

static UNSENT: Unsent = Unsent(Mutex::new(Vec::new()));

impl log::Log for Unsent {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        if self.enabled(record.metadata()) && line.contains("not sent") {
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

#[test]
fn if_audio_is_none_the_sound_of_a_film_is_left_out_and_logged_once() {
    log::set_logger(&UNSENT).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let unheard = Options { audio: None, ..of_film(film("mute.mkv", 2), AudioCodec::Opus) };
    let (pictures, audio) = times(&capture(&unheard, 3).concat());
    assert_eq!((pictures.len(), audio.len()), (72, 0));
    let lines = UNSENT.0.lock().unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        line.ends_with("mute.mkv has audio, which is not sent because audio.kind is \"none\""),
        "{line}"
    );
}

#[test]
fn a_film_without_sound_is_sent_without_audio() {
    let path = film("silent.mkv", 0);
    let (pictures, audio) = times(&capture(&of_film(path, AudioCodec::Opus), 3).concat());
    assert_eq!((pictures.len(), audio.len()), (72, 0));
}
