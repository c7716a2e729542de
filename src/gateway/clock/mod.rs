//! Decides whether this computer's clock is right, and how to treat certificates while it may be wrong.
//!
//! A small computer has no battery for its clock. The clock starts in 1970, or at the time of the last shutdown, and
//! every certificate looks "not valid yet". Only certificates need the time of day; media and schedules use the
//! monotonic clock.
//!
//! ```text
//!     a certificate is refused for its validity period
//! ┌────────┐ and no time source vouches for the clock   ┌─────────────────────────┐
//! │ Sound  ├───────────────────────────────────────────▶│ Doubted                 │
//! └────────┘◀───────────────────────────────────────────┤ each peer: waiting      │
//!                  synchronised                         │   60 s ─▶ gone on without│
//!                                                       └─────────────────────────┘
//! ```
//!
//! | a certificate is not valid now, and the clock is | then |
//! |---|---|
//! | synchronised | the certificate is at fault |
//! | not synchronised | wait for synchronisation, up to [`PATIENCE`] for each peer |
//! | not synchronised after that wait | ignore the validity period, for this peer only: its chain must be valid otherwise |
//! | not synchronised after that wait, and the peer is a signer or discovery endpoint | keep waiting: for such a peer the clock must be right or a pin must be set |
//!
//! A chain that expired before the newest known time (`BUILT`, or a later signature of an authority) is refused
//! whatever the clock shows; `http::TlsPeer` checks this.
//!
//! Does not: set the clock, read it (`io` does), or verify certificates (`http::TlsPeer` does).

mod answer;
mod confirmed;
pub mod io;

pub use confirmed::ConfirmedClock;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::http::{Authority, TimeRefusal};
use crate::limits::DOUBTS;

/// How long to wait for a synchronised clock. systemd-timesyncd needs some seconds after the network is up; a minute
/// covers a slow Wi-Fi.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often the clock is read while a peer waits for it.
pub(crate) const READ_EVERY: Duration = Duration::from_secs(1);
/// How often the clock is read when no peer waits for it; it may still be synchronised later.
pub(crate) const READ_SELDOM: Duration = Duration::from_secs(10);

/// The date of the newest release, as seconds since 1970: 2026-11-21, before any build of this source. A test keeps it
/// in step with the changelog.
const RELEASED: u64 = 1_795_219_200;

/// When this program was built, as seconds since 1970; an earlier clock is certainly wrong. It is `SOURCE_DATE_EPOCH` if
/// the build sets it, as package builds do to the date of the last commit, else the date of the newest release. Both are
/// reproducible.
pub(crate) const BUILT: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) if seconds(text, 0) > RELEASED => seconds(text, 0),
    Some(_) | None => RELEASED,
};

/// What the caller must do now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ClockStep {
    /// Treat the clock as right: a refused certificate is at fault itself.
    Believe,
    /// Report "clock not synchronised", and read the clock again at this time.
    Wait(Instant),
    /// Doubt the clock for these peers, with a warning: accept their chains if only the validity period is wrong. Read
    /// the clock again at this time.
    GoOnWithout(Vec<Authority>, Instant),
}

/// A reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The time of day.
    pub(crate) wall: SystemTime,
    /// Whether a time source has set the clock; `None` if no program on this computer reports it.
    pub(crate) synchronised: Option<bool>,
}

/// What a reading shows about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// A time source has set the clock.
    Synchronised,
    /// No time source has set the clock.
    Unsynchronised,
    /// No program on this computer reports whether a time source has set the clock.
    Unknown,
    /// The clock shows a time before this program was built, so the clock is certainly wrong.
    Past,
}

impl ClockReading {
    /// What this reading shows.
    pub fn state(self) -> ClockState {
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT);
        match self.synchronised {
            _ if self.wall < built => ClockState::Past,
            Some(true) => ClockState::Synchronised,
            Some(false) => ClockState::Unsynchronised,
            None => ClockState::Unknown,
        }
    }

    /// Whether a time source has set the clock, to a time after the build of this program.
    fn is_synchronised(self) -> bool {
        self.state() == ClockState::Synchronised
    }
}

/// The state of doubt about this computer's clock.
#[derive(Debug, Clone, Default)]
pub struct ClockDoubt {
    state: DoubtState,
}

