//! The look-out for peers that cannot be reached, while there is no job.
//!
//! Does not: look itself; the connector does.

use std::sync::Arc;

use tokio::task::JoinSet;

use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::Connector;

/// One look-out at most.
#[derive(Default)]
pub(super) struct Probes {
    tasks: JoinSet<()>,
    peers: Vec<Url>,
}

impl Probes {
    /// Looks out for `peers`. One for the same peers that is under way goes on: it alone knows who was gone
    /// before they were tried again.
    pub(super) fn look_out(&mut self, peers: Vec<Url>, connector: &Arc<Connector>) {
        if !self.tasks.is_empty() && self.peers == peers {
            return;
        }
        self.tasks = JoinSet::new();
        self.peers.clone_from(&peers);
        let connector = Arc::clone(connector);
        self.tasks.spawn(async move { connector.until_reachable(peers).await });
    }

    /// Waits until one of them is back; for ever if none is looked out for.
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
    async fn a_try_in_between_does_not_make_it_forget_who_was_gone() {
        let connector = Arc::new(Connector::new(Arc::new(ServiceTrust::default())));
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = bound.local_addr().unwrap();
        drop(bound);
        let peers = vec![Url::parse(&format!("https://{at}")).unwrap()];
        let mut probes = Probes::default();
        let first_look = Duration::from_millis(300);
        assert!(timeout(first_look, probes.found()).await.is_err(), "nobody is looked out for");
        probes.look_out(peers.clone(), &connector);
        assert!(timeout(first_look, probes.found()).await.is_err());
        let _back = TcpListener::bind(at).await.unwrap();
        probes.look_out(peers, &connector);
        timeout(Duration::from_secs(10), probes.found()).await.expect("it is back");
    }
}
