//! Handles a call with a short answer: reads the body, then executes the call or lets it fail as scripted.
//!
//! Does not: decide the answer; the caller passes a closure.

use tokio::time::sleep;

use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::record::{Request, Target};
use crate::script::{CallFailure, Endpoint};
use crate::trickle::io::AfterRequest;
use crate::world::World;
use livepeer_gateway::limits::JSON_BODY;

/// Reads and records the body of a call. Returns `None` if it was too long and has been answered with 413.
pub(crate) async fn receive<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    endpoint: Endpoint,
) -> Result<Option<Vec<u8>>, ConnectionError> {
    let body = wire.whole(JSON_BODY).await?;
    log::debug!("sandbox: {} {endpoint:?}", head.method);
    world.lock().record.add(Request {
        method: head.method.clone(),
        target: Target::Call(endpoint),
        body: body.clone().unwrap_or_default(),
        headers: head.headers.clone(),
    });
    world.note();
    if body.is_none() {
        wire.write(&Answer::new(413).close().refusal("request is too long").to_bytes()).await?;
    }
    Ok(body)
}

/// Answers a received call with the result of `carry_out`, whose argument says whether the answer will be sent. A
/// delayed call of the orchestrator is carried out even if the client has disconnected.
pub(crate) async fn respond<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    endpoint: Endpoint,
    carry_out: impl FnOnce(bool) -> Answer,
) -> Result<AfterRequest, ConnectionError> {
    let failure = world.lock().script.call(endpoint);
    let answer = match failure {
        None => carry_out(true),
        Some(CallFailure::Delay(delay)) => {
            let mut late = std::pin::pin!(sleep(delay));
            tokio::select! {
                () = &mut late => carry_out(true),
                () = wire.gone() => {
                    if !is_cancelled_by_disconnect(endpoint) {
                        late.await;
                        let lost = carry_out(false);
                        log::debug!("sandbox: client disconnected before an answer with status {}", lost.status());
                        world.note();
                    }
                    return Ok(AfterRequest::Close);
                }
            }
        }
        Some(CallFailure::Lost) => {
            let lost = carry_out(false);
            log::debug!("sandbox: withheld an answer with status {}", lost.status());
            return Ok(AfterRequest::Reset);
        }
        Some(CallFailure::Reset) => return Ok(AfterRequest::Reset),
        Some(CallFailure::Garbage) => {
            Answer::new(200).with("Content-Type", "text/html").body("<html>\u{fffd}</html>")
        }
        Some(CallFailure::Huge(bytes)) => {
            json(Answer::new(200), &format!("{{\"error\":\"{}\"}}", "x".repeat(bytes)))
        }
        Some(CallFailure::Answer { status, retry_after }) => {
            let answer = Answer::new(status);
            let answer = match retry_after {
                Some(value) => answer.with("Retry-After", value),
                None => answer,
            };
            json(answer, &reason("scripted failure"))
        }
    };
    log::debug!("sandbox: {endpoint:?} answered {}", answer.status());
    world.note();
    wire.answer(answer).await?;
    Ok(AfterRequest::Next)
}

/// Whether a waiting call is cancelled when its client disconnects. The real signer cancels calls that wait for its
/// webhook; the real orchestrator's handlers do not notice the disconnect.
fn is_cancelled_by_disconnect(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::SignInfo | Endpoint::MakePayment | Endpoint::Discover)
}

/// Adds a JSON body to an answer.
pub(crate) fn json(answer: Answer, text: &str) -> Answer {
    answer.with("Content-Type", "application/json").body(text)
}

/// The JSON body of a refusal, as go-livepeer writes it.
pub(crate) fn reason(message: &str) -> String {
    serde_json::json!({ "error": { "message": message } }).to_string()
}
