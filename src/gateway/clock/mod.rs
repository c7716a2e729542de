//! Decides whether this machine's clock can be believed, and what to do about certificates while it cannot.
//!
//! Small computers have no battery for their clock: they wake in 1970, or when they went to sleep, and every
//! certificate looks "not valid yet". Only certificates need the time of day; media and schedules run on
//! the monotonic clock.
//!
//! ```text
//!            a peer's certificate is refused for its time
//! ┌────────┐ and no time source vouches for the clock   ┌─────────────────────────┐
//! │ Sound  ├───────────────────────────────────────────▶│ Doubted                 │
//! └────────┘◀───────────────────────────────────────────┤ each peer: waiting      │
//!                  synchronised                         │   60 s ─▶ gone on without│
//!                                                       └─────────────────────────┘
//! ```
//!
//! | a peer's certificate has a wrong time, and the clock is | then |
//! |---|---|
//! | vouched for by a time source | the certificate is at fault: not a matter of the clock |
//! | not vouched for | wait for it, up to [`PATIENCE`] for each peer |
//! | not vouched for, after that wait | go on without a clock, for this peer alone: its chain has to be good but for its time |
//! | the same, and the peer is a signer or discovery endpoint | wait on: these are believed by the clock or by a pin |
//!
//! A chain that ended before the newest time known (`BUILT`, and what authorities signed since) has ended, whatever
//! the clock says: `http::TlsPeer` sees to it.
//!
//! Does not: set the clock, ask for the time (`io` does), or judge certificates (`http::TlsPeer` does).

mod answer;
pub mod io;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::http::{Authority, TimeRefusal};
use crate::limits::DOUBTS;

/// How long a clock is waited for: systemd-timesyncd needs some seconds once there is a network; a minute
/// covers a slow Wi-Fi.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
pub(crate) const READ_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked at once no peer waits for it any more: it may come after all.
pub(crate) const READ_SELDOM: Duration = Duration::from_secs(10);

/// The date of the newest release, as seconds since 1970: 2026-11-21, before any build of this source. A test keeps it
/// in step with the changelog.
const RELEASED: u64 = 1_795_219_200;

/// When this program was built, as seconds since 1970: no clock can honestly say an earlier time. Builds that set
/// `SOURCE_DATE_EPOCH`, as those of packages do to the date of the last commit, have that; others have the date of the
/// newest release. Either is the same for the same sources.
pub(crate) const BUILT: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) if seconds(text, 0) > RELEASED => seconds(text, 0),
    Some(_) | None => RELEASED,
};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ClockStep {
    /// The clock is believed: what is wrong with a certificate is the certificate's own fault.
    Believe,
    /// Say "clock not synchronised", and look again then.
    Wait(Instant),
    /// Go on without a clock for these peers: believe their chains if they are good but for their time, with a warning.
    /// Read the clock again then.
    GoOnWithout(Vec<Authority>, Instant),
}

/// What is seen of the clock at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// What it says.
    pub(crate) wall: SystemTime,
    /// Whether a time source has set it; `None` where nothing on this machine can tell.
    pub(crate) synchronised: Option<bool>,
}

impl ClockReading {
    /// Whether a time source vouches for it, and not for a time before this program was built.
    fn is_vouched_for(self) -> bool {
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT);
        self.synchronised == Some(true) && self.wall >= built
    }
}

/// The doubt of one machine's clock.
#[derive(Debug, Clone, Default)]
pub struct ClockDoubt {
    state: DoubtState,
}

#[derive(Debug, Clone, Default)]
enum DoubtState {
    #[default]
    Sound,
    /// No time source has set the clock since; with the peers that wait for it.
    Doubted(BTreeMap<Authority, Waiting>),
}

/// A peer whose certificate has the wrong time.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    until: Instant,
    may_go_on_without: bool,
}

impl ClockDoubt {
    /// No doubt so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock was looked at, since these peers were refused for their time or [`ClockStep::Wait`] is over.
    pub fn on_reading(
        &mut self,
        reading: ClockReading,
        late: Vec<TimeRefusal>,
        now: Instant,
    ) -> ClockStep {
        if reading.is_vouched_for() || (late.is_empty() && matches!(self.state, DoubtState::Sound))
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
                peers.entry(peer).or_insert(Waiting { until, may_go_on_without: may_be_doubted });
            }
        }
        let due = peers.iter().filter(|(_, peer)| peer.may_go_on_without && peer.until <= now);
        let due: Vec<Authority> = due.map(|(peer, _)| peer.clone()).collect();
        // One that is refused again waits again.
        peers.retain(|_, peer| peer.until > now);
        let next = peers.values().map(|peer| peer.until).min();
        let next = next.map_or(now + READ_SELDOM, |until| until.min(now + READ_EVERY));
        self.state = DoubtState::Doubted(peers);
        if due.is_empty() { ClockStep::Wait(next) } else { ClockStep::GoOnWithout(due, next) }
    }
}

/// The number in `text`, or `otherwise` if it is none.
const fn seconds(text: &str, otherwise: u64) -> u64 {
    let mut rest = text.as_bytes();
    let mut number: u64 = 0;
    // More digits than any date has would overflow.
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

    /// What is told at which second: the clock in Unix seconds, whether it is vouched for, whose certificates have the
    /// wrong time (`signer` may not be doubted); and what is to be done.
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
    fn an_expired_certificate_is_not_blamed_on_a_clock_that_is_vouched_for() {
        check(&[(0, GOOD, Some(true), "a", "believe"), (1, GOOD, Some(true), "a", "believe")]);
    }

    #[test]
    fn the_year_1970_is_waited_out() {
        check(&[
            (0, 5, Some(false), "a", "wait 1"),
            (1, 6, Some(false), "", "wait 2"),
            (2, GOOD, Some(true), "", "believe"),
            (3, GOOD, Some(true), "a", "believe"),
        ]);
    }

    #[test]
    fn a_time_source_that_vouches_for_1970_is_not_believed() {
        check(&[(0, 5, Some(true), "a", "wait 1"), (1, 6, Some(true), "", "wait 2")]);
    }

    #[test]
    fn each_peer_is_gone_on_with_after_its_own_minute_until_the_clock_comes() {
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
    fn a_signer_is_waited_for_and_never_gone_on_with() {
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
    fn peers_that_wait_are_bounded() {
        let (mut doubt, now) = (ClockDoubt::new(), Instant::now());
        let reading = ClockReading { wall: SystemTime::UNIX_EPOCH, synchronised: None };
        let late = |n| TimeRefusal { peer: peer(&format!("h{n}")), may_be_doubted: true };
        let _ = doubt.on_reading(reading, (0..2 * DOUBTS).map(late).collect(), now);
        let DoubtState::Doubted(peers) = doubt.state else { panic!() };
        assert_eq!(peers.len(), DOUBTS);
    }

    #[test]
    fn the_date_of_the_build_is_read_or_known() {
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
        assert!(built < SystemTime::now(), "this machine's clock, or BUILT, is wrong");
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
