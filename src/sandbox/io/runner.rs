//! Answers calls to runners and to the echo app behind them.
//!
//! The echo app is the app behind every job. `POST {app_url}/echo` starts it and returns its two channels; `POST
//! {app_url}/update` changes its parameters.
//!
//! Does not: run a separate process for each session.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::echo;
use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::io::call::json as body;
use crate::io::calls::{CallOutcome, json_answer};
use crate::money::credentials::CallRefusal;
use crate::runner::{SingleShot, answers};
use crate::script::Role;
use crate::start::{self, Job};
use crate::trickle::io::AfterRequest;
use crate::world::{Admission, World};

/// The events that a single-shot runner must send.
pub(super) struct EventStream {
    session: String,
    count: u32,
    gap: Duration,
}

/// `POST /apps/…/session`.
pub(super) fn reserve(world: &World, head: &Head, runner: usize) -> CallOutcome {
    let admission = admit(world, head, runner)?;
    if let Admission::Challenged(challenge) = &admission {
        return Ok(json_answer(402, challenge));
    }
    let id = world.reserve(runner, &admission)?;
    Ok(json_answer(200, &answers::session(&world.url(false), runner, &id)))
}

/// `POST /apps/…/session/…/stop`.
pub(super) fn stop(world: &World, runner: usize, id: &str) -> CallOutcome {
    world.lock().sessions.check(runner, id)?;
    world.end(id);
    world.lock().record.counters.stopped += 1;
    Ok(Answer::new(204))
}

/// `POST {app_url}/…`.
pub(super) fn app(
    world: &World,
    runner: usize,
    id: &str,
    path: &str,
    message: &[u8],
) -> CallOutcome {
    world.lock().sessions.check(runner, id)?;
    let bad = |reason: String| CallRefusal::new(400, reason);
    let params = answers::parameters(message).map_err(bad)?;
    if let Err(echo::BadEffect(reason)) = echo::wanted(&params) {
        return Err(bad(reason));
    }
    match path {
        "echo" if world.lock().sessions.run(id) => {
            let params = Value::Object(params);
            let job = Job { manifest: id.to_owned(), params, request: None, announce: None };
            for role in [Role::Publish, Role::Output] {
                let made = world.create(&job.channel(role), start::content_type(role));
                made.map_err(|_| CallRefusal::new(503, "too many channels"))?;
            }
            let url = |role| world.channel_url(false, &job.channel(role));
            let answer = json!({ "in": url(Role::Publish), "out": url(Role::Output) });
            world.launch(job).map_err(|_| CallRefusal::new(503, "too many apps"))?;
            Ok(json_answer(200, &answer))
        }
        "echo" => Err(CallRefusal::new(409, "the app is already running")),
        "update" if world.update(id, params) => Ok(json_answer(200, &json!({}))),
        "update" => Err(CallRefusal::new(409, "the app is not running")),
        _ => Err(CallRefusal::new(404, "404 page not found")),
    }
}

/// `POST /apps/…/app/…`. Returns the answer, or the head of an answer and the events to send after the head. An unknown
/// path is refused only after the session is reserved and paid.
pub(super) fn single(
    world: &World,
    head: &Head,
    runner: usize,
    path: &str,
    message: &[u8],
) -> Result<(Answer, Option<EventStream>), CallRefusal> {
    let options = world.runner(runner)?;
    let Some(shot) = &options.shot else {
        return Err(CallRefusal::new(400, "runner is not single-shot"));
    };
    let admission = admit(world, head, runner)?;
    if let Admission::Challenged(challenge) = &admission {
        return Ok((json_answer(402, challenge), None));
    }
    let session = world.reserve(runner, &admission)?;
    if path != options.path {
        world.end(&session);
        return Err(CallRefusal::new(404, "404 page not found"));
    }
    match shot {
        SingleShot::Plain => {
            let echo = serde_json::from_slice(message)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(message).into_owned()));
            world.end(&session);
            Ok((body(Answer::new(200), &json!({ "echo": echo }).to_string()), None))
        }
        SingleShot::Events { count, gap } => {
            let head = Answer::new(200)
                .with("Content-Type", "text/event-stream")
                .with("Transfer-Encoding", "chunked");
            Ok((head, Some(EventStream { session, count: *count, gap: *gap })))
        }
    }
}

/// Sends the events that follow the head of an answer, until the session ends or the client disconnects.
pub(super) async fn events<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    shots: EventStream,
    after: Result<AfterRequest, ConnectionError>,
) -> Result<AfterRequest, ConnectionError> {
    let after = match after {
        Ok(AfterRequest::Next) => send(wire, world, &shots).await,
        Ok(after) => Ok(after),
        Err(error) => Err(error),
    };
    world.end(&shots.session);
    after
}

async fn send<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    shots: &EventStream,
) -> Result<AfterRequest, ConnectionError> {
    for n in 0..shots.count {
        tokio::select! {
            () = sleep(shots.gap) => {}
            () = wire.gone() => return Ok(AfterRequest::Close),
        }
        if world.lock().sessions.runner(&shots.session).is_none() {
            return Ok(AfterRequest::Reset);
        }
        let event = format!("data: {{\"n\":{n}}}\n\n");
        wire.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    }
    wire.write(b"0\r\n\r\n").await?;
    Ok(AfterRequest::Next)
}

fn admit(world: &World, head: &Head, runner: usize) -> Result<Admission, CallRefusal> {
    let price = world.runner(runner)?.price();
    world.admission(head, price.as_ref(), |id| world.session_payment_url(runner, id))
}
