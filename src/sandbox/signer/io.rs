//! Answers calls on the signer's port.
//!
//! Does not: decide what to sign; the parent module does.

use crate::check::Violation;
use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::io::call::{json, reason, receive, respond};
use crate::script::Endpoint;
use crate::signer::{self, Caller, SignerRefusal, StateMisuse};
use crate::token;
use crate::trickle::io::AfterRequest;
use crate::world::World;

/// Answers one request. The caller must act on the result.
pub(crate) async fn request<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
) -> Result<AfterRequest, ConnectionError> {
    let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    let endpoint = match (path, head.method.as_str()) {
        ("/sign-orchestrator-info", "POST") => Endpoint::SignInfo,
        ("/generate-live-payment", "POST") => Endpoint::MakePayment,
        ("/discover-orchestrators", "GET") => Endpoint::Discover,
        ("/sign-orchestrator-info" | "/generate-live-payment" | "/discover-orchestrators", _) => {
            wire.answer(Answer::new(405).refusal("Method Not Allowed")).await?;
            return Ok(AfterRequest::Next);
        }
        _ => {
            wire.answer(Answer::error(404, "404 page not found")).await?;
            return Ok(AfterRequest::Next);
        }
    };
    let Some(body) = receive(wire, world, head, endpoint).await? else {
        return Ok(AfterRequest::DrainAndClose);
    };
    if endpoint == Endpoint::MakePayment {
        return pay(wire, world, head, &body).await;
    }
    respond(wire, world, endpoint, |_| {
        let is_sign = endpoint == Endpoint::SignInfo;
        let body = identity(world, head).map(|_| {
            if is_sign {
                signer::sign_info(&world.payer()).to_string()
            } else {
                world.orchestrators(query)
            }
        });
        answer(world, endpoint, body)
    })
    .await
}

async fn pay<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    body: &[u8],
) -> Result<AfterRequest, ConnectionError> {
    const ENDPOINT: Endpoint = Endpoint::MakePayment;
    let position = signer::position(body, &world.payer());
    let misuse = position.as_ref().and_then(|(id, at)| world.lock().order.begin(id, *at).err());
    if let Some(misuse) = misuse {
        let violation = match misuse {
            StateMisuse::Outdated => Violation::OldState,
            StateMisuse::Reused => Violation::ReusedState,
            StateMisuse::Concurrent => Violation::ConcurrentStates,
        };
        let message = violation.to_string();
        world.lock().violations.add(violation);
        // A reused state is signed again; the orchestrator then refuses the tickets that it has seen.
        if misuse != StateMisuse::Reused {
            let refusal = SignerRefusal { status: 400, message, orchestrator: None };
            wire.answer(answer(world, ENDPOINT, Err(refusal))).await?;
            return Ok(AfterRequest::Next);
        }
    }
    let mut made = None;
    let after = respond(wire, world, ENDPOINT, |is_delivered| {
        let signed = sign(world, head, body);
        made = signed.as_ref().ok().map(|signed| (signed.position.clone(), is_delivered));
        answer(world, ENDPOINT, signed.map(|signed| signed.body.to_string()))
    })
    .await;
    match (made, position) {
        (Some(((id, at), is_delivered)), _) => {
            let is_delivered = is_delivered && after.is_ok();
            world.lock().order.end(&id, Some(at), is_delivered);
        }
        (None, Some((id, _))) => world.lock().order.end(&id, None, true),
        (None, None) => {}
    }
    after
}

fn sign(world: &World, head: &Head, body: &[u8]) -> Result<signer::Signed, SignerRefusal> {
    let identity = identity(world, head)?;
    let payer = world.payer();
    let caller = Caller {
        payer: &payer,
        identity: &identity,
        now: world.now(),
        refresh_before: world.options.timings.token / 10,
        id: &token::random_id(),
    };
    signer::pay(body, caller)
}

fn identity(world: &World, head: &Head) -> Result<String, SignerRefusal> {
    let state = world.lock();
    let value = state.signer.header.as_deref().and_then(|name| head.header(name));
    signer::identity(&state.signer, value)
}

fn answer(world: &World, endpoint: Endpoint, result: Result<String, SignerRefusal>) -> Answer {
    match result {
        Ok(body) => json(Answer::new(200), &body),
        Err(refusal) => {
            // 482 is not an error: no payment is due.
            if refusal.status != 482 {
                world.lock().ledger.refuse(endpoint, refusal.status, &refusal.message);
            }
            let answer = Answer::new(refusal.status);
            let answer = match &refusal.orchestrator {
                Some(url) => answer.with("Livepeer-Orchestrator-URL", url),
                None => answer,
            };
            json(answer, &reason(&refusal.message))
        }
    }
}
