//! Answers the orchestrator's calls: payments, runners, scopes.
//!
//! Does not: check payments or sessions; `world` does.

use serde_json::Value;

use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::io::call::{json, receive, respond};
use crate::io::{runner, scope};
use crate::money::credentials::CallRefusal;
use crate::route::EndpointCall;
use crate::trickle::io::AfterRequest;
use crate::world::World;
use livepeer_gateway::price::PriceUnit;

/// The answer to a call, or a refusal to record in the ledger.
pub(super) type CallOutcome = Result<Answer, CallRefusal>;

/// Answers a call.
pub(super) async fn answer<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    call: EndpointCall<'_>,
) -> Result<AfterRequest, ConnectionError> {
    let endpoint = call.endpoint();
    let Some(body) = receive(wire, world, head, endpoint).await? else {
        return Ok(AfterRequest::DrainAndClose);
    };
    let mut shot = None;
    let after = respond(wire, world, endpoint, |_| {
        let outcome = match call {
            EndpointCall::Payment => pay(world, head),
            EndpointCall::Refresh => world.refresh(&body).map(|body| json_answer(200, &body)),
            EndpointCall::Scope => scope::start(world, head, &body),
            EndpointCall::Discovery => list(world),
            EndpointCall::Reserve(runner) => runner::reserve(world, head, runner),
            EndpointCall::Stop(runner, id) => runner::stop(world, runner, id),
            EndpointCall::SessionPayment(runner, id) => {
                world.pay_session(runner, id, head).map(paid)
            }
            EndpointCall::App(runner, id, path) => runner::app(world, runner, id, path, &body),
            EndpointCall::Single(runner, path) => runner::single(world, head, runner, path, &body)
                .map(|(answer, events)| {
                    shot = events;
                    answer
                }),
        };
        outcome.unwrap_or_else(|unpaid| {
            world.lock().ledger.refuse(endpoint, unpaid.status, &unpaid.reason);
            Answer::error(unpaid.status, &unpaid.reason)
        })
    })
    .await;
    match shot {
        Some(shot) => runner::events(wire, world, shot, after).await,
        None => after,
    }
}

/// An answer with a JSON body.
pub(super) fn json_answer(status: u16, body: &Value) -> Answer {
    json(Answer::new(status), &body.to_string())
}

/// As on go-livepeer, a payment is booked under the manifest id in its credentials, whether or not such a job exists.
fn pay(world: &World, head: &Head) -> CallOutcome {
    let credentials = world.credentials(head)?;
    // The answer has the present price, even if the job began with another price.
    let price = world.quote();
    if price.is_some() {
        world.book(&credentials, &credentials.manifest)?;
    }
    let price = price.map(|price| (PriceUnit::PixelSeconds720p, price));
    Ok(paid(world.payment_result(credentials, price)))
}

fn paid(result: Vec<u8>) -> Answer {
    Answer::new(200).with("Content-Type", "application/octet-stream").body(result)
}

fn list(world: &World) -> CallOutcome {
    match world.own_runners() {
        Some(list) => Ok(json(Answer::new(200), &list)),
        None => Err(CallRefusal::new(404, "live runners are not supported")),
    }
}
