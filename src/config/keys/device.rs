//! The keys of the device itself: `[store]`, `[status]`, `[log]`, `[state]`.
//!
//! Does not: create files or directories.

use std::time::Duration;

use log::LevelFilter;

use super::{Initial, Key, Takes, filled};
use crate::status::{checked_labels, checked_name};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "store.directory",
        initial: Initial::Unset {
            means: "nothing is stored",
            example: r#""/var/lib/livepeer-edge/input""#,
        },
        what: "Where the last minutes of input are kept, whether a job runs or not: a directory of its own, with an MPEG-TS file for each segment. All video is written to the disk: a USB disk lasts longer than an SD card.",
        takes: Takes::Text {
            kind: "path of a directory",
            keep: |d, text| filled(text).map(|path| d.store.directory = Some(path.into())),
        },
    },
    Key {
        name: "store.minutes",
        initial: Initial::Is("10"),
        what: "The minutes of input that are kept.",
        takes: Takes::Whole {
            from: 1,
            to: 1440,
            step: 1,
            unit: "minutes",
            keep: |d, n| d.store.keep = Duration::from_secs(60 * u64::from(n)),
        },
    },
    Key {
        name: "store.max-size",
        initial: Initial::Is("1000"),
        what: "The space that stored input may take; older input is deleted first. 10 minutes at 2 Mbit/s take 150 MB.",
        takes: Takes::Whole {
            from: 10,
            to: 1_000_000,
            step: 1,
            unit: "MB",
            keep: |d, n| d.store.bytes = 1_000_000 * u64::from(n),
        },
    },
    Key {
        name: "status.instance",
        initial: Initial::Unset {
            means: "the host's name, with the name of the configuration file unless that is livepeer-edge",
            example: r#""front door""#,
        },
        what: "The name of this instance in its status, its metrics and its events. Give each camera of a fleet its own.",
        takes: Takes::Text {
            kind: "text of at most 100 characters",
            keep: |d, text| checked_name(text).map(|name| d.status.instance = Some(name)),
        },
    },
    Key {
        name: "status.labels",
        initial: Initial::Unset { means: "none", example: r#"{ site = "north roof" }"# },
        what: "Labels of every metric, at most 16.",
        takes: Takes::Table {
            kind: "table of label = text",
            keep: |d, table| {
                let pairs = table.iter().map(|(name, value)| (name, value.as_str()));
                checked_labels(pairs).map(|labels| d.status.labels = labels)
            },
        },
    },
    Key {
        name: "log.level",
        initial: Initial::Is(r#""info""#),
        what: "The lowest level of messages in the log.",
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
        what: "Where state is kept between runs, such as the certificates trusted on first use.",
        takes: Takes::Text {
            kind: "path of a directory",
            keep: |d, text| filled(text).map(|path| d.state_directory = Some(path.into())),
        },
    },
];
