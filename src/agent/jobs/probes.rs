//! Watches for unreachable peers to become reachable, while no job runs.
//!
//! Does not: connect; the connector does.

use std::sync::Arc;

use tokio::task::JoinSet;

use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::Connector;

/// Watches for peers to become reachable, with at most one watch in progress.
#[derive(Default)]
pub(super) struct Probes {
    tasks: JoinSet<()>,
    peers: Vec<Url>,
}

impl Probes {
    /// Watches `peers`. A watch of the same peers in progress continues: it knows which of them were unreachable before
    /// this attempt.
    pub(super) fn watch(&mut self, peers: Vec<Url>, connector: &Arc<Connector>) {
        if !self.tasks.is_empty() && self.peers == peers {
            return;
        }
        self.tasks = JoinSet::new();
        self.peers.clone_from(&peers);
        let connector = Arc::clone(connector);
        self.tasks.spawn(async move { connector.until_reachable(peers).await });
    }

    /// Waits until a watched peer becomes reachable; forever without a watch.
    pub(super) async fn found(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use livepeer_gateway::http::ServiceTrust;

    #[tokio::test]
    async fn another_attempt_keeps_the_watch_in_progress() {
        let connector = Arc::new(Connector::new(Arc::new(ServiceTrust::default())));
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = bound.local_addr().unwrap();
        drop(bound);
        let peers = vec![Url::parse(&format!("https://{at}")).unwrap()];
        let mut probes = Probes::default();
        let first_look = Duration::from_millis(300);
        assert!(timeout(first_look, probes.found()).await.is_err(), "no peer is watched");
        probes.watch(peers.clone(), &connector);
        assert!(timeout(first_look, probes.found()).await.is_err());
        let _back = TcpListener::bind(at).await.unwrap();
        probes.watch(peers, &connector);
        timeout(Duration::from_secs(10), probes.found())
            .await
            .expect("the peer is reachable again");
    }
}
