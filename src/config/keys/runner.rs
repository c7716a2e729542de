//! The keys of a job on a runner: `[runner]`.
//!
//! Does not: know any application but the example, whose API is the default.

use super::{Initial, Key, Takes, filled};
use livepeer_gateway::job::runner::{ApiError, JsonPointer, path};

const OF_PROFILE: &str = "the profile's";

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "runner.app",
        initial: Initial::Unset {
            means: "the job runs a model",
            example: r#""livepeer-example/echo""#,
        },
        what: "The application that processes the video on a runner, instead of job.model. job.params go to it when it starts.",
        takes: Takes::Text {
            kind: "name of an app",
            keep: |d, text| filled(text).map(|text| d.runner.app = Some(text.to_owned())),
        },
    },
    Key {
        name: "runner.gpu",
        initial: Initial::Unset { means: "any", example: r#""NVIDIA L40S""# },
        what: "The GPU that the runner must have, by its name in `livepeer-edge discover`.",
        takes: Takes::Text {
            kind: "name of a GPU",
            keep: |d, text| filled(text).map(|text| d.runner.gpu = Some(text.to_owned())),
        },
    },
    Key {
        name: "runner.profile",
        initial: Initial::Is(r#""echo""#),
        what: "How the app is called: like the example app, except where a key below is set (echo), or only as the keys below say (own).",
        takes: Takes::OneOf(&[
            ("echo", |d| d.runner.is_own = false),
            ("own", |d| d.runner.is_own = true),
        ]),
    },
    Key {
        name: "runner.start",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/echo""# },
        what: "The path to which a POST starts the app.",
        takes: Takes::Text {
            kind: "path under the app's URL",
            keep: |d, text| {
                d.runner.start = Some(path(text).map_err(text_of)?);
                Ok(())
            },
        },
    },
    Key {
        name: "runner.publish",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/in""# },
        what: "Where the answer to the start contains the URL of the channel for the captured video.",
        takes: Takes::Text {
            kind: "JSON pointer",
            keep: |d, text| pointer(text).map(|pointer| d.runner.publish = Some(pointer)),
        },
    },
    Key {
        name: "runner.output",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/out""# },
        what: "Where the answer contains the URL of the channel of the processed video.",
        takes: Takes::Text {
            kind: "JSON pointer",
            keep: |d, text| pointer(text).map(|pointer| d.runner.output = Some(pointer)),
        },
    },
    Key {
        name: "runner.control",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/control""# },
        what: "Where the answer contains the URL of the control channel.",
        takes: Takes::Text {
            kind: "JSON pointer",
            keep: |d, text| pointer(text).map(|pointer| d.runner.control = Some(pointer)),
        },
    },
    Key {
        name: "runner.events",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/events""# },
        what: "Where the answer contains the URL of the events channel.",
        takes: Takes::Text {
            kind: "JSON pointer",
            keep: |d, text| pointer(text).map(|pointer| d.runner.events = Some(pointer)),
        },
    },
    Key {
        name: "runner.update",
        initial: Initial::Unset { means: OF_PROFILE, example: r#""/update""# },
        what: "Where parameters are posted while the app runs: a path under the app's URL, or answer: and a JSON pointer to a URL in the answer to the start.",
        takes: Takes::Text {
            kind: "path, or answer: and a JSON pointer",
            keep: |d, text| {
                d.runner.update = Some(text.parse().map_err(text_of)?);
                Ok(())
            },
        },
    },
];

fn pointer(text: &str) -> Result<JsonPointer, String> {
    text.parse().map_err(text_of)
}

fn text_of(error: ApiError) -> String {
    error.to_string()
}
