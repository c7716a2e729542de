//! The keys of the local HTTP API: `[api]`.
//!
//! Does not: contain the token; only the place where it is kept.

use super::{Initial, Key, Takes};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "api.listen",
        initial: Initial::Unset {
            means: "the first free port of 127.0.0.1 from 8787 on",
            example: r#""127.0.0.1:8787""#,
        },
        what: "Where the page and the API are served: an IP address with a port, unix:/path, or off. An address that other computers can reach needs api.token.",
        takes: Takes::Text {
            kind: "address:port, unix:/path or off",
            keep: |d, text| {
                d.api.listen = text.parse()?;
                Ok(())
            },
        },
    },
    Key {
        name: "api.token",
        initial: Initial::Unset { means: "none", example: r#""credential:api-token""# },
        what: "Where the API's token is kept, a text of at least 16 bytes. Each request must carry it, as Bearer token or as password of any user.",
        takes: Takes::Text {
            kind: "file:/path, credential:NAME or env:VARIABLE",
            keep: |d, text| {
                d.api.token = Some(text.parse().map_err(|error| format!("{error}"))?);
                Ok(())
            },
        },
    },
];
