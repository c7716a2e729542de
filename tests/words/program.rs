//! The rows of the built program: what it logs, and what it ends with, on a sandbox.
//!
//! Does not: play what takes minutes; `tests/faults` does.

use sandbox::{Handle, Options, Sandbox};

use crate::edge::{Edge, SMALL, run, temporary};

fn arguments<'a>(urls: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let job = ["run", "--job.model", "m", "--orchestrator.urls", urls];
    [&job[..], &SMALL, more].concat()
}

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// The log calls a source that is not a camera by its name; the log target is a module path and may say `cameras`.
#[track_caller]
fn assert_calls_it_no_camera(said: &str) {
    assert!(!said.replace("[livepeer_edge::agent::cameras]", "").contains("camera"), "{said}");
}

#[tokio::test]
async fn row_a_pipeline_that_ends_is_no_camera() {
    let sandbox = sandbox();
    let fragment = "videotestsrc is-live=true num-buffers=30";
    let mut edge = Edge::start(&arguments(
        &sandbox.url(),
        &["--source.kind", "pipeline", "--source.fragment", fragment],
    ));
    edge.hear("the source gives no video: the source ended its stream");
    edge.hear("the source gives video again: ");
    edge.signal("TERM");
    let said = edge.end().with_code(0).stderr;
    assert_calls_it_no_camera(&said);
}

#[tokio::test]
async fn row_a_file_that_is_no_film_is_no_camera() {
    let sandbox = sandbox();
    let path = temporary("empty.mp4");
    std::fs::write(&path, "").unwrap();
    let urls = sandbox.url();
    let source = ["--source.kind", "file", "--source.path", path.to_str().unwrap()];
    let mut edge = Edge::start(&arguments(&urls, &source));
    edge.hear("the source gives no video: the input is empty, or nothing that GStreamer knows");
    edge.signal("TERM");
    let said = edge.end().with_code(0).stderr;
    assert_calls_it_no_camera(&said);
    let once = [&source[..], &["--job.on-loss", "exit"]].concat();
    let ended = run(&arguments(&urls, &once)).with_code(1);
    assert_eq!(ended.error(), "error: the input is empty, or nothing that GStreamer knows");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn row_h264_of_a_fragment_that_is_not_fit_to_pass_through() {
    let sandbox = sandbox();
    let fragment = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=180,framerate=24/1 \
                    ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=240 ! h264parse";
    let mut edge = Edge::start(&arguments(
        &sandbox.url(),
        &["--source.kind", "pipeline", "--source.fragment", fragment],
    ));
    let remedy = "more than 2 s apart: decode it in source.fragment";
    let line = edge.hear("H.264 passes through, but ");
    assert!(line.starts_with("WARN ") && line.ends_with(remedy), "{line}");
    edge.signal("TERM");
    edge.end().with_code(0);
}
