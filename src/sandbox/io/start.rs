//! Answers `POST /live-video-to-video`: makes the job's channels and starts its app.
//!
//! Does not: read the request or check its credentials; `start` does.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::http1::io::{ByteStream, ConnectionError, Wire};
use crate::http1::{Answer, Head};
use crate::script::{Endpoint, Failure, Role, StartFailure};
use crate::start::{self, Job, StartRefusal};
use crate::trickle::io::AfterRequest;
use crate::world::World;
use livepeer_gateway::limits::JSON_BODY;
use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::PriceUnit;

/// How often to check whether the runner is free.
const TURN_EVERY: Duration = Duration::from_millis(50);

/// `POST /live-video-to-video`.
pub(super) async fn start<S: ByteStream>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
    plain: bool,
) -> Result<AfterRequest, ConnectionError> {
    let Some(body) = wire.whole(JSON_BODY).await? else {
        wire.write(&Answer::new(413).close().refusal("request is too long").to_bytes()).await?;
        return Ok(AfterRequest::DrainAndClose);
    };
    world.lock().record.add_start_body(&body);
    world.note();
    sleep(world.options.start_delay).await;
    while world.lock().jobs.is_blocked(Instant::now()) {
        sleep(TURN_EVERY).await;
    }
    let answer = match failure(world) {
        Some(StartFailure::Reset) => return Ok(AfterRequest::Reset),
        Some(StartFailure::Answer { status, body }) => text(status, body),
        Some(StartFailure::Delay(delay)) => {
            sleep(delay).await;
            grant(world, head, &body, plain)
        }
        Some(StartFailure::Worker(words)) => match pay(world, head, &body) {
            Ok(_) => text(500, format!("{words}\n")),
            Err(refusal) => refuse(world, &refusal),
        },
        None => grant(world, head, &body, plain),
    };
    log::debug!("sandbox: job start answered {}", answer.status());
    wire.answer(answer).await?;
    Ok(AfterRequest::Next)
}

fn text(status: u16, body: String) -> Answer {
    Answer::new(status).with("Content-Type", "text/plain; charset=utf-8").body(body)
}

fn failure(world: &World) -> Option<StartFailure> {
    world.lock().script.take(|failure| {
        let Failure::Start(failure) = failure else { return None };
        Some(failure.clone())
    })
}

fn grant(world: &World, head: &Head, body: &[u8], plain: bool) -> Answer {
    match begin(world, head, body) {
        Ok(job) => job.answer(|name| world.channel_url(plain, name)),
        Err(refusal) => refuse(world, &refusal),
    }
}

fn refuse(world: &World, refusal: &StartRefusal) -> Answer {
    let (status, reason) = refusal.reason();
    world.lock().ledger.refuse(Endpoint::Start, status, reason);
    Answer::error(status, reason)
}

/// Makes the steps before the call of the worker: the capacity check, then the payment, which is kept even if the
/// worker fails (go-livepeer `server/ai_http.go:1034`, `:1063`, `:1157`). Returns the job and the price in its payment.
fn pay(world: &World, head: &Head, body: &[u8]) -> Result<(Job, Option<PriceInfo>), StartRefusal> {
    let wish = start::read(body)?;
    world.admit(&wish.model_id).map_err(|_| StartRefusal::NoCapacity)?;
    let job = Job::new(wish);
    if world.live_price().is_none() {
        let segment = head.header("livepeer-segment");
        start::check_credential(segment, &world.tokens, world.now())?;
        return Ok((job, None));
    }
    let paid = world.take_payment(head, Some(&job.manifest)).map_err(StartRefusal::Payment)?;
    Ok((job, paid.payment.expected_price))
}

fn begin(world: &World, head: &Head, body: &[u8]) -> Result<Job, StartRefusal> {
    let (job, price) = pay(world, head, body)?;
    for role in Role::ALL {
        let made = world.create(&job.channel(role), start::content_type(role));
        made.map_err(|_| StartRefusal::NoCapacity)?;
    }
    world.begin(job.clone()).map_err(|_| StartRefusal::NoCapacity)?;
    if let Some(price) = price {
        let now = world.now();
        let rate = (PriceUnit::PixelSeconds720p, &price);
        world.lock().ledger.begin(&job.manifest, rate, true, now);
    }
    Ok(job)
}
