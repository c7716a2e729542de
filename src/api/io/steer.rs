//! Changes that clients ask for: parameters, a job or none, a new job, an addition to the budget. Reads their bodies,
//! within bounds.
//!
//! Does not: apply changes; the agent's loop and the purse do.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::agent::{Control, ControlError, Edit, JobWish};
use crate::api::limits::BODY_BYTES;
use crate::api::refusal::Refusal;
use crate::status::BudgetReport;
use livepeer_gateway::budget::Unit;
use livepeer_gateway::budget::io::Purse;

/// Changes the parameters by the JSON object `params`.
pub(super) async fn change(
    control: &Control,
    edit: Edit,
    params: Map<String, Value>,
) -> Result<Value, Refusal> {
    control.params(params, edit).await.map(|parameters| parameters.shown().into()).map_err(refused)
}

/// The budgets of payments and of traffic, and what is spent of them, as JSON.
pub(super) fn budgets([payments, data]: &[Purse; 2]) -> String {
    let report = |purse: &Purse| purse.budget_use().map(|used| BudgetReport::new(&used, None));
    let budgets = Budgets { payments: report(payments), data: report(data) };
    // It has only texts and numbers, which always serialise.
    serde_json::to_string(&budgets).unwrap_or_default()
}

#[derive(Serialize)]
struct Budgets {
    payments: Option<BudgetReport>,
    data: Option<BudgetReport>,
}

/// Adds the amount in `body` to the budget that has its unit, for the present period.
pub(super) async fn add_to_budget(
    purses: &[Purse; 2],
    body: &Map<String, Value>,
) -> Result<String, Refusal> {
    let text = body.get("add").and_then(Value::as_str).unwrap_or_default();
    let [payments, data] = purses;
    let (purse, amount, key) = match Unit::Bytes.parse(text) {
        Ok(bytes) => (data, Ok(bytes), "network.budget"),
        Err(_) => (payments, Unit::Wei.parse(text), "payment.budget"),
    };
    let amount = amount.map_err(|error| Refusal::Body(format!("`add` {error}")))?;
    let added = purse.add(amount).await;
    added.ok_or_else(|| Refusal::Body(format!("there is no such budget; set {key}")))?;
    Ok(budgets(purses))
}

/// Reads the JSON object in the body of a request with this head, within the time `limit`.
pub(super) async fn object<B>(
    head: &Parts,
    body: B,
    limit: Duration,
) -> Result<Map<String, Value>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    // A browser lets a page of another site send other types without a preflight request.
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::MediaType);
    }
    let bytes = timeout(limit, collect(body)).await.unwrap_or(Err(Refusal::BodyTime))?;
    serde_json::from_slice(&bytes)
        .map_err(|_| Refusal::Body("the body must be a JSON object".to_owned()))
}

/// The present parameters.
pub(super) async fn present(control: &Control) -> Result<Value, Refusal> {
    control.parameters().await.map(|parameters| parameters.shown().into()).map_err(refused)
}

/// Starts or stops the job by the JSON object `body`.
pub(super) async fn wish(control: &Control, body: &Map<String, Value>) -> Result<Value, Refusal> {
    let wish = job_wish(body).ok_or_else(|| Refusal::Body(WISHES.to_owned()))?;
    let answer = control.job(wish).await.map_err(refused)?;
    Ok(json!({"wanted": answer.is_wanted, "why": answer.why}))
}

/// What a wish looks like.
const WISHES: &str = "the body must be {\"wish\": \"start\"}, with \"seconds\" if it ends by itself, or {\"wish\": \"stop\"}, or {\"wish\": \"auto\"}";

fn job_wish(body: &Map<String, Value>) -> Option<JobWish> {
    let seconds = body.get("seconds").filter(|seconds| !seconds.is_null());
    match (body.get("wish")?.as_str()?, seconds) {
        ("start", None) => Some(JobWish::Start { time: None }),
        ("start", Some(seconds)) => {
            let seconds = seconds.as_u64().filter(|seconds| *seconds > 0)?;
            Some(JobWish::Start { time: Some(Duration::from_secs(seconds)) })
        }
        ("stop", None) => Some(JobWish::Stop),
        ("auto", None) => Some(JobWish::Auto),
        _ => None,
    }
}

/// Closes the job and starts another one.
pub(super) async fn restart(control: &Control) -> Result<Value, Refusal> {
    control.restart().await.map_err(refused)?;
    Ok(json!({"restart": true}))
}

fn refused(error: ControlError) -> Refusal {
    Refusal::Body(error.to_string())
}

/// Reads a body of at most [`BODY_BYTES`].
async fn collect<B>(mut body: B) -> Result<Vec<u8>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    // Refuse a body whose announced length is too long, without waiting for it.
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(Refusal::BodyLength);
    }
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::BodyTime)?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes.len() + piece.len() > BODY_BYTES {
            return Err(Refusal::BodyLength);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<JobWish>) {
        let object: Map<String, Value> = serde_json::from_str(body).unwrap();
        assert_eq!(job_wish(&object), expected, "{body}");
    }

    #[test]
    fn a_wish_is_read_strictly() {
        let start = |seconds| JobWish::Start { time: Some(Duration::from_secs(seconds)) };
        check(r#"{"wish":"start"}"#, Some(JobWish::Start { time: None }));
        check(r#"{"wish":"start","seconds":null}"#, Some(JobWish::Start { time: None }));
        check(r#"{"wish":"start","seconds":600}"#, Some(start(600)));
        check(r#"{"wish":"stop"}"#, Some(JobWish::Stop));
        check(r#"{"wish":"auto"}"#, Some(JobWish::Auto));
        for bad in [
            "{}",
            r#"{"wish":"go"}"#,
            r#"{"wish":1}"#,
            r#"{"wish":"start","seconds":0}"#,
            r#"{"wish":"start","seconds":-1}"#,
            r#"{"wish":"start","seconds":1.5}"#,
            r#"{"wish":"start","seconds":"600"}"#,
            r#"{"wish":"stop","seconds":600}"#,
        ] {
            check(bad, None);
        }
    }
}
