//! The configuration: what is accepted, each mistake, and the documents that are generated from the table of keys.
//!
//! Does not: start a part of the program.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use livepeer_edge::agent::When;
use livepeer_edge::cli::{Topic, help};
use livepeer_edge::config::keys::{Initial, Takes, keys};
use livepeer_edge::config::{Config, Error, Layers, Problem, Purpose, document, io, resolve};
use livepeer_gateway::job::runner::UpdateTarget;
use livepeer_gateway::orchestrator::{OnChange, TrustOptions};
use livepeer_gateway::session::selection::CandidateOrder;
use media::rate::Bounds;
use media::{CameraFormat, Flip, Microphone, Rotate, Source, Speed, Target};
use resilience::secret::SecretSource;

const EXAMPLE: &str = "systemd/livepeer-edge.toml";

fn layers(file: &str, environment: &[(&str, &str)], arguments: &[(&str, &str)]) -> Layers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Layers {
        file: Some(("camera.toml".to_owned(), file.to_owned())),
        environment: environment.iter().map(owned).collect(),
        arguments: arguments.iter().map(owned).collect(),
    }
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn good(file: &str) -> Config {
    resolve(&layers(file, &[], &[]), Purpose::Demo).unwrap_or_else(|p| panic!("{:#?}", shown(&p)))
}

/// The problems of a file, as `run` reports them.
#[track_caller]
fn check(file: &str, expected: &[&str]) {
    let whole = format!("orchestrator.urls = ['o.example']\njob.model = 'm'\n{file}");
    let problems = resolve(&layers(&whole, &[], &[]), Purpose::Run).err().unwrap_or_default();
    assert_eq!(shown(&problems), expected, "{file}");
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// ---------------------------------------------------------------------------------------------
// What is accepted
// ---------------------------------------------------------------------------------------------

#[test]
fn every_key_reaches_the_configuration() {
    let config = good(
        r#"
        [source]
        kind = "v4l2"
        device = "/dev/video3"
        format = "mjpeg"
        [video]
        width = 640
        height = 480
        fps = 15
        bitrate = "800 kbit/s"
        segment = "1500ms"
        [encoder]
        element = "openh264enc"
        speed = "veryfast"
        [orchestrator]
        urls = ["https://a.example:1234", "B.example/base/"]
        order = "fastest"
        trust = "tofu"
        on-change = "refuse"
        [job]
        model = "noop"
        params = { width = 512, nested = { list = [1, 2.5, "x"] } }
        stream-id = "front-door"
        [output]
        path = "-"
        [store]
        directory = "/mnt/usb/input"
        minutes = 30
        max-size = 200
        [log]
        level = "debug"
        [state]
        directory = "/var/lib/edge"
        "#,
    );
    assert_eq!(
        config.media.source,
        Source::V4l2 { device: "/dev/video3".into(), format: CameraFormat::Mjpeg }
    );
    let video = &config.media.video;
    assert_eq!((video.width, video.height, video.fps, video.bitrate), (640, 480, 15, 800_000));
    assert_eq!(video.segment, Duration::from_millis(1500));
    assert_eq!(config.media.encoder.element.as_deref(), Some("openh264enc"));
    assert_eq!(config.media.encoder.speed, Speed::Veryfast);
    let urls: Vec<String> = config.orchestrators.iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["https://a.example:1234", "https://b.example:8935/base"]);
    assert_eq!(config.order, Some(CandidateOrder::Fastest));
    assert_eq!(config.trust, TrustOptions::Tofu { on_change: OnChange::Refuse });
    assert_eq!(config.job.model, "noop");
    let params = serde_json::json!({"width": 512, "nested": {"list": [1, 2.5, "x"]}});
    assert_eq!(serde_json::Value::Object(config.job.params), params);
    assert_eq!(config.job.stream_id.as_deref(), Some("front-door"));
    let outputs: Vec<(&str, &Target)> =
        config.outputs.iter().map(|output| (output.name.as_str(), &output.target)).collect();
    assert_eq!(outputs, [("-", &Target::Stdout)]);
    let store = config.media.store.expect("a store");
    assert_eq!(store.directory, PathBuf::from("/mnt/usb/input"));
    assert_eq!((store.keep, store.bytes), (Duration::from_secs(1800), 200_000_000));
    assert_eq!(config.log, log::LevelFilter::Debug);
    assert_eq!(config.state_directory, Some(PathBuf::from("/var/lib/edge")));
}

