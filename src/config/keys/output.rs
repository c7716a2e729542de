//! The keys of an output: `[output]` for one, `[[output]]` for each of several.
//!
//! Does not: decide which keys a kind of output needs; `outputs` does.

use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::config::options::StreamOf;
use crate::config::outputs::OutputKind;
use media::Feed;

const MB: u64 = 1_000_000;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "output.kind",
        initial: Initial::Unset {
            means: "file or stdout, as output.path says",
            example: r#""file""#,
        },
        what: "The kind of output. Each [[output]] table, in place of [output], is an output of its own, at most 8 in all; an output that fails costs the others nothing. rtmp, rtsp and srt send to a server, udp sends MPEG-TS in datagrams, display shows the video here, pipeline is your own.",
        takes: Takes::OneOf(&[
            ("file", |d| d.output().kind = Some(OutputKind::File)),
            ("stdout", |d| d.output().kind = Some(OutputKind::Stdout)),
            ("display", |d| d.output().kind = Some(OutputKind::Display)),
            ("rtmp", |d| d.output().kind = Some(OutputKind::Rtmp)),
            ("rtsp", |d| d.output().kind = Some(OutputKind::Rtsp)),
            ("srt", |d| d.output().kind = Some(OutputKind::Srt)),
            ("udp", |d| d.output().kind = Some(OutputKind::Udp)),
            ("pipeline", |d| d.output().kind = Some(OutputKind::Pipeline)),
        ]),
    },
    Key {
        name: "output.path",
        initial: Initial::Is(r#""""#),
        what: "Where the returned video goes, as MPEG-TS: a file, to which each run appends, a named pipe, \"-\" for standard output, \"\" for nowhere. A path that ends with .mp4 gives MP4, in numbered files beside it. Video that cannot be written is dropped; the output is opened again with a later segment.",
        takes: Takes::Text {
            kind: "path of a file, - or nothing",
            keep: |d, text| {
                let path = if text.is_empty() { text } else { filled(text)? };
                d.output().path = Some(path.to_owned());
                Ok(())
            },
        },
    },
    Key {
        name: "output.name",
        initial: Initial::Unset {
            means: "the path, or the kind and a number",
            example: r#""studio""#,
        },
        what: "The name of the output in the log and the status.",
        takes: Takes::Text {
            kind: "text",
            keep: |d, text| {
                let name = resilience::sanitize::message(filled(text)?);
                d.output().name = Some(name);
                Ok(())
            },
        },
    },
    Key {
        name: "output.stream",
        initial: Initial::Is(r#""output""#),
        what: "The video that is written: the processed video, or the input as it is sent, which is written whether a job runs or not.",
        takes: Takes::OneOf(&[
            ("output", |d| d.output().stream = StreamOf::Output),
            ("input", |d| d.output().stream = StreamOf::Input),
        ]),
    },
    Key {
        name: "output.url",
        initial: Initial::Unset {
            means: "an output of another kind",
            example: r#""rtmp://studio.example/live/camera""#,
        },
        what: "Where rtmp, rtsp, srt and udp send the video. TLS (rtmps, rtsps) is checked by the certificate authorities of this system. A URL with a password belongs into output.credential.",
        takes: Takes::Text {
            kind: "URL",
            keep: |d, text| {
                d.output().url = Some(filled(text)?.to_owned());
                Ok(())
            },
        },
    },
    Key {
        name: "output.credential",
        initial: Initial::Unset {
            means: "output.url holds no secret",
            example: r#""file:/etc/livepeer-edge/studio.url""#,
        },
        what: "Where the whole URL is kept, in place of output.url, if it has a stream key, a password or a passphrase. It is read at each connection, and never logged.",
        takes: Takes::Text {
            kind: "file:/path, credential:NAME or env:VARIABLE",
            keep: |d, text| {
                let place = text
                    .parse()
                    .map_err(|error: resilience::secret::NoSource| error.to_string())?;
                d.output().credential = Some(place);
                Ok(())
            },
        },
    },
    Key {
        name: "output.fragment",
        initial: Initial::Unset {
            means: "an output of another kind",
            example: r#""hlssink max-files=5""#,
        },
        what: "The end of a pipeline, written as for gst-launch-1.0, for output.kind = \"pipeline\".",
        takes: Takes::Text {
            kind: "pipeline",
            keep: |d, text| {
                d.output().fragment = Some(filled(text)?.to_owned());
                Ok(())
            },
        },
    },
    Key {
        name: "output.feed",
        initial: Initial::Is(r#""ts""#),
        what: "What output.fragment receives: MPEG-TS, or decoded video.",
        takes: Takes::OneOf(&[
            ("ts", |d| d.output().feed = Feed::Ts),
            ("video", |d| d.output().feed = Feed::Video),
        ]),
    },
    Key {
        name: "output.file-size",
        initial: Initial::Unset { means: "no limit", example: "100" },
        what: "The size at which the next file begins. The files are numbered beside output.path: out-00000001-20261129T080312Z.ts. A file that exists is never written again.",
        takes: Takes::Whole {
            from: 1,
            to: 1_000_000,
            step: 1,
            unit: "MB",
            keep: |d, n| d.output().file_bytes = Some(MB * u64::from(n)),
        },
    },
    Key {
        name: "output.file-time",
        initial: Initial::Unset { means: "no limit", example: r#""10min""# },
        what: "The time after which the next file begins.",
        takes: Takes::Time {
            from: Duration::from_secs(1),
            to: Duration::from_secs(7 * 86_400),
            keep: |d, time| d.output().file_time = Some(time),
        },
    },
    Key {
        name: "output.max-files",
        initial: Initial::Unset { means: "all files are kept", example: "100" },
        what: "The numbered files that are kept, those of earlier runs included; the oldest are removed first.",
        takes: Takes::Whole {
            from: 1,
            to: 100_000,
            step: 1,
            unit: "files",
            keep: |d, n| d.output().max_files = usize::try_from(n).ok(),
        },
    },
    Key {
        name: "output.max-size",
        initial: Initial::Unset { means: "all files are kept", example: "10000" },
        what: "The space that all numbered files may take, those of earlier runs included; the oldest are removed first. One file takes at most half of it.",
        takes: Takes::Whole {
            from: 10,
            to: 1_000_000,
            step: 1,
            unit: "MB",
            keep: |d, n| d.output().max_bytes = Some(MB * u64::from(n)),
        },
    },
];
