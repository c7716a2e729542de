//! Where the API listens: an address, a Unix socket, or nowhere.
//!
//! | `api.listen` | then |
//! |---|---|
//! | not set | the first free port of 127.0.0.1 from 8787 to 8802, else any free one, so that several agents do not clash |
//! | `address:port` | this address alone; while it is taken, the agent runs without the API and tries again |
//! | `unix:/path` | a Unix socket, which only its owner's user and group may open |
//! | `off` | nowhere |
//!
//! Does not: open sockets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The ports that are tried when none is configured.
pub(super) const PORTS: RangeInclusive<u16> = 8787..=8802;

/// The longest path of a Unix socket (`sun_path`, with its final zero).
const SOCKET_PATH: usize = 107;

/// Where the API listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Listen {
    /// On a free port of this computer's loopback address.
    #[default]
    FreePort,
    /// On this address.
    Address(SocketAddr),
    /// On this Unix socket.
    Socket(PathBuf),
    /// Nowhere.
    Off,
}

impl Listen {
    /// Whether only this computer can reach the API.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::FreePort | Self::Socket(_) | Self::Off => true,
        }
    }

    /// The addresses to try, in their order.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        match self {
            Self::FreePort => PORTS.chain([0]).map(local).collect(),
            Self::Address(address) => vec![*address],
            Self::Socket(_) | Self::Off => Vec::new(),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        match text.strip_prefix("unix:") {
            Some(path) => socket(path),
            None => text.parse().map(Self::Address).map_err(|_| {
                "is not an IP address with a port (127.0.0.1:8787, [::1]:8787), unix:/path or off"
                    .to_owned()
            }),
        }
    }
}

fn socket(path: &str) -> Result<Listen, String> {
    if !Path::new(path).is_absolute() || path.contains('\0') || path.ends_with('/') {
        return Err("needs an absolute path after unix:".to_owned());
    }
    if path.len() > SOCKET_PATH {
        return Err(format!("names a path of {} bytes; at most {SOCKET_PATH}", path.len()));
    }
    Ok(Listen::Socket(path.into()))
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FreePort => f.write_str("a free port of 127.0.0.1"),
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Off => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Listen, bool)>) {
        let found = text.parse::<Listen>().ok();
        assert_eq!(found.map(|listen| (listen.clone(), listen.is_local())), expected, "{text}");
    }

    #[test]
    fn an_address_a_socket_and_off_are_read() {
        let address = |text: &str| Listen::Address(text.parse().unwrap());
        check("127.0.0.1:8787", Some((address("127.0.0.1:8787"), true)));
        check("127.8.0.1:1", Some((address("127.8.0.1:1"), true)));
        check("[::1]:0", Some((address("[::1]:0"), true)));
        check("0.0.0.0:80", Some((address("0.0.0.0:80"), false)));
        check("[::]:80", Some((address("[::]:80"), false)));
        check("192.168.1.7:80", Some((address("192.168.1.7:80"), false)));
        check("off", Some((Listen::Off, true)));
        check("unix:/run/edge/api", Some((Listen::Socket("/run/edge/api".into()), true)));
        for wrong in ["", "8787", "localhost:8787", "unix:api", "unix:", "unix:/a/", "1.2.3.4"] {
            check(wrong, None);
        }
        check(&format!("unix:/{}", "x".repeat(SOCKET_PATH)), None);
    }

    #[test]
    fn without_a_setting_any_free_port_is_the_last_one_tried() {
        let ports: Vec<u16> = Listen::FreePort.addresses().iter().map(SocketAddr::port).collect();
        assert_eq!((ports.first(), ports.last(), ports.len()), (Some(&8787), Some(&0), 17));
    }
}
