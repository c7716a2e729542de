//! The configuration of several outputs: what is accepted, what is refused with which line, and what
//! `last-working.toml` contains.
//!
//! Does not: open outputs; `outputs` and `output_kinds` do.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use livepeer_edge::config::{Config, Layers, Problem, Purpose, Resolved, StreamOf, resolve_all};
use media::{Address, Feed, Numbered, StreamTarget, Target};
use resilience::secret::SecretSource;

fn read(file: &str, arguments: &[(&str, &str)]) -> Result<Resolved, Vec<Problem>> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let layers = Layers {
        file: Some(("camera.toml".to_owned(), file.to_owned())),
        arguments: arguments.iter().map(owned).collect(),
        ..Layers::default()
    };
    resolve_all(&layers, Purpose::Demo)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn good(file: &str, arguments: &[(&str, &str)]) -> Resolved {
    read(file, arguments).unwrap_or_else(|problems| panic!("{:#?}", shown(&problems)))
}

/// Names and targets.
fn outputs(config: &Config) -> Vec<(String, Target)> {
    config.outputs.iter().map(|output| (output.name.clone(), output.target.clone())).collect()
}

#[track_caller]
fn refused(file: &str, expected: &[&str]) {
    let problems = read(file, &[]).err().unwrap_or_default();
    assert_eq!(shown(&problems), expected, "{file}");
}

const EIGHT: &str = r#"
    [[output]]
    path = "/srv/out.ts"
    [[output]]
    path = "/srv/out.mp4"
    file-time = "10min"
    max-size = 100
    [[output]]
    kind = "rtmp"
    name = "studio"
    credential = "file:/etc/studio"
    [[output]]
    kind = "rtsp"
    url = "rtsp://media.example/live"
    [[output]]
    kind = "srt"
    url = "srt://:7001?mode=listener"
    [[output]]
    kind = "udp"
    url = "udp://239.1.2.3:5004"
    stream = "input"
    [[output]]
    kind = "pipeline"
    fragment = "fakesink"
    feed = "video"
    [[output]]
    kind = "display"
"#;

#[test]
fn each_output_table_is_an_output() {
    let numbered = Numbered {
        path: "/srv/out.mp4".into(),
        file_bytes: None,
        file_time: Some(Duration::from_secs(600)),
        max_files: None,
        max_bytes: Some(100_000_000),
    };
    let plain = |url: &str| Address::Plain(url.to_owned());
    let fragment = "fakesink".to_owned();
    let studio = Address::Secret(SecretSource::File("/etc/studio".into()));
    let expected = [
        ("/srv/out.ts", Target::File("/srv/out.ts".into())),
        ("/srv/out.mp4", Target::Numbered(numbered)),
        ("studio", Target::Stream(StreamTarget::Rtmp(studio))),
        ("rtsp-4", Target::Stream(StreamTarget::Rtsp(plain("rtsp://media.example/live")))),
        ("srt-5", Target::Stream(StreamTarget::Srt(plain("srt://:7001?mode=listener")))),
        ("udp-6", Target::Udp("239.1.2.3:5004".to_owned())),
        ("pipeline-7", Target::Stream(StreamTarget::Pipeline { fragment, feed: Feed::Video })),
        ("display-8", Target::Stream(StreamTarget::Display)),
    ];
    let expected = expected.map(|(name, target)| (name.to_owned(), target));
    let eight = good(EIGHT, &[]);
    assert_eq!(outputs(&eight.config), expected);
    // The text saved from a working configuration gives the same configuration.
    assert_eq!(good(&eight.text("# kept\n"), &[]).config, eight.config);
}

#[test]
fn an_output_fed_by_the_input_plays_the_camera_without_a_job() {
    let eight = good(EIGHT, &[]).config;
    let inputs = eight.outputs.iter().filter(|output| output.stream == StreamOf::Input);
    assert_eq!((inputs.count(), eight.media.records), (1, true));
    assert!(!good("[[output]]\npath = '-'", &[]).config.media.records);
}

#[test]
fn arguments_add_an_output_to_those_of_the_file() {
    let more = good("[[output]]\npath = '-'", &[("output.path", "/tmp/more.ts")]);
    let names: Vec<String> = outputs(&more.config).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["/tmp/more.ts", "-"]);
    assert_eq!(good(&more.text(""), &[]).config.outputs, more.config.outputs);
    let kind = [("output.kind", "udp"), ("output.url", "udp://h:1")];
    assert_eq!(outputs(&good("", &kind).config)[0].1, Target::Udp("h:1".to_owned()));
}

#[test]
fn every_problem_of_every_output_is_reported_at_its_line() {
    refused(
        "[[output]]\nkind = 'rtmp'\n[[output]]\nkind = 'file'\nurl = 'rtmp://h/x'\n[[output]]\n",
        &[
            "camera.toml:2: output.url: missing; this kind of output needs it, or output.credential",
            "camera.toml:4: output.path: missing; output.kind = \"file\" needs it",
            "camera.toml:5: output.url: is not used by this kind of output",
            "camera.toml:6: output.kind: missing; an [[output]] needs it, or output.path",
        ],
    );
    refused(
        "[[output]]\nkind = 'radio'\n[[output]]\ncolour = 1\n",
        &[
            "camera.toml:2: output.kind: found \"radio\"; allowed: file, stdout, display, rtmp, rtsp, srt, udp, pipeline",
            "camera.toml:4: output.colour: no such key; known: output.kind, output.path, output.name, output.stream, \
             output.url, output.credential, output.fragment, output.feed, output.file-size, output.file-time, \
             output.max-files, output.max-size",
        ],
    );
    refused(
        "[output]\nkind = 'udp'\nurl = 'udp://h'\n",
        &["camera.toml:3: output.url: must be udp://HOST:PORT"],
    );
    refused(
        "[output]\npath = '/a.ts'\nmax-files = 3\n",
        &["camera.toml: output.file-time: missing; output.max-files needs it, or output.file-size"],
    );
    refused("[[video]]\nfps = 3\n", &["camera.toml:2: video.fps: no such key; known: output"]);
}

#[test]
fn the_number_of_outputs_is_limited_and_two_cannot_share_a_name_or_target() {
    refused(
        "[[output]]\npath = '/a.ts'\n[[output]]\npath = '/a.ts'\n",
        &["camera.toml:4: output.path: another output writes there too"],
    );
    refused(
        "[[output]]\npath = '/a.ts'\nname = 'a'\n[[output]]\nname = 'a'\npath = '/b.ts'\n",
        &["camera.toml:5: output.name: another output has this name"],
    );
    let nine: String = (0..9).map(|n| format!("[[output]]\npath = '/{n}.ts'\n")).collect();
    refused(&nine, &["camera.toml:18: output: at most 8 outputs are possible"]);
}

#[test]
fn a_password_in_the_url_of_an_output_is_refused_and_not_repeated() {
    for url in ["rtmp://me:hunter2@h/live/x", "srt://h:1?passphrase=hunter2hunter2"] {
        let kind = &url[..url.find(':').expect("a scheme")];
        let file = format!("[output]\nkind = '{kind}'\nurl = '{url}'\n");
        refused(
            &file,
            &[
                "camera.toml:3: output.url: has a password: put the whole URL into a file, and name that in \
               output.credential",
            ],
        );
    }
}
