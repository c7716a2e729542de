//! The keys of the device itself: `[output]`, `[log]`, `[state]`.
//!
//! Does not: create what they name.

use log::LevelFilter;

use super::{Initial, Key, Takes, filled};
use crate::config::options::Output;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "output.path",
        initial: Initial::Is(r#""""#),
        what: "Where the returned video goes, as MPEG-TS: a file, \"-\" for standard output, \"\" for nowhere.",
        takes: Takes::Text {
            kind: "path of a file, - or nothing",
            keep: |d, text| {
                d.output = match text {
                    "" => Output::None,
                    "-" => Output::Stdout,
                    path => Output::File(filled(path)?.into()),
                };
                Ok(())
            },
        },
    },
    Key {
        name: "log.level",
        initial: Initial::Is(r#""info""#),
        what: "What is worth a line in the log.",
        takes: Takes::OneOf(&[
            ("error", |d| d.log = LevelFilter::Error),
            ("warn", |d| d.log = LevelFilter::Warn),
            ("info", |d| d.log = LevelFilter::Info),
            ("debug", |d| d.log = LevelFilter::Debug),
            ("trace", |d| d.log = LevelFilter::Trace),
        ]),
    },
    Key {
        name: "state.directory",
        initial: Initial::Unset {
            means: "$STATE_DIRECTORY, else $XDG_STATE_HOME/livepeer-edge, else ~/.local/state/livepeer-edge",
            example: r#""/var/lib/livepeer-edge""#,
        },
        what: "Where certificates seen first are kept between runs.",
        takes: Takes::Text {
            kind: "path of a directory",
            keep: |d, text| filled(text).map(|path| d.state_directory = Some(path.into())),
        },
    },
];
