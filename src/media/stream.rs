//! Describes the pipelines of outputs that GStreamer writes, and keeps secrets out of their errors.
//!
//! Each begins with an `appsrc` that is fed with MPEG-TS, and ends with the sink. The video is not encoded again. Sound
//! is added while the pipeline runs, if the stream has any that the output takes.
//!
//! Does not: build pipelines; `io::stream` does.

use crate::presentable::presentable;
use crate::target::{Feed, StreamTarget};

/// The element that is fed.
pub(crate) const FED: &str = "fed";
/// The element that finds the streams in MPEG-TS.
pub(crate) const DEMUX: &str = "demux";
/// The element that sound is linked to.
pub(crate) const MUX: &str = "mux";
/// The last element.
pub(crate) const SINK: &str = "sink";

const HEAD: &str =
    "appsrc name=fed format=bytes caps=video/mpegts,systemstream=true,packetsize=188";
const VIDEO: &str = "tsdemux name=demux ! h264parse";
const PICTURES: &str = "decodebin ! videoconvert";

/// The description of a pipeline for `stream`. Set addresses on [`SINK`] afterwards.
pub(crate) fn description(stream: &StreamTarget) -> String {
    match stream {
        StreamTarget::Display => {
            format!("{HEAD} ! {PICTURES} ! autovideosink name=sink sync=false")
        }
        StreamTarget::Rtmp(_) => {
            format!(
                "{HEAD} ! {VIDEO} ! flvmux name=mux streamable=true ! rtmp2sink name=sink sync=false"
            )
        }
        StreamTarget::Rtsp(_) => {
            format!("{HEAD} ! {VIDEO} config-interval=-1 ! rtspclientsink name=sink protocols=tcp")
        }
        StreamTarget::Srt(_) => {
            format!("{HEAD} ! srtsink name=sink sync=false wait-for-connection=false")
        }
        StreamTarget::Pipeline { fragment, feed: Feed::Ts } => format!("{HEAD} ! {fragment}"),
        StreamTarget::Pipeline { fragment, feed: Feed::Video } => {
            format!("{HEAD} ! {PICTURES} ! {fragment}")
        }
    }
}

/// The description of a pipeline that writes MP4 in fragments, so that a file that was not closed is playable.
pub(crate) fn mp4() -> String {
    format!(
        "{HEAD} ! {VIDEO} ! mp4mux name=mux fragment-duration=1000 streamable=true ! fdsink name=sink sync=false"
    )
}

/// The schemes that the URL of a stream may have.
pub fn schemes(stream: &StreamTarget) -> &'static [&'static str] {
    match stream {
        StreamTarget::Rtmp(_) => &["rtmp", "rtmps"],
        StreamTarget::Rtsp(_) => &["rtsp", "rtsps"],
        StreamTarget::Srt(_) => &["srt"],
        StreamTarget::Display | StreamTarget::Pipeline { .. } => &[],
    }
}

/// Whether `url` has one of the schemes, and a host or a query behind it. RTMP needs an application and a stream, too.
pub fn is_address(url: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let parts = rest.split('/').filter(|part| !part.is_empty()).count();
    let is_whole = parts >= if scheme.starts_with("rtmp") { 3 } else { 1 };
    schemes.contains(&scheme) && is_whole && !url.contains(|c: char| c.is_whitespace())
}

/// Whether `url` holds what must be kept secret: a password, or a passphrase.
pub fn has_secret(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority.contains('@') || rest.contains("passphrase=")
}

/// `text` as one line, without the parts of the secret `url` that follow its host.
pub(crate) fn redact(text: &str, url: &str) -> String {
    /// Shorter parts are not replaced, because they also occur in ordinary words.
    const SHORTEST: usize = 3;
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let mut parts: Vec<&str> = vec![rest, path.trim_start_matches('/'), user];
    parts.extend(user.split(':'));
    parts.extend(path.split(['/', '?', '&', '=']));
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut text = presentable(text);
    for part in parts.into_iter().filter(|part| part.len() >= SHORTEST) {
        text = text.replace(part, "***");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_url_is_left_in_an_error() {
        let check = |text: &str, url: &str, expected: &str| assert_eq!(redact(text, url), expected);
        let url = "rtmp://a.example/live2/abcd-efgh";
        check(
            "cannot open rtmp://a.example/live2/abcd-efgh now",
            url,
            "cannot open rtmp://*** now",
        );
        check(
            "a.example: stream abcd-efgh of live2\nrefused",
            url,
            "a.example: stream *** of *** refused",
        );
        let url = "rtsp://user:hunter2@b.example:8554/room";
        check("wrong password hunter2 for user", url, "wrong password *** for ***");
        check("b.example:8554 refuses /room", url, "b.example:8554 refuses /***");
        let url = "srt://c.example:7001?passphrase=0123456789&streamid=x";
        check("bad 0123456789", url, "bad ***");
        check("no route to c.example", url, "no route to c.example");
    }

    #[test]
    fn a_url_with_a_password_is_secret() {
        for url in ["rtmp://u:p@h/live/k", "srt://h:1?mode=caller&passphrase=x", "rtsp://u@h/"] {
            assert!(has_secret(url), "{url}");
        }
        for url in ["rtmp://h/live/a@b", "srt://h:1?mode=listener", "rtsp://h:554/x"] {
            assert!(!has_secret(url), "{url}");
        }
    }

    #[test]
    fn an_address_has_a_scheme_of_its_kind() {
        assert!(is_address("srt://:7001?mode=listener", &["srt"]));
        let rtmp = ["rtmp", "rtmps"];
        assert!(is_address("rtmps://live.example/app/key", &rtmp));
        for url in ["rtmp://live.example", "rtmp://live.example/app", "rtmp://live.example/app/"] {
            assert!(!is_address(url, &rtmp), "{url}");
        }
        for url in ["", "srt:", "srt://", "rtmp://h/x", "srt://h:1 ! filesink", "h:1"] {
            assert!(!is_address(url, &["srt"]), "{url}");
        }
    }
}