#[test]
fn a_job_runs_when_the_keys_say_so() {
    let wanted = |keys: &str| good(&format!("[job]\n{keys}\n")).wanted;
    let always = wanted("");
    assert_eq!((always.when, always.linger), (When::Always, Duration::from_secs(30)));
    let motion =
        wanted("when = \"motion\"\nschedule = \"Mon..Fri 08:00..18:00\"\nlinger = \"1 min\"");
    assert_eq!((motion.when, motion.linger), (When::Motion, Duration::from_secs(60)));
    assert_eq!(motion.schedule, "Mon..Fri 08:00..18:00".parse().ok());
    let demand = wanted("when = \"demand\"\ntrigger = \"/run/t\"");
    assert_eq!((demand.when, demand.trigger), (When::Demand, Some("/run/t".into())));
}

#[test]
fn motion_is_looked_for_only_where_it_starts_a_job() {
    let keys = "[motion]\nsensitivity = 70\nminimum = \"2 s\"\n";
    assert_eq!(good(keys).media.motion, None);
    let motion = good(&format!("{keys}[job]\nwhen = \"motion\"\n")).media.motion.unwrap();
    assert_eq!((motion.sensitivity, motion.minimum), (70, Duration::from_secs(2)));
    check(
        "motion.sensitivity = 101",
        &["camera.toml:3: motion.sensitivity: found 101; allowed: 1 to 100 %"],
    );
}

#[test]
fn keys_about_when_a_job_runs_that_contradict_each_other_are_refused() {
    check(
        "job.when = 'schedule'",
        &["camera.toml: job.schedule: is required by job.when = \"schedule\""],
    );
    check(
        "job.when = 'demand'\njob.schedule = 'Mon'",
        &[
            "camera.toml:4: job.schedule: would not be used; set job.when = \"schedule\" or \"motion\", or leave it out",
        ],
    );
    check(
        "job.trigger = '/run/t'",
        &[
            "camera.toml:3: job.trigger: would not be used: job.when is \"always\"; set it to \"demand\", or leave this out",
        ],
    );
    check(
        "job.when = 'schedule'\njob.schedule = 'Mon 8..18'",
        &[
            "camera.toml:4: job.schedule: \"8..18\" is neither days (Mon..Fri) nor times (08:00..18:00)",
        ],
    );
}

#[test]
fn every_value_that_a_key_lists_is_accepted() {
    for key in keys() {
        let Takes::OneOf(words) = key.takes else { continue };
        for (word, _) in words {
            let layers = layers("", &[], &[(key.name, word)]);
            let problems = resolve(&layers, Purpose::Demo).err().unwrap_or_default();
            let about_it = problems.iter().any(|p| p.key == key.name);
            assert!(!about_it, "{} = {word}: {:?}", key.name, shown(&problems));
        }
    }
}

#[test]
fn a_file_and_a_pipeline_are_sources() {
    let file = good("[source]\nkind = 'file'\npath = 'a.mp4'\nrepeat = true");
    assert_eq!(file.media.source, Source::File { path: "a.mp4".into(), repeat: true });
    let pipeline = good("[source]\nkind = 'pipeline'\nfragment = 'videotestsrc'\npath = 'unused'");
    assert_eq!(pipeline.media.source, Source::Pipeline { fragment: "videotestsrc".into() });
}

#[test]
fn the_sound_of_a_file_is_sent_unless_audio_is_none() {
    let file = "[source]\nkind = 'file'\npath = 'a.mp4'\n";
    let microphone = |text: &str| good(text).media.audio.map(|audio| audio.microphone);
    assert_eq!(microphone(file), Some(Microphone::File));
    assert_eq!(microphone(&format!("{file}[audio]\nkind = 'none'")), None);
    assert_eq!(microphone("[source]\nkind = 'auto'"), None);
    assert_eq!(microphone("[audio]\nkind = 'alsa'"), Some(Microphone::Alsa));
    check(
        "[source]\nkind = 'file'\npath = 'a.mp4'\n[audio]\nkind = 'alsa'",
        &["camera.toml:7: audio.kind: needs a camera; the sound of a file is sent with \"file\""],
    );
}

