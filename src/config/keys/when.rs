//! The keys of `[job]` that decide when a job runs.
//!
//! Does not: decide; `agent::wanted` does.

use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::agent::When;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "job.when",
        initial: Initial::Is(r#""always""#),
        what: "When a job runs: at all times (always), only when it is started (demand: `livepeer-edge job start`, the API, job.trigger), while job.schedule is open (schedule), or while something moves, and job.schedule, if set, is open (motion). A start or a stop by the owner wins over all of them. Without a job, capture goes on, and nothing is sent or paid.",
        takes: Takes::OneOf(&[
            ("always", |d| d.wanted.when = When::Always),
            ("demand", |d| d.wanted.when = When::Demand),
            ("schedule", |d| d.wanted.when = When::Schedule),
            ("motion", |d| d.wanted.when = When::Motion),
        ]),
    },
    Key {
        name: "job.schedule",
        initial: Initial::Unset { means: "none", example: r#""Mon..Fri 08:00..18:00""# },
        what: "Days and local times at which a job runs, in the words of systemd's calendar: Mon..Fri 08:00..18:00; Sat,Sun 10:00..12:00,14:00..16:00. A window may end on the next day: 22:00..06:00.",
        takes: Takes::Text {
            kind: "days and times, separated by ;",
            keep: |d, text| {
                d.wanted.schedule = Some(text.parse().map_err(|error| format!("{error}"))?);
                Ok(())
            },
        },
    },
    Key {
        name: "job.linger",
        initial: Initial::Is(r#""30 s""#),
        what: "How long a job runs after the last motion, or after the last touch of job.trigger.",
        takes: Takes::Time {
            from: Duration::from_secs(5),
            to: Duration::from_secs(24 * 3600),
            keep: |d, time| d.wanted.linger = time,
        },
    },
    Key {
        name: "job.trigger",
        initial: Initial::Unset { means: "none", example: r#""/run/livepeer-edge/trigger""# },
        what: "A file that starts a job, whatever job.when says. It is read once a second: while it contains 1 or on, a job runs; 0, off, or no file is no start; with other content or none, a job runs for job.linger after each touch. A switch or a motion sensor on a GPIO line works with `gpiomon -e rising LINE | while read -r _; do touch FILE; done`.",
        takes: Takes::Text {
            kind: "path of a file",
            keep: |d, text| filled(text).map(|path| d.wanted.trigger = Some(path.into())),
        },
    },
];
