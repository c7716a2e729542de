//! The keys of finding and paying: `[access]`, `[discovery]`, `[signer]`, `[services]`, `[payment]`.
//!
//! Does not: contain credentials; a configuration names only where they are kept.

use super::{Initial, Key, Takes, filled};
use crate::config::peers;

const PLACE: &str = "file:/path, credential:NAME or env:VARIABLE";

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "access.token",
        initial: Initial::Unset { means: "none", example: r#""credential:access-token""# },
        what: "Where an access token is kept: one text that contains all settings of the connection. Its settings override the other keys.",
        takes: Takes::Text {
            kind: PLACE,
            keep: |d, text| {
                d.access.token = Some(text.parse().map_err(text_of)?);
                Ok(())
            },
        },
    },
    Key {
        name: "discovery.url",
        initial: Initial::Unset {
            means: "none",
            example: r#""https://discovery.example/orchestrators""#,
        },
        what: "The URL of a list of orchestrators, used if orchestrator.urls is not set. Without it, the signer is asked for a list.",
        takes: Takes::Text { kind: "https URL", keep: peers::keep_discovery },
    },
    Key {
        name: "discovery.headers",
        initial: Initial::Unset {
            means: "none",
            example: r#"{ authorization = "credential:discovery" }"#,
        },
        what: "Headers for the discovery endpoint: each names the place where the header's value is kept.",
        takes: Takes::Table {
            kind: "table of header = file:/path, credential:NAME or env:VARIABLE",
            keep: |d, table| {
                d.access.discovery_headers = peers::headers(table)?;
                Ok(())
            },
        },
    },
    Key {
        name: "signer.urls",
        initial: Initial::Unset {
            means: "nothing is paid",
            example: r#"["https://signer.example"]"#,
        },
        what: "Remote signers that use the same key, the preferred one first. A URL without a scheme uses https, and port 443 unless it names another.",
        takes: Takes::Texts { separator: ',', kind: "https URLs", keep: peers::keep_signers },
    },
    Key {
        name: "signer.headers",
        initial: Initial::Unset {
            means: "none",
            example: r#"{ authorization = "credential:signer" }"#,
        },
        what: "Headers for the signers: each names the place where the header's value is kept.",
        takes: Takes::Table {
            kind: "table of header = file:/path, credential:NAME or env:VARIABLE",
            keep: |d, table| {
                d.access.signer_headers = peers::headers(table)?;
                Ok(())
            },
        },
    },
    Key {
        name: "services.ca-file",
        initial: Initial::Unset {
            means: "the certificate authorities of this system",
            example: r#""/etc/livepeer-edge/ca.pem""#,
        },
        what: "The certificate authorities for signers and the discovery endpoint, in PEM.",
        takes: Takes::Text {
            kind: "path of a file",
            keep: |d, text| filled(text).map(|path| d.access.services.ca_file = Some(path.into())),
        },
    },
    Key {
        name: "services.pins",
        initial: Initial::Unset {
            means: "none",
            example: r#"{ "signer.example:443" = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF" }"#,
        },
        what: "The SHA-256 of the certificates of signers and the discovery endpoint. A host listed here is trusted by its pin alone.",
        takes: Takes::Table {
            kind: "table of host:port = SHA-256 fingerprint",
            keep: peers::keep_service_pins,
        },
    },
    Key {
        name: "services.allow-plain-http",
        initial: Initial::Is("false"),
        what: "Allow http:// to signers and discovery endpoints on other computers: everyone on the path can read the credentials.",
        takes: Takes::Flag(|d, on| d.access.allow_plain_http = on),
    },
    Key {
        name: "payment.max-price",
        initial: Initial::Unset {
            means: "no limit but the signer's",
            example: r#""1200 wei per second""#,
        },
        what: "The highest price of a job. Offers that cost more, or have another unit, are refused.",
        takes: Takes::Text {
            kind: "number with wei per second, wei per 720p-pixel-second or wei per call",
            keep: |d, text| {
                d.access.max_price = Some(text.parse().map_err(text_of)?);
                Ok(())
            },
        },
    },
    Key {
        name: "payment.budget",
        initial: Initial::Unset { means: "no limit", example: r#""0.01 ETH per month""# },
        what: "What may be paid in each hour, day or month of the local calendar. At 80 % there is a warning; when it is spent, the job ends until the next period or `livepeer-edge budget add`. It is exceeded by one payment at most.",
        takes: Takes::Text {
            kind: "number of wei, gwei or ETH per hour, day or month",
            keep: |d, text| {
                d.access.budget = Some(text.parse().map_err(text_of)?);
                Ok(())
            },
        },
    },
    Key {
        name: "payment.app",
        initial: Initial::Unset { means: "none", example: r#""front-door""# },
        what: "The name of the application, reported to the signer.",
        takes: Takes::Text {
            kind: "text",
            keep: |d, text| filled(text).map(|text| d.access.app = Some(text.to_owned())),
        },
    },
];

fn text_of(error: impl ToString) -> String {
    error.to_string()
}
