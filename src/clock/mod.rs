//! Decides whether this machine's clock can be believed, and what to do about certificates while it cannot.
//!
//! Small computers have no battery for their clock: they wake in 1970, or when they went to sleep, and every
//! certificate looks "not valid yet". Only certificates need the time of day; media and schedules run on
//! the monotonic clock.
//!
//! ```text
//!            clock before the build, or a certificate's time is wrong
//! ┌────────┐ and no time source vouches for the clock  ┌─────────┐ 60 s  ┌───────────┐
//! │ Sound  ├──────────────────────────────────────────▶│ Waiting ├──────▶│ Distrusted│
//! └────────┘◀──────────────────────────────────────────┴────┬────┘       └─────┬─────┘
//!      ▲                 synchronised                       ▼                  │
//!      └───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | a certificate's time is wrong, and the clock is | then |
//! |---|---|
//! | vouched for by a time source | the certificate is at fault: not a matter of the clock |
//! | not vouched for | wait for it, up to [`PATIENCE`] |
//! | not vouched for, after that wait | go on without a clock: a chain of certificates has to be good but for its time |
//!
//! Does not: set the clock, ask for the time (`io` does), or judge certificates (`http::TlsPeer` does).

pub mod io;

use std::time::{Duration, Instant, SystemTime};

/// How long a clock is waited for: systemd-timesyncd needs some seconds once there is a network; a minute
/// covers a slow Wi-Fi.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked at once it is gone on without: it may come after all.
pub const LOOK_SELDOM: Duration = Duration::from_secs(10);

/// When this program was built, as seconds since 1970: no clock can honestly say an earlier time. Builds
/// that set `SOURCE_DATE_EPOCH`, as packages do, have their own; others have that of this line,
/// 2026-11-01, which is early enough for each of them.
const BUILT: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => seconds(text, 1_793_491_200),
    None => 1_793_491_200,
};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The clock is believed: what is wrong with a certificate is the certificate's own fault.
    Believe,
    /// Say "clock not synchronised", try no certificate, and look again then.
    Wait(Instant),
    /// Go on without a clock: believe a chain of certificates that is good but for its time, with a warning.
    GoOnWithout,
}

/// What is seen of the clock at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What it says.
    pub wall: SystemTime,
    /// Whether a time source has set it; `None` where nothing on this machine can tell.
    pub synchronised: Option<bool>,
}

/// The doubt of one machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClockDoubt {
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Sound,
    Waiting {
        until: Instant,
    },
    Distrusted,
}

impl ClockDoubt {
    /// No doubt so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Before certificates are needed, and whenever [`Step::Wait`] is over.
    pub fn on_look(&mut self, look: Look, now: Instant) -> Step {
        let is_impossible = is_before_build(look.wall);
        match self.state {
            State::Sound if !is_impossible => Step::Believe,
            State::Sound => self.wait(now),
            State::Waiting { .. } | State::Distrusted
                if !is_impossible && look.synchronised == Some(true) =>
            {
                self.state = State::Sound;
                Step::Believe
            }
            State::Waiting { until } if now < until => Step::Wait((now + LOOK_EVERY).min(until)),
            State::Waiting { .. } => {
                self.state = State::Distrusted;
                Step::GoOnWithout
            }
            State::Distrusted => Step::GoOnWithout,
        }
    }

    /// A certificate was refused for its time.
    pub fn on_wrong_time(&mut self, look: Look, now: Instant) -> Step {
        let is_vouched_for = look.synchronised == Some(true) && !is_before_build(look.wall);
        match self.state {
            State::Sound if !is_vouched_for => self.wait(now),
            State::Sound | State::Waiting { .. } | State::Distrusted => self.on_look(look, now),
        }
    }

    fn wait(&mut self, now: Instant) -> Step {
        self.state = State::Waiting { until: now + PATIENCE };
        Step::Wait(now + LOOK_EVERY)
    }
}

fn is_before_build(wall: SystemTime) -> bool {
    wall < SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT)
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

    const GOOD: u64 = BUILT + 86_400;

    /// What is told at which second: the clock in Unix seconds, whether it is vouched for, `!` for a certificate
    /// of the wrong time; and what is to be done: seconds to wait, or a word.
    #[track_caller]
    fn check(story: &[(u64, u64, Option<bool>, char, &str)]) {
        let start = Instant::now();
        let mut doubt = ClockDoubt::new();
        for told @ (at, wall, synchronised, what, expected) in story.iter().copied() {
            let now = start + Duration::from_secs(at);
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall);
            let look = Look { wall, synchronised };
            let step = match what {
                '!' => doubt.on_wrong_time(look, now),
                _ => doubt.on_look(look, now),
            };
            let said = match step {
                Step::Believe => "believe".to_owned(),
                Step::Wait(until) => format!("wait {}", until.duration_since(start).as_secs()),
                Step::GoOnWithout => "go on".to_owned(),
            };
            assert_eq!(said, expected, "{told:?}");
        }
    }

    #[test]
    fn a_clock_after_the_build_is_believed_until_a_certificate_says_otherwise() {
        check(&[(0, GOOD, None, '?', "believe"), (9, GOOD, Some(false), '?', "believe")]);
        check(&[(0, GOOD, Some(false), '!', "wait 1")]);
        check(&[(0, GOOD, None, '!', "wait 1")]);
    }

    #[test]
    fn an_expired_certificate_is_not_blamed_on_a_clock_that_is_vouched_for() {
        check(&[(0, GOOD, Some(true), '!', "believe"), (1, GOOD, Some(true), '!', "believe")]);
    }

    #[test]
    fn the_year_1970_is_waited_out() {
        check(&[
            (0, 5, Some(false), '?', "wait 1"),
            (1, 6, Some(false), '?', "wait 2"),
            (2, GOOD, Some(true), '?', "believe"),
            (3, GOOD, Some(true), '!', "believe"),
        ]);
    }

    #[test]
    fn a_time_source_that_vouches_for_1970_is_not_believed() {
        check(&[(0, 5, Some(true), '?', "wait 1"), (1, 6, Some(true), '!', "wait 2")]);
    }

    #[test]
    fn it_goes_on_after_a_minute_and_comes_back_when_the_clock_does() {
        check(&[
            (0, 5, None, '?', "wait 1"),
            (59, 64, None, '?', "wait 60"),
            (60, 65, None, '?', "go on"),
            (61, 66, None, '!', "go on"),
            (3600, GOOD, None, '?', "go on"),
            (3601, GOOD, Some(true), '?', "believe"),
            (3700, GOOD, Some(false), '!', "wait 3701"),
        ]);
    }

    #[test]
    fn a_clock_that_jumps_while_running_is_doubted_when_it_matters() {
        check(&[
            (0, GOOD, Some(true), '?', "believe"),
            (10, GOOD - 3600, Some(false), '!', "wait 11"),
            (11, GOOD, Some(true), '?', "believe"),
        ]);
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
        assert!(!is_before_build(SystemTime::now()), "this machine's clock, or BUILT, is wrong");
    }
}
