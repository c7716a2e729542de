//! The keys of the network: `[network]`, `[orchestrator]`, `[job]`.
//!
//! Does not: contain credentials; a configuration never does.

use super::{Initial, Key, Takes, filled};
use crate::config::draft::TrustKind;
use crate::config::peers;
use livepeer_gateway::budget::{Budget, Unit};
use livepeer_gateway::job::Recovery;
use livepeer_gateway::orchestrator::OnChange;
use livepeer_gateway::session::selection::CandidateOrder;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "network.budget",
        initial: Initial::Unset { means: "no limit", example: r#""5 GB per month""# },
        what: "The traffic that may be used in each hour, day or month of the local calendar, sent and received. From 80 % on, the bitrate falls so that the rest lasts; when it is spent, the job pauses until the next period or `livepeer-edge budget add`. It is counted while the agent runs.",
        takes: Takes::Text {
            kind: "number of kB, MB, GB or TB per hour, day or month",
            keep: |d, text| {
                let budget = Budget::parse(text, Unit::Bytes).map_err(|error| error.to_string())?;
                d.data = Some(budget);
                Ok(())
            },
        },
    },
    Key {
        name: "network.interface",
        initial: Initial::Unset {
            means: "the connections of this program to orchestrators, runners and signers",
            example: r#"["wwan0"]"#,
        },
        what: "The network interfaces whose traffic counts for network.budget, of all programs, as the kernel counts it.",
        takes: Takes::Texts {
            separator: ',',
            kind: "names of interfaces",
            keep: |d, names| {
                d.interfaces =
                    names.iter().map(|name| interface(name)).collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Key {
        name: "orchestrator.urls",
        initial: Initial::Unset {
            means: "required by `run`",
            example: r#"["https://orchestrator.example:8935"]"#,
        },
        what: "Orchestrators that may run the job, the preferred one first. A URL without a scheme uses https, and port 8935 unless it names another.",
        takes: Takes::Texts { separator: ',', kind: "https URLs", keep: peers::keep_urls },
    },
    Key {
        name: "orchestrator.order",
        initial: Initial::Unset {
            means: "listed where orchestrator.urls or the token names them, else price",
            example: r#""price""#,
        },
        what: "Which candidate for the job is tried first: the first of the list (listed), the cheapest (price; a model that is not loaded adds a quarter to the price), or the first to answer (fastest). A candidate that failed recently comes after the others.",
        takes: Takes::OneOf(&[
            ("listed", |d| d.order = Some(CandidateOrder::Listed)),
            ("price", |d| d.order = Some(CandidateOrder::Price)),
            ("fastest", |d| d.order = Some(CandidateOrder::Fastest)),
        ]),
    },
    Key {
        name: "orchestrator.trust",
        initial: Initial::Is(r#""tofu""#),
        what: "Which certificates are trusted: those of a known authority or the first one seen (tofu), those of an authority only (ca), those in orchestrator.pins (pin), or any (insecure: everyone on the path can read and alter the traffic).",
        takes: Takes::OneOf(&[
            ("tofu", |d| d.trust = TrustKind::Tofu),
            ("ca", |d| d.trust = TrustKind::Ca),
            ("pin", |d| d.trust = TrustKind::Pin),
            ("insecure", |d| d.trust = TrustKind::Insecure),
        ]),
    },
    Key {
        name: "orchestrator.on-change",
        initial: Initial::Is(r#""follow""#),
        what: "What tofu does with a changed certificate: trust it with a warning (follow: orchestrators create a new one at every start), or refuse it (refuse).",
        takes: Takes::OneOf(&[
            ("follow", |d| d.on_change = OnChange::Follow),
            ("refuse", |d| d.on_change = OnChange::Refuse),
        ]),
    },
    Key {
        name: "orchestrator.pins",
        initial: Initial::Unset {
            means: "none",
            example: r#"{ "orchestrator.example:8935" = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF" }"#,
        },
        what: "With pin: the SHA-256 of each orchestrator's certificate, as `openssl x509 -fingerprint -sha256` prints it.",
        takes: Takes::Table {
            kind: "table of host:port = SHA-256 fingerprint",
            keep: peers::keep_pins,
        },
    },
    Key {
        name: "job.model",
        initial: Initial::Unset { means: "required by `run`", example: r#""streamdiffusion""# },
        what: "The model that processes the video.",
        takes: Takes::Text {
            kind: "model id",
            keep: |d, text| filled(text).map(|text| d.job.model = text.to_owned()),
        },
    },
    Key {
        name: "job.params",
        initial: Initial::Is("{}"),
        what: "Parameters of the model, sent as JSON when the job starts.",
        takes: Takes::Table {
            kind: "table (as environment variable or argument: a JSON object)",
            keep: |d, table| {
                d.job.params = table.clone();
                Ok(())
            },
        },
    },
    Key {
        name: "job.stream-id",
        initial: Initial::Unset { means: "the orchestrator chooses", example: r#""front-door""# },
        what: "The stream's name in the orchestrator's logs and events.",
        takes: Takes::Text {
            kind: "text",
            keep: |d, text| filled(text).map(|text| d.job.stream_id = Some(text.to_owned())),
        },
    },
    Key {
        name: "job.on-loss",
        initial: Initial::Is(r#""retry""#),
        what: "When the job is lost: start it again on another orchestrator, or on the same one once it is reachable (retry), or end with exit code 1 and the reason (exit). With exit, a lost camera also ends the program.",
        takes: Takes::OneOf(&[
            ("retry", |d| d.recovery = Recovery::Retry),
            ("exit", |d| d.recovery = Recovery::Exit),
        ]),
    },
];

/// The name of an interface, which becomes a part of a path.
fn interface(name: &str) -> Result<String, String> {
    let name = filled(name)?;
    if name.contains('/') || name.starts_with('.') || name.len() > 15 {
        return Err(format!("`{name}` is not the name of an interface, such as wwan0"));
    }
    Ok(name.to_owned())
}