#[derive(Debug, Clone, Default)]
enum DoubtState {
    #[default]
    Sound,
    /// The clock is not synchronised; with the peers that wait for it.
    Doubted(BTreeMap<Authority, WaitingPeer>),
}

/// A peer whose certificate was refused for its validity period.
#[derive(Debug, Clone, Copy)]
struct WaitingPeer {
    until: Instant,
    may_go_on_without: bool,
}

impl ClockDoubt {
    /// A clock that is not doubted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Call with a new reading when certificates were refused for their validity period (`late`), and at the time in
    /// the last [`ClockStep`].
    pub fn on_reading(
        &mut self,
        reading: ClockReading,
        late: Vec<TimeRefusal>,
        now: Instant,
    ) -> ClockStep {
        if reading.is_synchronised() || (late.is_empty() && matches!(self.state, DoubtState::Sound))
        {
            self.state = DoubtState::Sound;
            return ClockStep::Believe;
        }
        let mut peers = match std::mem::take(&mut self.state) {
            DoubtState::Sound => BTreeMap::new(),
            DoubtState::Doubted(peers) => peers,
        };
        for TimeRefusal { peer, may_be_doubted } in late {
            if peers.len() < DOUBTS {
                let until = now + PATIENCE;
                peers
                    .entry(peer)
                    .or_insert(WaitingPeer { until, may_go_on_without: may_be_doubted });
            }
        }
        let due = peers.iter().filter(|(_, peer)| peer.may_go_on_without && peer.until <= now);
        let due: Vec<Authority> = due.map(|(peer, _)| peer.clone()).collect();
        // A peer that is refused again waits again.
        peers.retain(|_, peer| peer.until > now);
        let next = peers.values().map(|peer| peer.until).min();
        let next = next.map_or(now + READ_SELDOM, |until| until.min(now + READ_EVERY));
        self.state = DoubtState::Doubted(peers);
        if due.is_empty() { ClockStep::Wait(next) } else { ClockStep::GoOnWithout(due, next) }
    }
}

