//! Answers `POST /scope`: starts a job and returns its control and events channels.
//!
//! The first event names the media channels: `{"type":"channels","in":…,"out":…}`. Only the sandbox uses this form;
//! each real model has its own.
//!
//! Does not: require an auth token without a price; the real orchestrator does not either.

use serde_json::json;

use crate::http1::Head;
use crate::io::calls::{CallOutcome, json_answer};
use crate::money::credentials::CallRefusal;
use crate::script::Role;
use crate::start::{self, Job};
use crate::world::{Admission, World};
use livepeer_gateway::price::PriceUnit;

/// `POST /scope`.
pub(super) fn start(world: &World, head: &Head, body: &[u8]) -> CallOutcome {
    let refused = |refusal: start::StartRefusal| {
        let (status, reason) = refusal.reason();
        CallRefusal::new(status, reason)
    };
    let wish = start::read(body).map_err(refused)?;
    let price = world.live_price().map(|price| (PriceUnit::PixelSeconds720p, price));
    let payment_url = |_: &str| format!("{}/payment", world.url(false));
    let (manifest, paid) = match world.admission(head, price.as_ref(), payment_url)? {
        Admission::Challenged(challenge) => return Ok(json_answer(402, &challenge)),
        Admission::Free(id) => (id, None),
        Admission::Paid(paid) => (paid.manifest.clone(), Some(paid)),
    };
    if let Some(paid) = &paid {
        world.book(paid, &manifest)?;
    }
    let full = || CallRefusal::new(503, "insufficient capacity");
    world.admit("scope").map_err(|_| full())?;
    let url = |role: Role| world.channel_url(false, &format!("{manifest}{}", role.suffix()));
    let job = Job {
        manifest: manifest.clone(),
        params: wish.params,
        request: Some(wish.gateway_request_id),
        announce: Some(json!({
            "type": "channels",
            "in": url(Role::Publish),
            "out": url(Role::Output),
        })),
    };
    for role in Role::ALL {
        world.create(&job.channel(role), start::content_type(role)).map_err(|_| full())?;
    }
    let answer = json!({
        "manifest_id": manifest,
        "control_url": url(Role::Control),
        "events_url": url(Role::Events),
    });
    world.begin(job).map_err(|_| full())?;
    if let Some(price) = paid.and_then(|paid| paid.payment.expected_price) {
        let now = world.now();
        let rate = (PriceUnit::PixelSeconds720p, &price);
        world.lock().ledger.begin(&manifest, rate, false, now);
    }
    Ok(json_answer(200, &answer))
}
