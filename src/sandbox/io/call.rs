//! A call that is answered whole: takes its body in, lets the script spoil it, or has it carried out.
//!
//! Does not: carry it out; the part that it is for does.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use crate::http1::io::{Wire, WireError};
use crate::http1::{Answer, Head};
use crate::record::{Request, Target};
use crate::script::{CallFailure, Endpoint};
use crate::trickle::io::AfterRequest;
use crate::world::World;
use livepeer_gateway::limits::JSON_BODY;

/// Takes in the body of a call and records it. `None` if it is too long; it is answered then.
pub(crate) async fn receive<S>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    endpoint: Endpoint,
) -> Result<Option<Vec<u8>>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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

/// Answers a call that was taken in with what `carry_out` says; it is told whether its answer will go out. A call
/// of the orchestrator is carried out also when its client has left before.
pub(crate) async fn respond<S>(
    wire: &mut Wire<S>,
    world: &World,
    endpoint: Endpoint,
    carry_out: impl FnOnce(bool) -> Answer,
) -> Result<AfterRequest, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failure = world.lock().script.call(endpoint);
    let answer = match failure {
        None => carry_out(true),
        Some(CallFailure::Delay(delay)) => {
            let mut late = std::pin::pin!(sleep(delay));
            tokio::select! {
                () = &mut late => carry_out(true),
                () = wire.gone() => {
                    if !ends_with_its_client(endpoint) {
                        late.await;
                        let lost = carry_out(false);
                        log::debug!("sandbox: nobody waits for an answer with status {}", lost.status());
                        world.note();
                    }
                    return Ok(AfterRequest::Close);
                }
            }
        }
        Some(CallFailure::Lost) => {
            let lost = carry_out(false);
            log::debug!("sandbox: an answer with status {} is lost", lost.status());
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
                Some(value) => answer.with("Retry-AfterRequest", value),
                None => answer,
            };
            json(answer, &reason("as the script says"))
        }
    };
    log::debug!("sandbox: {endpoint:?} answered {}", answer.status());
    world.note();
    wire.answer(answer).await?;
    Ok(AfterRequest::Next)
}

/// Whether a call that takes long is given up when its client leaves. A signer's is, which waits for its webhook;
/// a handler of the orchestrator does not hear of it.
fn ends_with_its_client(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::SignInfo | Endpoint::MakePayment | Endpoint::Discover)
}

/// The body of an answer in JSON.
pub(crate) fn json(answer: Answer, text: &str) -> Answer {
    answer.with("Content-Type", "application/json").body(text)
}

/// A refusal in JSON, as go-livepeer writes it.
pub(crate) fn reason(message: &str) -> String {
    serde_json::json!({ "error": { "message": message } }).to_string()
}
