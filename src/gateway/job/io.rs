//! Starts a live video job in a session.
//!
//! Does not: move media or keep the job alive.

mod run;

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::endings::OwedEnd;
use crate::http::io::HttpAnswer;
use crate::job::wire::{refuses_params, start_answer, start_request};
use crate::job::{JobError, JobOptions, JobPayments, StartedJob};
use crate::limits::JOB_START_TIME;
use crate::session::OrchestratorSession;
use resilience::sanitize;

pub use run::RunError;

/// Maximum bytes of a body that are searched for the reason of a refusal; go-livepeer's bodies have 100 bytes.
const REFUSAL: usize = 16 << 10;

/// The kind of job that an orchestrator runs in an open session.
#[derive(Debug)]
pub struct LiveVideoJob;

impl LiveVideoJob {
    /// Starts a job in `session` (`POST /live-video-to-video`) with its first payment. While a model loads, the answer
    /// may take up to [`JOB_START_TIME`].
    pub async fn start(
        mut session: OrchestratorSession,
        options: &JobOptions,
        jitter: f64,
    ) -> Result<StartedJob, JobError> {
        let credentials = session.credentials(jitter).await.map_err(JobError::Session)?;
        let id = request_id();
        log::debug!("{}: asking for a job as request {id}", session.url());
        let body = start_request(options, &id);
        let answer = session
            .post_json("/live-video-to-video", body, &credentials, JOB_START_TIME)
            .await
            .map_err(JobError::Session)?;
        let url = session.url().clone();
        match answer.status {
            200 => {}
            503 => return Err(JobError::NoCapacity(url, reason(&answer))),
            status @ (402 | 403) => {
                let words = reason(&answer);
                return Err(match session.pays() {
                    true => JobError::Payment(url, status, words),
                    false => JobError::NeedsSigner(url, status, words),
                });
            }
            status => {
                let words = reason(&answer);
                return Err(if refuses_params(status, &words) {
                    JobError::Params(url, words)
                } else {
                    JobError::Refused(url, status, words)
                });
            }
        }
        let channels = start_answer(&answer.body, session.answering_peer())
            .map_err(|reason| JobError::Nonsense(url, reason))?;
        // The job runs now: register its end before anything that can fail.
        let end = OwedEnd::Channel(channels.publish.expose().clone());
        let end = session.network().endings.owe(end);
        session.started(&channels.manifest_id).map_err(JobError::Session)?;
        let payments =
            session.take_payer().map(|payer| JobPayments { payer, url: session.payment_url() });
        Ok(StartedJob::of_orchestrator(session.url().clone(), channels, payments, end))
    }
}

/// A new id for a request: 128 random bits, so that no other gateway uses the same id.
pub(super) fn request_id() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// The peer's reason for its refusal in one line: the `message` of a JSON error, or else the text of the body.
fn reason(answer: &HttpAnswer) -> String {
    let body = answer.body.get(..REFUSAL).unwrap_or(&answer.body);
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json
        .as_ref()
        .and_then(|json| {
            json.pointer("/error/message")
                .or_else(|| json.pointer("/error"))
                .and_then(|m| m.as_str())
        })
        .unwrap_or(text.trim());
    let shown = sanitize::message(message);
    if shown.is_empty() { "no reason given".to_owned() } else { shown }
}
