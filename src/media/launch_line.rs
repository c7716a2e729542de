//! Writes a pipeline as one line for `gst-launch-1.0`, for the log.
//!
//! A description lacks what is set as a property afterwards, and the `!` before elements that are linked when data flow;
//! the line has both. A fragment of the user may contain secrets: the value of a property that may be one becomes
//! `***`, and of an address only scheme and host are left.
//!
//! Does not: run or parse pipelines.

use crate::Source;
use crate::source::SOURCE;

/// Parts of the names of properties that may hold secrets.
const SECRET: [&str; 10] = [
    "pass",
    "secret",
    "token",
    "credential",
    "auth",
    "cookie",
    "header",
    "user",
    "streamid",
    "stream-id",
];
/// Ends of such names.
const SECRET_ENDS: [&str; 3] = ["pw", "-key", "_key"];

/// The line for `description`, the pipeline of `source`.
pub(crate) fn launch_line(description: &str, source: &Source) -> String {
    let name = format!("name={SOURCE}");
    let is_own = !matches!(source, Source::Pipeline { .. });
    let mut line = String::new();
    for word in words(description) {
        let is_element = !word.contains('=') && word != "!";
        if is_own && is_element && !line.is_empty() && !line.ends_with("! ") {
            line.push_str("! ");
        }
        line.push_str(&shown(&word));
        line.push(' ');
        if is_own && word == name {
            line.push_str(&place(source));
        }
    }
    line.trim_end().to_owned()
}

/// The properties of the element [`SOURCE`] that are not in its description.
fn place(source: &Source) -> String {
    match source {
        Source::File { path, .. } => format!("location={:?} ", path.display().to_string()),
        Source::V4l2 { device, .. } => format!("device={:?} ", device.display().to_string()),
        Source::Libcamera { camera: Some(camera) } => format!("camera-name={camera:?} "),
        Source::Rtsp { url, .. } => format!("location={} ", host_of(url)),
        Source::Auto
        | Source::Test
        | Source::Libcamera { camera: None }
        | Source::NvArgus { .. }
        | Source::Pipeline { .. } => String::new(),
    }
}

/// A word without its secrets.
fn shown(word: &str) -> String {
    let Some((name, value)) = word.split_once('=') else { return host_of(word) };
    let lower = name.to_ascii_lowercase();
    let is_secret = SECRET.iter().any(|part| lower.contains(part))
        || SECRET_ENDS.iter().any(|end| lower.ends_with(end));
    if is_secret { format!("{name}=***") } else { format!("{name}={}", host_of(value)) }
}

/// An address without its path and credentials; any other text as it is.
fn host_of(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let quote = if text.starts_with('"') && host.len() + path.len() > 0 { "\"" } else { "" };
    let path = if path.trim_end_matches('"').is_empty() { "" } else { "/***" };
    format!("{scheme}://{}{path}{quote}", host.trim_end_matches('"'))
}

/// The words of a description: separated by white space that is not in quotes, and not around a `=`.
fn words(description: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut rest = description.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_whitespace() && !is_quoted && !is_escaped {
            while rest.next_if(|next| next.is_whitespace()).is_some() {}
            let joins = rest.peek() == Some(&'=') || word.ends_with('=');
            if !joins && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        word.push(c);
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{self, Decided};
    use crate::{CameraFormat, Video};

    #[track_caller]
    fn check(source: &Source, decided: &Decided, expected: &str) {
        let head = source::head(source, &Video::default(), decided);
        assert_eq!(launch_line(&head.text, source), expected);
    }

    #[test]
    fn places_and_links_are_in_the_line() {
        let queue = "queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0";
        let file = Source::File { path: "/srv/a \"b\".mp4".into(), repeat: false };
        check(
            &file,
            &Decided::Nothing,
            "filesrc name=edge_source location=\"/srv/a \\\"b\\\".mp4\" ! decodebin name=edge_decode \
             caps=video/x-raw(ANY) ! identity name=edge_paced sync=true",
        );
        let camera = Source::Rtsp {
            url: "rtsp://viewer:hunter2@10.0.0.7:554/secret?key=1".into(),
            credential: None,
            pin: None,
            format: CameraFormat::Auto,
        };
        let received = "rtspsrc name=edge_source location=rtsp://10.0.0.7:554/*** protocols=tcp \
                        latency=200 timeout=5000000 tcp-timeout=5000000";
        check(
            &camera,
            &Decided::PassThrough(true),
            &format!("{received} ! rtph264depay name=edge_received"),
        );
        check(
            &camera,
            &Decided::PassThrough(false),
            &format!(
                "{received} ! identity name=edge_received ! decodebin name=edge_decode \
                 caps=video/x-raw(ANY) ! {queue} name=edge_paced"
            ),
        );
    }

    #[test]
    fn a_fragment_keeps_its_form_and_loses_its_secrets() {
        #[track_caller]
        fn check(fragment: &str, expected: &str) {
            let source = Source::Pipeline { fragment: fragment.to_owned() };
            assert_eq!(launch_line(fragment, &source), expected);
        }
        check("videotestsrc  !\n tee name=t t. ! queue", "videotestsrc ! tee name=t t. ! queue");
        check(
            "rtspsrc user-id=a user-pw=\"b c\" location=rtsp://d:e@f/g ! decodebin",
            "rtspsrc user-id=*** user-pw=*** location=rtsp://f/*** ! decodebin",
        );
        check(
            "souphttpsrc location = \"https://u:p@h/v?t=1\" cookies=\"a=b\"",
            "souphttpsrc location=\"https://h/***\" cookies=***",
        );
        check(
            "souphttpsrc extra-headers=\"x, Authorization=(string)\\\"Bearer y\\\"\" ! fakesink",
            "souphttpsrc extra-headers=*** ! fakesink",
        );
        check("srtsrc uri=srt://h:1 passphrase=hunter2", "srtsrc uri=srt://h:1 passphrase=***");
        check("srtsrc uri=\"srt://h:1?streamid=x\"", "srtsrc uri=\"srt://h:1/***\"");
        check(
            "x264enc key-int-max=24 ! video/x-h264, profile=main",
            "x264enc key-int-max=24 ! video/x-h264, profile=main",
        );
        check("a password = hunter2", "a password=***");
    }
}
