//! `[events]` as written, and the options of the sinks that it becomes.
//!
//! Does not: open a sink.

use std::path::PathBuf;
use std::time::Duration;

use super::draft::{Draft, Objection};
use super::problem::Complaint;
use crate::events::{FileOptions, HookOptions, Options, TYPES, Types, WebhookOptions};
use livepeer_gateway::http::{Scheme, Url};
use resilience::secret::SecretSource;

/// The most arguments of a program.
const ARGUMENTS: usize = 32;

/// `[events]` as written.
#[derive(Debug)]
pub(super) struct DraftEvents {
    pub(super) types: Option<Types>,
    pub(super) stdout: bool,
    pub(super) file: Option<PathBuf>,
    pub(super) file_bytes: u64,
    pub(super) file_count: u32,
    pub(super) exec: Option<(String, Vec<String>)>,
    pub(super) exec_time: Duration,
    pub(super) exec_types: Option<Types>,
    pub(super) webhook: Option<Url>,
    pub(super) secret: Option<SecretSource>,
    pub(super) webhook_types: Option<Types>,
}

impl Default for DraftEvents {
    fn default() -> Self {
        Self {
            types: None,
            stdout: false,
            file: None,
            file_bytes: 10_000_000,
            file_count: 3,
            exec: None,
            exec_time: Duration::from_secs(10),
            exec_types: None,
            webhook: None,
            secret: None,
            webhook_types: None,
        }
    }
}

impl DraftEvents {
    /// The sinks, or what is wrong with them. `video_on_stdout`: standard output has the video.
    pub(super) fn finish(
        self,
        allow_plain_http: bool,
        video_on_stdout: bool,
    ) -> Result<Options, Objection> {
        let wrong = |key, reason: String| Err((key, Complaint::Wrong(reason)));
        if self.stdout && video_on_stdout {
            return wrong("events.stdout", "standard output has the video already".to_owned());
        }
        if let Some(url) = &self.webhook {
            let is_open = url.scheme() == Scheme::Http && !url.authority().is_loopback();
            if is_open && !allow_plain_http {
                let reason = format!(
                    "{} is another computer on plain HTTP; use https, or set services.allow-plain-http = true",
                    url.authority()
                );
                return wrong("events.webhook", reason);
            }
        } else if self.secret.is_some() {
            let reason = "would not be used; set events.webhook, or leave it out".to_owned();
            return wrong("events.webhook-secret", reason);
        }
        let types = self.types.unwrap_or_else(Types::all);
        let file = self.file.map(|path| FileOptions {
            path,
            bytes: self.file_bytes,
            older: self.file_count,
            types: types.clone(),
        });
        let hook = self.exec.map(|(program, arguments)| HookOptions {
            program,
            arguments,
            time: self.exec_time,
            types: self.exec_types.unwrap_or_else(Types::without_model),
        });
        let webhook = self.webhook.map(|url| WebhookOptions {
            url,
            secret: self.secret,
            types: self.webhook_types.unwrap_or_else(Types::without_model),
        });
        Ok(Options { stdout: self.stdout.then_some(types), file, hook, webhook })
    }
}

/// Keeps types of events.
pub(super) fn keep_types(types: &mut Option<Types>, names: &[&str]) -> Result<(), String> {
    let known = || TYPES.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let of = Types::of(names).map_err(|name| {
        format!("\"{}\" is not a type of events: {}", name.escape_debug(), known())
    });
    *types = Some(of?);
    Ok(())
}

/// Keeps the program and its arguments.
pub(super) fn keep_exec(draft: &mut Draft, texts: &[&str]) -> Result<(), String> {
    let Some((program, arguments)) = texts.split_first() else {
        return Err("must name a program".to_owned());
    };
    if program.trim().is_empty() {
        return Err("must name a program".to_owned());
    }
    if arguments.len() > ARGUMENTS || texts.iter().any(|text| text.contains('\0')) {
        return Err(format!("must have at most {ARGUMENTS} arguments, without NUL characters"));
    }
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    draft.events.exec = Some(((*program).to_owned(), arguments));
    Ok(())
}

/// Keeps the URL of the web server, which may contain a query.
pub(super) fn keep_webhook(draft: &mut Draft, text: &str) -> Result<(), String> {
    // The text may be a credential, so the complaint does not show it.
    let url = Url::parse(text.trim()).map_err(|_| "is not an https URL".to_owned())?;
    draft.events.webhook = Some(url);
    Ok(())
}