/// The number in `text`, or `otherwise` if it is not a number.
const fn seconds(text: &str, otherwise: u64) -> u64 {
    let mut rest = text.as_bytes();
    let mut number: u64 = 0;
    // More than 12 digits are not a date and could overflow.
    if rest.is_empty() || rest.len() > 12 {
        return otherwise;
    }
    while let [digit, more @ ..] = rest {
        if !digit.is_ascii_digit() {
            return otherwise;
        }
        number = number * 10 + (*digit - b'0') as u64;
        rest = more;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    const GOOD: u64 = BUILT + 86_400;

    fn peer(host: &str) -> Authority {
        Url::parse(&format!("https://{host}")).unwrap().authority().clone()
    }

    /// Each event has the second, the clock in Unix seconds, whether the clock is synchronised, the peers refused for
    /// their validity period, and the expected step. For the peer `signer` the clock must not be doubted.
    #[track_caller]
    fn check(story: &[(u64, u64, Option<bool>, &str, &str)]) {
        let start = Instant::now();
        let mut doubt = ClockDoubt::new();
        let unix = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for told @ (at, wall, synchronised, late, expected) in story.iter().copied() {
            let now = start + Duration::from_secs(at);
            let reading = ClockReading { wall: unix(wall), synchronised };
            let late = late.split_whitespace();
            let late =
                late.map(|host| TimeRefusal { peer: peer(host), may_be_doubted: host != "signer" });
            let seconds = |until: Instant| until.duration_since(start).as_secs();
            let said = match doubt.on_reading(reading, late.collect(), now) {
                ClockStep::Believe => "believe".to_owned(),
                ClockStep::Wait(until) => format!("wait {}", seconds(until)),
                ClockStep::GoOnWithout(peers, until) => {
                    let hosts: Vec<&str> = peers.iter().map(Authority::host).collect();
                    format!("{} without {}", hosts.join(" "), seconds(until))
                }
            };
            assert_eq!(said, expected, "{told:?}");
        }
    }

    #[test]
    fn a_clock_is_believed_until_a_certificate_says_otherwise() {
        check(&[(0, GOOD, None, "", "believe"), (9, GOOD, Some(false), "", "believe")]);
        check(&[(0, GOOD, Some(false), "a", "wait 1")]);
        check(&[(0, GOOD, None, "a", "wait 1")]);
    }

    #[test]
    fn an_expired_certificate_is_not_blamed_on_a_synchronised_clock() {
        check(&[(0, GOOD, Some(true), "a", "believe"), (1, GOOD, Some(true), "a", "believe")]);
    }

    #[test]
    fn a_clock_in_1970_is_waited_for_until_it_is_synchronised() {
        check(&[
            (0, 5, Some(false), "a", "wait 1"),
            (1, 6, Some(false), "", "wait 2"),
            (2, GOOD, Some(true), "", "believe"),
            (3, GOOD, Some(true), "a", "believe"),
        ]);
    }

    #[test]
    fn a_clock_synchronised_to_1970_is_not_believed() {
        check(&[(0, 5, Some(true), "a", "wait 1"), (1, 6, Some(true), "", "wait 2")]);
    }

    #[test]
    fn each_peer_is_accepted_after_its_own_minute_until_the_clock_is_synchronised() {
        check(&[
            (0, 5, None, "a", "wait 1"),
            (50, 55, None, "b", "wait 51"),
            (59, 64, None, "", "wait 60"),
            (60, 65, None, "", "a without 61"),
            (61, 66, None, "", "wait 62"),
            (110, 115, None, "", "b without 120"),
            (120, 125, None, "a", "wait 121"),
            (180, 185, None, "", "a without 190"),
            (3600, GOOD, None, "", "wait 3610"),
            (3601, GOOD, Some(true), "", "believe"),
            (3700, GOOD, Some(false), "a", "wait 3701"),
        ]);
    }

    #[test]
    fn a_signer_always_waits_for_the_clock() {
        check(&[
            (0, 5, Some(false), "signer", "wait 1"),
            (60, 65, Some(false), "", "wait 70"),
            (70, 75, Some(false), "signer", "wait 71"),
            (999, 1004, Some(false), "a", "wait 1000"),
            (1059, 1064, Some(false), "", "a without 1069"),
            (1060, GOOD, Some(true), "", "believe"),
        ]);
    }

    #[test]
    fn the_number_of_waiting_peers_is_bounded() {
        let (mut doubt, now) = (ClockDoubt::new(), Instant::now());
        let reading = ClockReading { wall: SystemTime::UNIX_EPOCH, synchronised: None };
        let late = |n| TimeRefusal { peer: peer(&format!("h{n}")), may_be_doubted: true };
        let _ = doubt.on_reading(reading, (0..2 * DOUBTS).map(late).collect(), now);
        let DoubtState::Doubted(peers) = doubt.state else { panic!() };
        assert_eq!(peers.len(), DOUBTS);
    }

    #[test]
    fn the_build_time_is_the_configured_one_or_that_of_the_release() {
        for (text, expected) in [
            ("1700000000", 1_700_000_000),
            ("0", 0),
            ("", 7),
            ("12a", 7),
            ("-1", 7),
            ("9999999999999", 7),
        ] {
            assert_eq!(seconds(text, 7), expected, "{text}");
        }
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT);
        assert!(built < SystemTime::now(), "this computer's clock, or BUILT, is wrong");
    }

    /// The day of a changelog's entry, `-- name  Sat, 21 Nov 2026 06:00:00 +0000`, in days since 1970.
    fn day_of(entry: &str) -> u64 {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let words: Vec<&str> = entry.split(", ").nth(1).unwrap().split_whitespace().collect();
        let (day, year): (u64, u64) = (words[0].parse().unwrap(), words[2].parse().unwrap());
        let month = MONTHS.find(words[1]).unwrap() as u64 / 3 + 1;
        // Years that begin in March, so that the leap day is the last one.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400;
        days + (153 * month + 2) / 5 + day - 1 - 719_468
    }

    #[test]
    fn the_date_of_the_newest_release_is_known() {
        assert_eq!(day_of("-- a  Thu, 01 Jan 1970 00:00:00 +0000"), 0);
        assert_eq!(day_of("-- a  Sun, 29 Feb 2032 00:00:00 +0000"), 22_704);
        let changelog = include_str!("../../../systemd/package/changelog");
        let newest = changelog.lines().find(|line| line.starts_with(" -- ")).unwrap();
        assert_eq!(RELEASED, day_of(newest) * 86_400, "set RELEASED to the day of: {newest}");
    }
}
