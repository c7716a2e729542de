//! Probes unreachable peers, so that a job can start as soon as one is reachable, before the pause between two attempts
//! ends.
//!
//! A peer that is reachable at the first probe is left out: it has already answered and refused. A probe is one TCP
//! connection that is closed at once; peers are probed one after the other.
//!
//! Does not: send requests.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::http::Url;
use crate::http::io::Connector;

/// The maximum number of peers probed.
const PROBED: usize = 8;
/// The pause between two rounds. With [`PROBE_TIME`] it stays below the 2 s within which a peer that is back must be
/// noticed.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// The time limit for one probe, name look-up included.
const PROBE_TIME: Duration = Duration::from_secs(1);

impl Connector {
    /// Returns when one of the `peers` that are unreachable now becomes reachable; never if all are reachable now.
    pub async fn until_reachable(&self, peers: Vec<Url>) {
        let mut gone = Vec::new();
        for peer in peers.into_iter().take(PROBED) {
            if !self.can_reach(&peer).await {
                gone.push(peer);
            }
        }
        if gone.is_empty() {
            return std::future::pending().await;
        }
        loop {
            sleep(PROBE_EVERY).await;
            for peer in &gone {
                if self.can_reach(peer).await {
                    return;
                }
            }
        }
    }

    async fn can_reach(&self, peer: &Url) -> bool {
        let connected = timeout(PROBE_TIME, async {
            for address in self.addresses(peer).await.unwrap_or_default() {
                if TcpStream::connect(address).await.is_ok() {
                    return true;
                }
            }
            false
        });
        connected.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::http::ServiceTrust;

    #[tokio::test]
    async fn a_peer_that_becomes_reachable_is_noticed_and_a_reachable_peer_is_left_out() {
        let connector = Connector::new(Arc::new(ServiceTrust::default()));
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [there_at, away_at] = [&there, &away].map(|listener| listener.local_addr().unwrap());
        let url = |at| Url::parse(&format!("https://{at}")).unwrap();
        drop(away);
        let only_there = connector.until_reachable(vec![url(there_at)]);
        assert!(timeout(Duration::from_millis(300), only_there).await.is_err());
        let both = connector.until_reachable(vec![url(there_at), url(away_at)]);
        let mut both = std::pin::pin!(both);
        assert!(timeout(Duration::from_millis(300), &mut both).await.is_err());
        let _back = TcpListener::bind(away_at).await.unwrap();
        timeout(Duration::from_secs(10), both).await.expect("it is back");
    }
}
