//! Looks out for peers that cannot be reached, so that a job starts again as soon as one can, and not only after
//! the pause between two tries.
//!
//! A peer that can be reached at the first look is none of these: it was asked, and said no. Each look is one
//! TCP connection that is closed at once, one peer after the other.
//!
//! Does not: ask anybody anything.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::http::Url;

/// Peers that are looked out for at most.
pub const PROBED: usize = 8;
/// Between two looks; below the 2 s within which a peer that is back is to be met.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For one look, with a look-up of the name.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// Waits until one of `peers` that cannot be reached now can be reached; for ever if all can be.
pub async fn until_reachable(mut peers: Vec<Url>) {
    let mut gone = Vec::new();
    for peer in peers.drain(..) {
        if !can_be_reached(&peer).await {
            gone.push(peer);
        }
    }
    if gone.is_empty() {
        return std::future::pending().await;
    }
    loop {
        sleep(LOOK_EVERY).await;
        for peer in &gone {
            if can_be_reached(peer).await {
                return;
            }
        }
    }
}

async fn can_be_reached(peer: &Url) -> bool {
    let peer = peer.authority();
    let connected = timeout(LOOK_TIME, TcpStream::connect((peer.host(), peer.port()))).await;
    connected.is_ok_and(|connected| connected.is_ok())
}
