//! The keys of motion: `[motion]`.
//!
//! Does not: say that a job starts with motion; `job.when` does.

use std::time::Duration;

use super::{Initial, Key, Takes};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "motion.sensitivity",
        initial: Initial::Is("50"),
        what: "How small a motion starts a job with `job.when = \"motion\"`: each 25 more halve the size that is noticed. Far above 50, noise is noticed too.",
        takes: Takes::Whole {
            from: 1,
            to: 100,
            step: 1,
            unit: "%",
            keep: |d, n| d.motion.sensitivity = n,
        },
    },
    Key {
        name: "motion.minimum",
        initial: Initial::Is(r#""500 ms""#),
        what: "How long something must move before a job starts. The video that is sent begins before that.",
        takes: Takes::Time {
            from: Duration::from_millis(100),
            to: Duration::from_secs(60),
            keep: |d, time| d.motion.minimum = time,
        },
    },
];
