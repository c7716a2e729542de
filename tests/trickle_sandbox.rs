//! Runs all scenarios of publisher and subscriber against the sandbox's trickle server, over HTTP and HTTPS.
//!
//! Does not: use the real server; `interop` runs the same scenarios against it.
#![cfg(feature = "sandbox")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod trickle_raw;
mod trickle_scenarios;

use std::net::SocketAddr;
use std::time::Duration;

use sandbox::{Handle, Options, Sandbox, Timings};
use trickle_scenarios::Mortal;

/// A sandbox with one channel.
struct Server {
    name: &'static str,
    secure: bool,
    handle: Option<Handle>,
    address: SocketAddr,
}

impl Server {
    fn start(name: &'static str, secure: bool) -> Self {
        let mut server =
            Self { name, secure, handle: None, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.serve();
        server
    }

    fn serve(&mut self) {
        let timings = Timings { continue_every: Duration::from_millis(100), ..Timings::default() };
        let options = Options {
            listen: self.address,
            plain_http: !self.secure,
            timings,
            ..Options::default()
        };
        let handle = Sandbox::start(options).expect("a sandbox");
        handle.create_channel(self.name, "video/MP2T");
        self.address = handle.address();
        self.handle = Some(handle);
    }

    /// Asserts that the sandbox recorded no violation of the protocol.
    fn assert_clean(&self) {
        let violations = self.handle.as_ref().expect("a sandbox").violations();
        assert_eq!(violations.count(), 0, "{violations:?}");
    }
}

impl Mortal for Server {
    fn base(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}/ai/trickle", self.address)
    }

    async fn kill(&mut self) {
        self.handle = None;
    }

    async fn restart(&mut self) {
        self.serve();
    }
}

async fn everything(secure: bool) {
    let start = |name| Server::start(name, secure);
    let [exact, idle, deleted, early, broken] =
        ["exact", "idle", "deleted", "early", "broken"].map(start);
    let bases = [&exact, &idle, &deleted, &early, &broken].map(Server::base);
    let (mut mortal, mut doomed) = (start("restart"), start("death"));
    tokio::join!(
        trickle_scenarios::byte_exact(&bases[0], exact.name, Duration::from_millis(4)),
        trickle_scenarios::idle_pre_connect(&bases[1], idle.name, Duration::from_millis(1050)),
        trickle_scenarios::deleted_in_mid_segment(&bases[2], deleted.name),
        trickle_scenarios::deleted_while_pre_connected(&bases[3], early.name),
        trickle_scenarios::reset_after_a_broken_upload(&bases[4], broken.name),
        trickle_scenarios::killed_and_restarted(&mut mortal, "restart"),
        trickle_scenarios::killed_for_good(&mut doomed, "death"),
    );
    for server in [&exact, &idle, &deleted, &early, &broken, &mortal] {
        server.assert_clean();
    }
}

#[tokio::test]
async fn all_scenarios_over_http() {
    everything(false).await;
}

#[tokio::test]
async fn all_scenarios_over_https() {
    everything(true).await;
}
