//! Rows for the built program: starts it against a sandbox and checks its log and its last error.
//!
//! Does not: raise failures that take minutes; `tests/faults` does.

use std::io::{Read as _, Write as _};

use sandbox::{Handle, Options, Sandbox};

use crate::edge::{Edge, SMALL, run, temporary};

fn arguments<'a>(urls: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let job = ["run", "--job.model", "m", "--orchestrator.urls", urls];
    [&job[..], &SMALL, more].concat()
}

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// Asserts that the log does not call the source a camera. The log target is a module path and may contain `cameras`.
#[track_caller]
fn assert_does_not_name_a_camera(said: &str) {
    assert!(!said.replace("[livepeer_edge::agent::cameras]", "").contains("camera"), "{said}");
}

#[tokio::test]
async fn row_a_pipeline_that_ends_is_not_called_a_camera() {
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
    assert_does_not_name_a_camera(&said);
}

#[tokio::test]
async fn row_a_file_without_video_is_not_called_a_camera() {
    let sandbox = sandbox();
    let path = temporary("empty.mp4");
    std::fs::write(&path, "").unwrap();
    let urls = sandbox.url();
    let source = ["--source.kind", "file", "--source.path", path.to_str().unwrap()];
    let mut edge = Edge::start(&arguments(&urls, &source));
    edge.hear("the source gives no video: the input is empty, or has a format that GStreamer does not know");
    edge.signal("TERM");
    let said = edge.end().with_code(0).stderr;
    assert_does_not_name_a_camera(&said);
    let once = [&source[..], &["--job.on-loss", "exit"]].concat();
    let ended = run(&arguments(&urls, &once)).with_code(1);
    assert_eq!(
        ended.error(),
        "error: the input is empty, or has a format that GStreamer does not know"
    );
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

#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &str) {
    assert_eq!(run(arguments).with_code(code).error(), format!("error: {expected}"));
}

#[test]
fn row_access_that_cannot_be_used() {
    let urls = ["discover", "--orchestrator.urls", "127.0.0.1:1"];
    let check = |more: &[&str], expected: &str| check(&[&urls[..], more].concat(), 1, expected);
    let unset = "environment variable LE_NOT_SET is not set; it must contain a secret";
    check(&["--access.token", "env:LE_NOT_SET"], unset);
    let token = temporary("token");
    std::fs::write(&token, "hunter2!").unwrap();
    let place = format!("file:{}", token.display());
    check(&["--access.token", &place], "access token is not base64; copy it whole");
    let file = token.to_str().unwrap();
    let no_authority =
        format!("{file}: no certificate authorities in PEM form: the file has no certificate");
    check(&["--services.ca-file", file], &no_authority);
    let headers = r#"{"Authorization":"env:LE_NOT_SET"}"#;
    check(&["--signer.urls", "https://127.0.0.1:1", "--signer.headers", headers], unset);
    std::fs::remove_file(token).unwrap();
}

/// Answers one connection with `answer`; returns the address.
fn answers_once(answer: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    });
    address
}

#[test]
fn row_an_agent_that_cannot_be_asked() {
    let check = |answer: &'static str, more: &[&str], expected: &str| {
        let address = answers_once(answer);
        let arguments = [&["status", "--api.listen", &address], more].concat();
        check(&arguments, 1, &expected.replace("ADDRESS", &format!("http://{address}")));
    };
    let foreign =
        "ADDRESS is not livepeer-edge: its answer is not understood; set api.listen or --config";
    check("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", &[], foreign);
    check("SSH-2.0-OpenSSH_9.2\r\n", &[], foreign);
    let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 37\r\n\r\n\
                   {\"error\":{\"message\":\"token is wrong\"}}";
    check(refused, &[], "the agent refuses: token is wrong");
    let unset = "api.token: environment variable LE_NOT_SET is not set; it must contain a secret";
    check("", &["--api.token", "env:LE_NOT_SET"], unset);
}

#[test]
fn row_calls_with_wrong_arguments() {
    let call = ["call", "--app", "a", "--orchestrator.urls", "127.0.0.1:1", "--data"];
    let large = temporary("large");
    std::fs::File::create(&large).unwrap().set_len((32 << 20) + 1).unwrap();
    let path = large.to_str().unwrap();
    check(&[&call[..], &[path]].concat(), 1, &format!("{path} is longer than 33554432 bytes"));
    let typed = [&call[..], &[path, "--type", "a\n"]].concat();
    check(&typed, 2, "--type: `a\\n` is not a media type; write one such as image/png");
    std::fs::remove_file(large).unwrap();
}

#[test]
fn row_a_sandbox_on_a_port_that_is_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let expected =
        format!("sandbox: {address} is in use; choose another port, or 0 for a free one");
    let text = run(&["sandbox", "--listen", &address]).with_code(1).error().to_owned();
    assert!(text.starts_with(&format!("error: {expected}")), "{text}");
}

/// The error for a path below a file does not say that a configuration exists there.
#[test]
fn row_a_setup_that_cannot_write() {
    let file = temporary("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("a.toml");
    let path = path.to_str().unwrap();
    let keys = ["--orchestrator.urls", "127.0.0.1:1", "--job.model", "m"];
    let text = run(&[&["setup", "--config", path][..], &keys].concat()).with_code(1);
    let expected = format!("error: cannot write {path}: ");
    assert!(text.error().starts_with(&expected), "{}", text.stderr);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn row_trust_without_pins() {
    let nowhere = [("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", ""), ("HOME", "")];
    let ended = Edge::start_with(&["trust", "list"], &nowhere).end().with_code(1);
    assert_eq!(
        ended.error(),
        "error: no certificates are kept without a state directory; set state.directory"
    );
    check(
        &["trust", "forget", "o.example"],
        1,
        "no certificate is pinned for `o.example`; `trust list` shows all",
    );
}

#[test]
fn row_a_variable_that_is_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let value = std::ffi::OsStr::from_bytes(b"\xff");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_livepeer-edge"))
        .arg("devices")
        .env("LIVEPEER_EDGE_JOB_MODEL", value)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said, "error: environment variable LIVEPEER_EDGE_JOB_MODEL is not UTF-8\n");
}

#[test]
fn row_no_list_of_orchestrators() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let url = format!("http://{address}/list");
    let job = ["run", "--job.model", "m", "--job.on-loss", "exit", "--discovery.url", &url];
    let ended = run(&[&job[..], &SMALL].concat()).with_code(1);
    let expected = format!(
        "error: no orchestrator found: {address}: connection refused; nothing listens on this port"
    );
    assert_eq!(ended.error(), expected);
}
