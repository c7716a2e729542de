//! Posts events to a web server, each until it is delivered or [`TRIES`] have failed.
//!
//! The body is the event's line. `Livepeer-Edge-Event` is the event's type; with a secret, `Livepeer-Edge-Signature` is
//! `sha256=` and the HMAC-SHA256 of the body. An event whose answer was lost is posted again, with the same `number`.
//! Certificates are checked by the trust of the services. Redirects are not followed. While events wait for a server
//! that is down, the oldest are dropped.
//!
//! Does not: log the path of the URL, which may be a credential.

use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};

use super::sinks::{END_TIME, Sink};
use crate::events::io::Subscription;
use crate::events::post::{Outcome, signature};
use crate::events::{Event, WebhookOptions};
use livepeer_gateway::http::io::{CallError, Client, HttpRequest};
use resilience::backoff::{Backoff, jitter};
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;
use resilience::secret::Secret;
use resilience::secret::io::{SecretError, read};

/// The time limit of one post.
const POST_TIME: Duration = Duration::from_secs(10);
/// The pauses between the tries.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// The most tries for one event, in about two minutes.
const TRIES: u32 = 8;
/// The longest answer that is read.
const ANSWER_BYTES: usize = 64 << 10;

const EVENT: HeaderName = HeaderName::from_static("livepeer-edge-event");
const SIGNATURE: HeaderName = HeaderName::from_static("livepeer-edge-signature");

/// The web server.
#[derive(Debug)]
pub(super) struct Webhook {
    options: WebhookOptions,
    secret: Option<Secret>,
    client: Client,
    failures: ThrottledLog,
    pauses: Backoff,
}

/// The result of one post that did not deliver the event.
enum PostFailure {
    Later(String),
    Refused(String),
}

impl Webhook {
    /// Reads the secret.
    pub(super) fn new(options: WebhookOptions, client: Client) -> Result<Self, SecretError> {
        let secret = options.secret.as_ref().map(read).transpose()?;
        let recovered = format!("{}: events are delivered again", options.url.origin());
        let failures = ThrottledLog::new(module_path!(), recovered);
        Ok(Self { options, secret, client, failures, pauses: PAUSES })
    }

    fn post(&self, event: &Event, time: Duration) -> Result<(), PostFailure> {
        let body = event.line().as_bytes();
        let mut call = HttpRequest {
            method: Method::POST,
            body: body.to_vec(),
            limit: ANSWER_BYTES,
            ..HttpRequest::get(self.options.url.clone()).within(time)
        };
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        call.headers.insert(EVENT, HeaderValue::from_static(event.kind().name()));
        if let Some(secret) = &self.secret
            && let Ok(value) = HeaderValue::from_str(&signature(secret, body))
        {
            call.headers.insert(SIGNATURE, value);
        }
        let place = self.options.url.origin();
        match self.client.call_blocking(&call) {
            Ok(answer) => match Outcome::of(answer.status) {
                Outcome::Delivered => Ok(()),
                Outcome::Again => {
                    Err(PostFailure::Later(format!("{place}: status {}", answer.status)))
                }
                Outcome::Refused => {
                    Err(PostFailure::Refused(format!("{place}: status {}", answer.status)))
                }
            },
            Err(error @ CallError::TooLarge(..)) => {
                Err(PostFailure::Refused(chain(&error.without_path())))
            }
            Err(error) => Err(PostFailure::Later(chain(&error.without_path()))),
        }
    }
}

impl Sink for Webhook {
    fn write(&mut self, event: &Event, subscription: &Subscription) -> bool {
        for _ in 0..TRIES {
            let is_ending = subscription.pause(Duration::ZERO);
            let failure = self.post(event, if is_ending { END_TIME } else { POST_TIME });
            let now = Instant::now();
            match failure {
                Ok(()) => {
                    self.pauses.on_success();
                    self.failures.on_success(now);
                    return true;
                }
                Err(PostFailure::Refused(why)) => {
                    self.failures.on_failure(&format!("events.webhook: refused: {why}"), now);
                    return true;
                }
                Err(PostFailure::Later(why)) => {
                    self.failures.on_failure(&format!("events.webhook: not delivered: {why}"), now);
                }
            }
            if is_ending || subscription.pause(self.pauses.on_failure(jitter())) {
                // One more try for this event, and one for each that follows, would take too long.
                return false;
            }
        }
        true
    }
}
