//! Sorts IP addresses into zones by distance.
//!
//! | zone | addresses |
//! |---|---|
//! | this computer | 127.0.0.0/8, ::1, and addresses that connect to this computer: 0.0.0.0/8, :: |
//! | private | RFC 1918, link-local, carrier-grade NAT (100.64.0.0/10), unique-local and site-local IPv6, 192.0.0.0/24, 240.0.0.0/4, local NAT64 |
//! | public | all others |
//!
//! An IPv6 address that stands for an IPv4 address (mapped, compatible, NAT64, 6to4) is in the zone of that IPv4
//! address. 198.18.0.0/15 is public, because some proxies answer every name with an address from it.
//!
//! Does not: know the public addresses of this computer or of the user's network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The distance of a host, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// This computer.
    ThisComputer,
    /// A private network: at home, at work, of a provider, a VPN.
    Private,
    /// The Internet.
    Public,
}

impl Zone {
    /// The zone of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    /// The zone's name in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ThisComputer => "this-machine",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The zone with this name in files.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::ThisComputer, Self::Private, Self::Public]
            .into_iter()
            .find(|zone| zone.as_str() == name)
    }

    fn of_v4(v4: Ipv4Addr) -> Self {
        match v4.octets() {
            [0 | 127, ..] => Self::ThisComputer,
            [10, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0, _]
            | [192, 168, ..]
            | [240..=255, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(v6: Ipv6Addr) -> Self {
        if let Some(v4) = v4_within(v6) {
            return Self::of_v4(v4);
        }
        match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::ThisComputer,
            // Unique-local, link-local, site-local, local NAT64.
            [0xfc00..=0xfdff | 0xfe80..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Self::Private,
            _ => Self::Public,
        }
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn v4_within(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisComputer => "on this computer",
            Self::Private => "on a private network",
            Self::Public => "on the Internet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(zone: Zone, addresses: &str) {
        for address in addresses.split_whitespace() {
            assert_eq!(Zone::of(address.parse().unwrap()), zone, "{address}");
        }
    }

    #[test]
    fn addresses_are_sorted_by_how_far_away_they_are() {
        check(Zone::ThisComputer, "127.0.0.1 127.255.255.255 0.0.0.0 0.1.2.3 ::1 ::");
        check(Zone::Private, "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 192.0.0.1");
        check(
            Zone::Private,
            "169.254.169.254 100.64.0.1 100.127.255.255 255.255.255.255 240.0.0.1",
        );
        check(Zone::Private, "fc00::1 fd12:3456::1 fe80::1 febf::1 fec0::1 64:ff9b:1::1");
        check(Zone::Public, "8.8.8.8 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 192.169.0.1");
        check(Zone::Public, "198.18.0.1 203.0.113.7 2001:db8::1 2a02::1 64:ff9c::1");
    }

    #[test]
    fn an_ipv6_address_that_stands_for_an_ipv4_address_is_in_its_zone() {
        check(Zone::ThisComputer, "::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::");
        check(Zone::ThisComputer, "::ffff:0.0.0.0 ::ffff:0:127.0.0.1");
        check(Zone::Private, "::ffff:192.168.1.1 ::10.0.0.1 64:ff9b::10.0.0.1 2002:c0a8:101::1");
        check(Zone::Public, "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1");
    }

    #[test]
    fn zones_are_ordered_by_distance() {
        assert!(Zone::ThisComputer < Zone::Private && Zone::Private < Zone::Public);
    }
}
