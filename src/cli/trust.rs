//! `trust`: shows the certificates that are pinned, and forgets them.
//!
//! Does not: connect to peers, or notify a running agent.

use super::{Error, print};
use crate::config::Config;
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::orchestrator::io::PinFile;
use std::collections::BTreeSet;

/// Why pins could not be shown or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is no state directory, so no pins are kept.
    #[error("no certificates are kept without a state directory; set state.directory")]
    NoDirectory,
    /// No certificate is pinned for this host.
    #[error("no certificate is pinned for `{0}`; `trust list` shows all")]
    NotPinned(String),
}

/// Prints all pins, or removes those of the host `forget`.
pub fn trust(config: &Config, forget: Option<&str>) -> Result<(), Error> {
    let directory = config.state_directory.as_deref();
    let directory = directory.ok_or(Error::Trust(TrustError::NoDirectory))?;
    let file = PinFile::open(TrustOptions::default(), Some(directory), &config.orchestrators);
    let pins = file.pins();
    let Some(host) = forget else {
        pins.iter().for_each(|pin| print(&format!("{pin}\n")));
        return Ok(());
    };
    let peers = pins.iter().map(|pin| pin.peer.as_str()).filter(|peer| is_of(peer, host));
    let of_host: BTreeSet<&str> = peers.collect();
    if of_host.is_empty() {
        return Err(Error::Trust(TrustError::NotPinned(host.to_owned())));
    }
    for peer in of_host {
        file.forget(peer);
        print(&format!("{peer} forgotten\n"));
    }
    Ok(())
}

/// Whether a pin's `host:port` is that of `host`, which may leave out the port.
fn is_of(peer: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let of_any_port = |host: &str| {
        peer.strip_prefix(host)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    peer == host || of_any_port(&host) || of_any_port(&format!("[{host}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_for_all_its_ports() {
        let check = |peer: &str, host: &str, expected| assert_eq!(is_of(peer, host), expected);
        check("o.example:8935", "o.example:8935", true);
        check("o.example:8935", "O.example", true);
        check("o.example:8935", "o.example:893", false);
        check("o.example:8935", "example", false);
        check("o.example:8935", "o", false);
        check("[::1]:8935", "[::1]", true);
        check("[::1]:8935", "::1", true);
        check("[::1]:8935", "[::1]:8935", true);
        check("[::1:2]:8935", "::1", false);
    }
}