#[test]
fn every_kind_of_camera_can_be_configured() {
    let source = |text: &str| good(&format!("[source]\n{text}")).media.source;
    assert_eq!(source("kind = 'auto'"), Source::Auto);
    assert_eq!(source("kind = 'libcamera'"), Source::Libcamera { camera: None });
    let named = Source::Libcamera { camera: Some("imx219".into()) };
    assert_eq!(source("kind = 'libcamera'\ndevice = 'imx219'"), named);
    assert_eq!(source("kind = 'nvargus'"), Source::NvArgus { sensor: 0 });
    assert_eq!(source("kind = 'nvargus'\ndevice = '1'"), Source::NvArgus { sensor: 1 });
    let rtsp = |credential| Source::Rtsp {
        url: "rtsp://cam:554/a?b".into(),
        credential,
        pin: None,
        format: CameraFormat::Raw,
    };
    let camera = "kind = 'rtsp'\nurl = 'rtsp://cam:554/a?b'\nformat = 'raw'";
    assert_eq!(source(camera), rtsp(None));
    let file = SecretSource::File("/etc/camera".into());
    assert_eq!(source(&format!("{camera}\ncredential = 'file:/etc/camera'")), rtsp(Some(file)));
    let name = SecretSource::Credential("camera".into());
    assert_eq!(source(&format!("{camera}\ncredential = 'credential:camera'")), rtsp(Some(name)));
    let print = "ab".repeat(32);
    let pinned = format!("kind = 'rtsp'\nurl = 'rtsps://cam/1'\npin = '{print}'");
    let Source::Rtsp { pin, .. } = source(&pinned) else { panic!("a camera") };
    assert_eq!(pin.map(|pin| pin.to_string()), Some(print));
    let turned = good("[video]\nrotate = '90'\nflip = 'vertical'\ncrop = true").media.video;
    assert_eq!((turned.rotate, turned.flip, turned.crop), (Rotate::Quarter, Flip::Vertical, true));
}

#[test]
fn a_wrong_camera_is_refused_without_showing_its_password() {
    let source = |text: &str, expected: &[&str]| check(&format!("[source]\n{text}"), expected);
    source("kind = 'rtsp'", &["camera.toml: source.url: missing; source.kind = \"rtsp\" needs it"]);
    source(
        "url = 'rtsp://user:hunter2@cam/1'",
        &["camera.toml:4: source.url: must not hold user and password; use source.credential"],
    );
    for url in ["cam/1", "http://cam/1", "rtsp://", "rtsp:///1", "rtsp://a b/", ""] {
        source(
            &format!("url = '{url}'"),
            &["camera.toml:4: source.url: is no rtsp:// or rtsps:// URL"],
        );
    }
    for pin in ["", "sha256", &"ab".repeat(31), &"xy".repeat(32), &"ab".repeat(33)] {
        source(
            &format!("pin = '{pin}'"),
            &["camera.toml:4: source.pin: not a SHA-256 fingerprint of 64 hexadecimal digits"],
        );
    }
    let pin = "ab".repeat(32);
    source(
        &format!("kind = 'rtsp'\nurl = 'rtsp://cam/1'\npin = '{pin}'"),
        &["camera.toml:6: source.pin: would not be used; use an rtsps:// URL, or leave it out"],
    );
    source(
        "kind = 'nvargus'\ndevice = '/dev/video0'",
        &["camera.toml:5: source.device: of source.kind = \"nvargus\" is a number, such as \"0\""],
    );
}

#[test]
fn a_pin_is_for_one_host_and_port() {
    let print = "ab".repeat(32);
    let config = good(&format!(
        "[orchestrator]\ntrust = 'pin'\nurls = ['https://o.example:8935']\npins = {{ 'O.example' = '{print}' }}"
    ));
    let TrustOptions::Pin(pins) = config.trust else { panic!("{:?}", config.trust) };
    let pins: Vec<String> = pins.iter().map(|(host, print)| format!("{host} {print}")).collect();
    assert_eq!(pins, [format!("o.example:8935 {print}")]);
}

#[test]
fn environment_overrides_file_and_arguments_override_both() {
    let file = "[video]\nfps = 10\nwidth = 320\nheight = 240";
    let environment = [("LIVEPEER_EDGE_VIDEO_FPS", "11"), ("LIVEPEER_EDGE_VIDEO_WIDTH", "640")];
    let arguments = [("video.fps", "12")];
    let config = resolve(&layers(file, &environment, &arguments), Purpose::Demo).expect("right");
    let video = &config.media.video;
    assert_eq!((video.fps, video.width, video.height), (12, 640, 240));
    assert_eq!(video.bitrate, 2_000_000, "the default");
}

