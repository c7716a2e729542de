//! Answers `POST /payment`: books what a gateway pays for its job, and gives it fresh terms.
//!
//! As on go-livepeer, a payment is booked under the manifest id that its credentials name, whether there is
//! such a job or not: one that names a wrong id pays for nothing.
//!
//! Does not: decide what a payment is worth; `money` does.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::price::Unit;
use crate::sandbox::http1::io::{Wire, WireError};
use crate::sandbox::http1::{Answer, Head};
use crate::sandbox::io::call::{receive, respond};
use crate::sandbox::money::credentials::Unpaid;
use crate::sandbox::script::Endpoint;
use crate::sandbox::trickle::io::After;
use crate::sandbox::world::World;

/// `POST /payment`.
pub(super) async fn pay<S>(
    wire: &mut Wire<S>,
    world: &World,
    head: &Head,
) -> Result<After, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const ENDPOINT: Endpoint = Endpoint::Payment;
    if receive(wire, world, head, ENDPOINT).await?.is_none() {
        return Ok(After::DrainAndClose);
    }
    respond(wire, world, ENDPOINT, |_| match accept(world, head) {
        Ok(result) => {
            Answer::new(200).with("Content-Type", "application/octet-stream").body(result)
        }
        Err(unpaid) => refuse(world, ENDPOINT, &unpaid),
    })
    .await
}

/// The answer to a call that is not paid as it should be.
pub(super) fn refuse(world: &World, endpoint: Endpoint, unpaid: &Unpaid) -> Answer {
    world.lock().ledger.refuse(endpoint, unpaid.status, &unpaid.reason);
    Answer::error(unpaid.status, &unpaid.reason)
}

fn accept(world: &World, head: &Head) -> Result<Vec<u8>, Unpaid> {
    let credentials = world.credentials(head)?;
    let price = world.live_price();
    if let Some(price) = &price {
        world.book(&credentials, price, &credentials.manifest)?;
    }
    Ok(world.payment_result(credentials.token, price, Unit::PixelSeconds720p))
}
