//! ureq's agents: one for each pair of reach and orchestrator.
//!
//! An agent reuses connections by host and port. With a single agent, a call to a URL that a peer gave could use a
//! connection that was made, and trusted, for a URL of the user.
//!
//! Does not: make calls.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as Link, NextTimeout, TcpConnector};

use crate::http::io::origin::OriginLink;
use crate::http::io::pace::PaceLink;
use crate::http::io::tls_link::TlsLink;
use crate::http::io::{ConnectError, Connector, USER_AGENT};
use crate::http::{Authority, Url, Zone, within_reach};
use crate::limits::{ADDRESSES, CONNECT_TIME, RESPONSE_HEAD};

/// Agents for calls: one for each orchestrator that names other hosts, and for each zone.
const AGENTS: usize = 16;
/// How long an idle connection may be reused. The time is short, because an older connection may belong to a network or
/// an address that this computer has lost, and a call on it hangs until the call's time limit.
const REUSE_TIME: Duration = Duration::from_secs(2);

/// ureq's buffers in each direction; its default is 128 KiB for each connection.
pub(super) const BUFFER: usize = 16 << 10;

/// The agents in use.
#[derive(Debug, Clone)]
pub(super) struct Agents {
    connector: Arc<Connector>,
    agents: Arc<Mutex<HashMap<UrlRights, ureq::Agent>>>,
}

/// What a URL may reach, and the orchestrator that named it. Calls share connections only if both are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UrlRights {
    reach: Zone,
    under: Option<Authority>,
}

impl UrlRights {
    fn of(url: &Url) -> Self {
        Self { reach: url.reach(), under: url.under().cloned() }
    }

    /// Parses the URL that ureq passes as text, and gives it this reach and orchestrator.
    pub(super) fn url(&self, uri: &Uri) -> Result<Url, ureq::Error> {
        let url = Url::parse(&uri.to_string());
        let url = url.map_err(|error| ureq::Error::BadUri(error.to_string()))?;
        Ok(url.with_reach(self.reach).with_under(self.under.clone()))
    }
}

impl Agents {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, agents: Arc::default() }
    }

    /// The agent for calls to `url`.
    pub(super) fn agent(&self, url: &Url) -> ureq::Agent {
        let right = UrlRights::of(url);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&right) {
            return agent.clone();
        }
        if agents.len() >= AGENTS {
            agents.clear();
        }
        let agent = agent(&self.connector, &right);
        agents.insert(right, agent.clone());
        agent
    }
}

fn agent(connector: &Arc<Connector>, right: &UrlRights) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_resolve(Some(CONNECT_TIME))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_response_header_size(RESPONSE_HEAD)
        .max_idle_connections(4)
        .max_idle_connections_per_host(2)
        .max_idle_age(REUSE_TIME)
        .user_agent(USER_AGENT)
        .build();
    let (tls, names) = (Arc::clone(connector), Arc::clone(connector));
    let tls = TlsLink { connector: tls, right: right.clone() };
    let links = TcpConnector::default().chain(OriginLink).chain(tls).chain(PaceLink);
    ureq::Agent::with_parts(config, links, AgentResolver { connector: names, right: right.clone() })
}

/// The resolver of one agent.
#[derive(Debug)]
struct AgentResolver {
    connector: Arc<Connector>,
    right: UrlRights,
}

impl Resolver for AgentResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let url = self.right.url(uri)?;
        // The call's own limit may be longer than that of a connection.
        let time = (*timeout.after).min(CONNECT_TIME);
        let Some(found) = self.connector.lookups().addresses_within(url.authority(), time) else {
            return Err(ureq::Error::Timeout(ureq::Timeout::Resolve));
        };
        let found = found.map_err(|_| ureq::Error::HostNotFound)?;
        let found = within_reach(&url, found).map_err(|address| {
            ureq::Error::Io(io::Error::other(ConnectError::too_near(&url, address)))
        })?;
        let mut resolved = self.empty();
        for address in found.into_iter().take(ADDRESSES) {
            resolved.push(address);
        }
        if resolved.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(resolved) }
    }
}