#[test]
fn values_of_environment_and_arguments_are_plain_text() {
    let environment = [
        ("LIVEPEER_EDGE_ORCHESTRATOR_URLS", "a.example, b.example,"),
        ("LIVEPEER_EDGE_SOURCE_REPEAT", "true"),
        ("LIVEPEER_EDGE_VIDEO_BITRATE", "1500000"),
        ("LIVEPEER_EDGE_JOB_STREAM_ID", "7"),
    ];
    let arguments = [("job.params", r#"{"prompt": "a cat"}"#), ("video.segment", "1s")];
    let config = resolve(&layers("", &environment, &arguments), Purpose::Demo).expect("right");
    assert_eq!(config.orchestrators.len(), 2);
    assert_eq!(config.media.video.bitrate, 1_500_000);
    assert_eq!(config.media.video.segment, Duration::from_secs(1));
    assert_eq!(config.job.params["prompt"], "a cat");
    assert_eq!(config.job.stream_id.as_deref(), Some("7"));
}

#[test]
fn the_default_state_directory_is_that_of_systemd_or_of_the_user() {
    #[track_caller]
    fn check(environment: &[(&str, &str)], expected: Option<&str>) {
        let config = resolve(&layers("", environment, &[]), Purpose::Demo).expect("right");
        assert_eq!(config.state_directory, expected.map(PathBuf::from));
    }
    let home = ("HOME", "/home/pi");
    check(&[home], Some("/home/pi/.local/state/livepeer-edge"));
    check(&[home, ("XDG_STATE_HOME", "/state")], Some("/state/livepeer-edge"));
    check(&[home, ("XDG_STATE_HOME", "relative")], Some("/home/pi/.local/state/livepeer-edge"));
    check(&[home, ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], Some("/var/lib/a"));
    check(&[home, ("LIVEPEER_EDGE_STATE_DIRECTORY", "/mine")], Some("/mine"));
    check(&[("HOME", "")], None);
    check(&[], None);
}

// ---------------------------------------------------------------------------------------------
// Mistakes
// ---------------------------------------------------------------------------------------------

#[test]
fn all_problems_are_reported_at_once_with_line_key_and_allowed_values() {
    let file = "\
[source]
kind = \"webcam\"
repeat = 1
[video]
fps = 90
width = 641
bitrate = \"2 MB/s\"
segment = 2
colour = \"red\"
[orchestrator]
urls = [\"ftp://o.example\"]
[sorce]
kind = \"test\"
";
    let environment = [("LIVEPEER_EDGE_VIDEO_HEIGHT", "tall"), ("LIVEPEER_EDGE_LOG_LEVL", "info")];
    let arguments = [("encoder.speed", "slow"), ("encoder.sped", "slow")];
    let problems =
        resolve(&layers(file, &environment, &arguments), Purpose::Run).expect_err("wrong");
    let expected = [
        "camera.toml: job.model: missing; a job needs a model",
        "camera.toml:2: source.kind: found \"webcam\"; allowed: test, auto, file, v4l2, libcamera, \
         nvargus, rtsp, pipeline",
        "camera.toml:3: source.repeat: found 1; allowed: true, false",
        "camera.toml:5: video.fps: found 90; allowed: 1 to 60 frames/s",
        "camera.toml:6: video.width: found 641; allowed: even, 64 to 3840 pixels",
        "camera.toml:7: video.bitrate: found \"2 MB/s\"; allowed: 100 kbit/s to 50 Mbit/s",
        "camera.toml:8: video.segment: found 2; allowed: 1 s to 10 s, with its unit",
        "camera.toml:9: video.colour: no such key; known: video.width, video.height, video.fps, \
         video.bitrate, video.min-bitrate, video.max-bitrate, video.max-latency, video.segment, video.rotate, video.flip, video.crop",
        "camera.toml:11: orchestrator.urls: scheme `ftp` is not supported; use https",
        "camera.toml:13: sorce.kind: no such key; known: source, video, encoder, audio, network, orchestrator, job, motion, \
         access, discovery, signer, services, payment, runner, output, store, status, log, state, api, mqtt, events",
        "$LIVEPEER_EDGE_LOG_LEVL: no such key; known: log.level",
        "$LIVEPEER_EDGE_VIDEO_HEIGHT: video.height: found \"tall\"; allowed: even, 64 to 2160 pixels",
        "--encoder.sped: no such key; known: encoder.element, encoder.speed",
        "--encoder.speed: found \"slow\"; allowed: ultrafast, superfast, veryfast",
    ];
    assert_eq!(shown(&problems), expected);
}

#[test]
fn masks_are_lists_of_corners_and_each_mistake_has_its_line() {
    let masks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let two = good("[source]\nmasks = [\n  '0,0 0.25,0.5',\n  '0.5,0.5 1,.6 0.7,0.9',\n]");
    assert_eq!(two.media.video.masks, masks(&["0,0 0.25,0.5", "0.5,0.5 1,0.6 0.7,0.9"]));
    assert!(good("[source]\nmasks = []").media.video.masks.is_empty());
    let variable = [("LIVEPEER_EDGE_SOURCE_MASKS", "0,0 0.25,0.5; 0.5,0.5 1,.6 0.7,0.9")];
    let config = resolve(&layers("", &variable, &[]), Purpose::Demo).unwrap();
    assert_eq!(config.media.video.masks, two.media.video.masks);

    check(
        "[source]\nmasks = ['0,0 1,1', '0,0 1,1.5']",
        &["camera.toml:4: source.masks: mask 2 has \"1,1.5\", which is no corner: \
           write x,y with numbers from 0 to 1, such as 0.25,0.5"],
    );
    check(
        "[source]\nkind = 'test'\nmasks = ['0,0']",
        &["camera.toml:5: source.masks: mask 1 has the wrong number of corners (1): \
           write two opposite corners of a rectangle, or 3 to 64 of a polygon, such as \"0,0 0.25,0.5\""],
    );
    check(
        "[source]\nmasks = ['0,0 1,0 0.5,0']",
        &["camera.toml:4: source.masks: mask 1 has no area: its corners are all on one line"],
    );
    let many = format!("[source]\nmasks = [{}]", "'0,0 1,1', ".repeat(33));
    check(&many, &["camera.toml:4: source.masks: has 33 masks; at most 32 are possible"]);
    let kinds = "found a list; allowed: list of masks";
    check("[source]\nmasks = [[0, 0, 1, 1]]", &[&format!("camera.toml:4: source.masks: {kinds}")]);
    check(
        "[source]\nmasks = '0,0 1,1'",
        &["camera.toml:4: source.masks: found \"0,0 1,1\"; allowed: list of masks"],
    );
}

#[test]
fn bounds_are_inclusive() {
    check("[video]\nfps = 1\nwidth = 64\nheight = 2160\nbitrate = 100000\nsegment = '10s'", &[]);
    check("[video]\nfps = 0", &["camera.toml:4: video.fps: found 0; allowed: 1 to 60 frames/s"]);
    check("[video]\nfps = -1", &["camera.toml:4: video.fps: found -1; allowed: 1 to 60 frames/s"]);
    check(
        "[video]\nfps = 24.0",
        &["camera.toml:4: video.fps: found 24.0; allowed: 1 to 60 frames/s"],
    );
    check(
        "[video]\nfps = \"24\"",
        &["camera.toml:4: video.fps: found \"24\"; allowed: 1 to 60 frames/s"],
    );
    check(
        "[video]\nfps = 4294967320",
        &["camera.toml:4: video.fps: found 4294967320; allowed: 1 to 60 frames/s"],
    );
    check(
        "[video]\nbitrate = 50000001\nsegment = '999ms'",
        &[
            "camera.toml:4: video.bitrate: found 50000001; allowed: 100 kbit/s to 50 Mbit/s",
            "camera.toml:5: video.segment: found \"999ms\"; allowed: 1 s to 10 s, with its unit",
        ],
    );
}

#[test]
fn the_bitrate_stays_between_its_bounds() {
    let bounds = |file: &str| {
        let media = good(file).media;
        let Bounds { min: least, start, max: most } = media.bitrates.bounds(media.video.bitrate);
        [least, start, most]
    };
    assert_eq!(bounds(""), [250_000, 2_000_000, 2_000_000]);
    assert_eq!(bounds("[video]\nbitrate = 300_000"), [100_000, 300_000, 300_000]);
    let all = "[video]\nbitrate = 3_000_000\nmin-bitrate = 50_000\nmax-bitrate = 5_000_000";
    assert_eq!(bounds(all), [50_000, 3_000_000, 5_000_000]);
    check(
        "[video]\nmin-bitrate = 2_000_001\nmax-bitrate = 1_999_999",
        &[
            "camera.toml:4: video.min-bitrate: must not be more than video.bitrate",
            "camera.toml:5: video.max-bitrate: must not be less than video.bitrate",
        ],
    );
}

#[test]
fn a_text_that_is_not_toml_is_reported_with_its_line() {
    check(
        "[video]\nfps =\nwidth = 3",
        &[
            "camera.toml:4: video.fps: not TOML: string values must be quoted, expected literal string",
            "camera.toml:5: video.width: found 3; allowed: even, 64 to 3840 pixels",
        ],
    );
    check("[video]\nfps = 1\nfps = 2", &["camera.toml:5: not TOML: duplicate key"]);
    check("[video\nfps = 1", &["camera.toml:3: not TOML: unclosed table, expected `]`"]);
}

#[test]
fn a_source_without_a_key_of_its_kind_is_refused() {
    check(
        "source.kind = 'file'",
        &["camera.toml: source.path: missing; source.kind = \"file\" needs it"],
    );
    check(
        "source.kind = 'v4l2'",
        &["camera.toml: source.device: missing; source.kind = \"v4l2\" needs it"],
    );
    check(
        "source.kind = 'pipeline'",
        &["camera.toml: source.fragment: missing; source.kind = \"pipeline\" needs it"],
    );
    // An empty value is reported once: not also as missing.
    check("[source]\nkind = 'file'\npath = ''", &["camera.toml:5: source.path: must not be empty"]);
}

#[test]
fn texts_that_cannot_be_names_or_paths_are_refused() {
    check(
        "encoder.element = 'x264enc ! fakesink'",
        &[
            "camera.toml:3: encoder.element: is no name of a GStreamer element; use auto, or a name such as \
         x264enc",
        ],
    );
    check("job.stream-id = ' '", &["camera.toml:3: job.stream-id: must not be empty"]);
    check(
        "output.path = \"a\\u0000b\"",
        &["camera.toml:3: output.path: must not contain a NUL character"],
    );
    check(
        "source.path = ['a']",
        &["camera.toml:3: source.path: found a list; allowed: path or file:// URL of a file"],
    );
}

#[test]
fn trust_options_that_contradict_each_other_are_refused() {
    let print = "ab".repeat(32);
    check(
        "orchestrator.trust = 'pin'",
        &[
            "camera.toml: orchestrator.pins: missing; trust = \"pin\" needs a fingerprint for o.example:8935",
        ],
    );
    check(
        &format!(
            "orchestrator.trust = 'pin'\norchestrator.pins = {{ 'other.example' = '{print}' }}"
        ),
        &[
            "camera.toml:4: orchestrator.pins: missing; trust = \"pin\" needs a fingerprint for o.example:8935",
        ],
    );
    check(
        &format!("orchestrator.pins = {{ 'o.example' = '{print}' }}"),
        &[
            "camera.toml:3: orchestrator.pins: would not be used; set orchestrator.trust = \"pin\", or leave it out",
        ],
    );
    check(
        "[orchestrator.pins]\n'o.example' = 'ab:cd'",
        &[
            "camera.toml:3: orchestrator.pins: \"o.example\": not a SHA-256 fingerprint of 64 hexadecimal digits",
        ],
    );
}

#[test]
fn a_run_needs_an_orchestrator_and_a_model_a_demo_does_not() {
    let nothing = Layers::default();
    let problems = resolve(&nothing, Purpose::Run).expect_err("missing");
    assert_eq!(
        shown(&problems),
        [
            "configuration: orchestrator.urls: missing; a job needs an orchestrator",
            "configuration: job.model: missing; a job needs a model",
        ]
    );
    assert!(resolve(&nothing, Purpose::Demo).is_ok());
}

#[test]
fn a_discovery_strategy_replaces_the_list_of_orchestrators() {
    for way in [
        "access.token = 'env:TOKEN'",
        "discovery.url = 'd.example/list?x=1'",
        "signer.urls = ['s.example']",
    ] {
        let layers = layers(&format!("{way}\njob.model = 'm'"), &[], &[]);
        assert!(resolve(&layers, Purpose::Run).is_ok(), "{way}");
        assert!(resolve(&layers, Purpose::Find).is_ok(), "{way}");
    }
    assert!(resolve(&Layers::default(), Purpose::Local).is_ok());
    let problems = resolve(&Layers::default(), Purpose::Find).expect_err("missing");
    assert_eq!(problems.len(), 1);
    let runner = layers("signer.urls = ['s.example']\nrunner.app = 'echo'", &[], &[]);
    assert!(resolve(&runner, Purpose::Run).is_ok(), "an app takes the place of a model");
}

#[test]
fn keys_of_access_and_runner_reach_the_configuration() {
    let config = good(
        r#"
        access.token = "file:/run/token"
        discovery.url = "https://d.example/list?key=1"
        discovery.headers = { x-key = "env:KEY" }
        signer.urls = ["s.example", "http://127.0.0.1:8081"]
        signer.headers = { Authorization = "credential:signer" }
        services.ca-file = "/etc/ca.pem"
        services.pins = { 's.example' = 'PRINT' }
        payment.max-price = "1200 wei per second"
        payment.app = "door"
        [runner]
        app = "livepeer-example/echo"
        gpu = "NVIDIA L40S"
        output = "/result"
        update = "answer:/update"
        "#
        .replace("PRINT", &"ab".repeat(32))
        .as_str(),
    );
    let access = &config.access;
    assert_eq!(access.token, Some(SecretSource::File("/run/token".into())));
    assert_eq!(access.discovery.as_ref().expect("a URL").path(), "/list?key=1");
    assert_eq!(access.discovery_headers[0].1, SecretSource::Environment("KEY".into()));
    let signers: Vec<String> = access.signers.iter().map(ToString::to_string).collect();
    assert_eq!(signers, ["https://s.example:443", "http://127.0.0.1:8081"]);
    assert_eq!(access.signer_headers[0].0, "authorization");
    assert_eq!(access.services.pins.keys().next().expect("a pin").to_string(), "s.example:443");
    assert_eq!(access.max_price.expect("a price").to_string(), "1200 wei per second");
    let runner = config.runner.expect("a runner");
    assert_eq!(runner.options.gpu.as_deref(), Some("NVIDIA L40S"));
    assert_eq!(runner.options.max_price, access.max_price);
    assert_eq!(
        (runner.api.start.as_str(), runner.api.publish.to_string()),
        ("/echo", "/in".into())
    );
    assert_eq!(runner.api.output.expect("a pointer").to_string(), "/result");
    assert!(matches!(runner.api.update, Some(UpdateTarget::Answer(_))));
}

#[test]
fn a_custom_runner_profile_needs_all_its_keys() {
    let config = good("runner = { app = 'a', profile = 'own', start = '/go', publish = '/p' }");
    let api = config.runner.expect("a runner").api;
    assert_eq!((api.output, api.update), (None, None));
    let layers = layers("runner = { app = 'a', profile = 'own' }", &[], &[]);
    let problems = shown(&resolve(&layers, Purpose::Demo).expect_err("missing"));
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_wrong_credential_or_url_is_refused_without_showing_the_secret() {
    for (file, words) in [
        ("access.token = 'hunter2'", "access.token: does not name the place of a secret"),
        (
            "signer.headers = { authorization = 'Bearer hunter2' }",
            "\"authorization\" does not name the place",
        ),
        ("signer.headers = { 'a b' = 'env:X' }", "is not a header name"),
        ("signer.urls = ['https://me:hunter2@s.example']", "must not hold a user name"),
        ("signer.urls = ['https://s.example?hunter2']", "must not have a query"),
        ("discovery.url = 'ftp://d.example/?hunter2'", "scheme `ftp`"),
        ("signer.urls = ['http://s.example']", "s.example:80 is another computer on plain HTTP"),
        ("discovery.url = 'http://d.example/?hunter2'", "d.example:80 is another computer"),
        ("services.pins = { 's.example' = 'ab' }", "not a SHA-256"),
        ("payment.max-price = '5'", "is not a price"),
        ("payment.max-price = '5 usd per call'", "only wei is supported"),
        ("runner.start = '/../stop'", "is not a path"),
        ("runner.publish = 'in'", "is not a JSON pointer"),
        ("runner.update = 'update'", "is not a path"),
        ("job.model = 'm'\nrunner.app = 'a'", "not both"),
    ] {
        let layers = layers(file, &[], &[]);
        let problems = shown(&resolve(&layers, Purpose::Demo).expect_err(file));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(words), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
    let open = "signer.urls = ['http://s.example']\nservices.allow-plain-http = true";
    assert!(good(open).access.allow_plain_http);
}

#[test]
fn an_orchestrator_without_tls_is_refused() {
    let layers = layers("orchestrator.urls = ['http://o.example:80']", &[], &[]);
    let problems = resolve(&layers, Purpose::Demo).expect_err("wrong");
    assert_eq!(
        shown(&problems),
        [
            "camera.toml:1: orchestrator.urls: http://o.example:80: orchestrators speak TLS only; use https",
        ]
    );
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    for bad in ["https://me:hunter2@o.example", "https://o.example/?token=hunter2"] {
        let layers = layers(&format!("orchestrator.urls = ['{bad}']"), &[], &[]);
        let problems = shown(&resolve(&layers, Purpose::Demo).expect_err("wrong"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn a_misspelt_variable_is_refused_and_the_right_name_suggested() {
    for name in ["LIVEPEER_EDGE_FPS", "livepeer_edge_video_fps"] {
        let problems = resolve(&layers("", &[(name, "11")], &[]), Purpose::Demo);
        let expected = format!("${name}: no such key; is LIVEPEER_EDGE_VIDEO_FPS meant?");
        assert_eq!(shown(&problems.expect_err("wrong")), [expected]);
    }
    // A variable is accepted if a key names it as the place of a secret.
    let text =
        "[source]\nkind = 'rtsp'\nurl = 'rtsp://cam/1'\ncredential = 'env:LIVEPEER_EDGE_CAM'";
    let environment = [("LIVEPEER_EDGE_CAM", "me:secret")];
    assert!(resolve(&layers(text, &environment, &[]), Purpose::Demo).is_ok());
}

#[test]
fn variables_of_other_programs_with_our_prefix_are_ignored() {
    let environment =
        [("LIVEPEER_EDGE_SERVICE_HOST", "10.0.0.1"), ("LIVEPEER_EDGE_PORT", "tcp://x")];
    assert!(resolve(&layers("", &environment, &[]), Purpose::Demo).is_ok());
}

#[test]
fn hostile_texts_give_problems_and_never_a_panic() {
    let example = document::example().replace("\n#", "\n");
    // All 23,500 ends would take minutes. The step is a prime number: an end falls on each place of a line sometimes.
    for end in (0..example.len()).step_by(97) {
        if example.is_char_boundary(end) {
            let _ = resolve(&layers(&example[..end], &[], &[]), Purpose::Run);
        }
    }
    for text in
        ["\0", "=", "[[video]]", "video = 3", "[video.fps]\na = 1", "\u{feff}a", "''.'' = 1"]
    {
        assert!(resolve(&layers(text, &[], &[]), Purpose::Demo).is_err(), "{text:?}");
    }
    let deep = format!("job.params = {{ a = {}{} }}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(resolve(&layers(&deep, &[], &[]), Purpose::Demo).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = io::load(Some(Path::new("/nowhere/camera.toml")), Vec::new(), Purpose::Demo);
    let error = error.expect_err("no such file");
    assert_eq!(error.to_string(), "cannot read configuration /nowhere/camera.toml");
    assert!(std::error::Error::source(&error).is_some());
    let endless = io::load(Some(Path::new("/dev/zero")), Vec::new(), Purpose::Demo);
    assert!(matches!(endless, Err(Error::TooLong(_))), "{endless:?}");
}

// ---------------------------------------------------------------------------------------------
// Generated documents
// ---------------------------------------------------------------------------------------------

#[test]
fn the_defaults_in_the_table_are_those_of_the_code() {
    let defaults: String = keys()
        .filter_map(|key| match key.initial {
            Initial::Is(value) => Some(format!("{} = {value}\n", key.name)),
            Initial::Unset { .. } => None,
        })
        .collect();
    assert_eq!(good(&defaults), good(""));
    assert_eq!(good("").media, media::Options::default());
}

#[test]
fn the_example_file_contains_the_defaults_and_its_commented_keys_parse() {
    let example = read(EXAMPLE);
    assert_eq!(good(&example), good(""));
    // A line `# text` is an explanation, and a line `#key = value` is a default.
    let lines = example.lines().map(|line| match line.strip_prefix('#') {
        Some(value) if !value.starts_with(' ') => value,
        _ => line,
    });
    let all: String = lines.map(|line| format!("{line}\n")).collect();
    let named: BTreeMap<&str, bool> =
        keys().map(|key| (key.name, all.contains(&format!("\n{} = ", key.short())))).collect();
    assert!(named.values().all(|is_there| *is_there), "{named:?}");
    let problems = resolve(&layers(&all, &[], &[]), Purpose::Run).err().unwrap_or_default();
    // With all defaults set, the only problems are keys that exclude each other: trust = "tofu" and a pin; a job at all
    // times and a schedule; a model and a runner's app.
    let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
    let outputs = ["output.path", "output.url", "output.credential", "output.fragment"];
    let others = ["orchestrator.pins", "job.schedule", "runner.app"];
    assert_eq!(keys, [&others[..], &outputs].concat());
}

#[test]
fn variables_of_keys_are_unique() {
    let variables: BTreeMap<String, &str> = keys().map(|key| (key.variable(), key.name)).collect();
    assert_eq!(variables.len(), keys().count());
}

/// Asserts that a generated document is up to date. `UPDATE_DOCS=1 cargo test --test config` writes the document.
#[track_caller]
fn assert_written(path: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::write(path, expected).expect("a writable checkout");
    }
    assert_eq!(
        read(path),
        expected,
        "{path} is out of date; run UPDATE_DOCS=1 cargo test --test config"
    );
}

#[test]
fn the_example_file_is_written_from_the_table() {
    assert_written(EXAMPLE, &document::example());
}

#[test]
fn the_manual_page_has_every_key_with_what_it_allows_and_its_default() {
    let page = help::text(Topic::Man).replace("\\-", "-").replace("\\e", "\\");
    for key in keys() {
        let default = match key.initial {
            Initial::Is(value) => format!("default {value}"),
            Initial::Unset { means, .. } => means.to_owned(),
        };
        let (name, what, allowed) = (key.name, key.what, key.takes.allowed());
        let entry = format!("\n.TP\n\\fB{name}\\fR\n{what} Allowed: {allowed}; {default}.\n");
        assert!(page.contains(&entry), "the manual page lacks {entry}");
    }
}
