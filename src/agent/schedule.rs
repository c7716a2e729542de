//! A weekly schedule in the words of systemd's calendar: `Mon..Fri 08:00..18:00; Sat 22:00..02:00`.
//!
//! | part | means |
//! |---|---|
//! | `;` | separates windows; the schedule is open while one of them is |
//! | `Mon..Fri`, `Sat,Sun`, none | the days on which a window opens |
//! | `08:00..18:00`, `08:00..12:00,13:00..17:00`, none | local times from, up to; a time that is not after the first is on the next day |
//!
//! Only local time counts. When clocks go forward, times that are left out are skipped: a window that begins within them
//! opens with the first time after them. When clocks go back, times that come twice are open twice.
//!
//! Does not: know the time zone; the caller passes the offset of local time.

use std::fmt;
use std::str::FromStr;

/// The most windows of a schedule: four on each day of a week.
const WINDOWS: usize = 28;
/// Minutes of a day.
const DAY: u16 = 24 * 60;
const DAY_SECONDS: i64 = 24 * 3600;
/// The days of a week, beginning with Monday.
const DAYS: [(&str, &str); 7] = [
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
];
/// How far ahead the next change is searched: every schedule repeats after a week, which clock changes shift by hours.
const AHEAD: i64 = 9 * DAY_SECONDS;

/// A weekly schedule. Parse it from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Window>);

/// A time window on some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// A bit for each day on which it opens, beginning with Monday.
    days: u8,
    /// The minute of the day at which it opens.
    from: u16,
    /// The minute at which it closes, counted from the start of the same day: more than [`DAY`] on the next one.
    to: u16,
}

/// A local time of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local {
    /// From 0 for Monday.
    day: usize,
    /// Seconds of the day.
    second: i64,
}

/// What the schedule says at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// Whether it is open.
    pub(super) is_open: bool,
    /// When that changes, in Unix seconds; `None` if it never does.
    pub(super) changes_at: Option<i64>,
    /// The same as local day and time, such as `Mon 08:00`; empty if it never changes.
    pub(super) label: String,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A word is neither days nor times.
    #[error(
        "\"{}\" is neither days (Mon..Fri) nor times (08:00..18:00)", .0.escape_debug()
    )]
    Word(String),
    /// A window has no word, or too many.
    #[error(
        "a window has days, times or both, such as Mon..Fri 08:00..18:00; windows are separated by ;"
    )]
    Window,
    /// There are too many windows.
    #[error("has more than {WINDOWS} windows")]
    TooMany,
}

impl Schedule {
    /// What the schedule says at `now`, in Unix seconds. `offset` returns the seconds that local time is ahead of UTC at
    /// a time in Unix seconds.
    pub(super) fn at(&self, now: i64, offset: impl Fn(i64) -> i32) -> Slot {
        let is_open = self.is_open(Local::at(now, &offset));
        let changes_at = self.next_change(now, is_open, &offset);
        let label = changes_at.map(|at| Local::at(at, &offset).to_string()).unwrap_or_default();
        Slot { is_open, changes_at, label }
    }

    /// Whether the schedule is open at `now`, up to when, and which local time it is, in one line.
    pub(super) fn describe(&self, now: i64, offset: impl Fn(i64) -> i32) -> String {
        let Slot { is_open, label, .. } = self.at(now, &offset);
        let word = if is_open { "open" } else { "closed" };
        let until =
            if label.is_empty() { "at all times".to_owned() } else { format!("up to {label}") };
        format!("job.schedule is {word} {until}; it is {} here", Local::at(now, &offset))
    }

    fn is_open(&self, Local { day, second }: Local) -> bool {
        let minute = u16::try_from(second / 60).unwrap_or(0);
        let yesterday = (day + 6) % 7;
        self.0.iter().any(|window| {
            let is_today = window.opens_on(day) && (window.from..window.to).contains(&minute);
            is_today || (window.opens_on(yesterday) && minute + DAY < window.to)
        })
    }

    /// The first time after `now` at which the answer is another one.
    fn next_change(&self, now: i64, is_open: bool, offset: &impl Fn(i64) -> i32) -> Option<i64> {
        let mut at = now;
        while at < now + AHEAD {
            let candidate = at + self.to_next_edge(Local::at(at, offset).second);
            // If the clocks change before, the local time of the edge comes at another time.
            let next = if offset(candidate) == offset(at) {
                candidate
            } else {
                clock_change(at, candidate, offset)
            };
            if self.is_open(Local::at(next, offset)) != is_open {
                return Some(next);
            }
            at = next;
        }
        None
    }

    /// Seconds from this second of a day to the next time at which a window may open or close, or to the next day.
    fn to_next_edge(&self, second: i64) -> i64 {
        let edges = self.0.iter().flat_map(|window| [window.from, window.to % DAY]);
        let seconds = edges.map(|minute| i64::from(minute) * 60).filter(|edge| *edge > second);
        seconds.min().unwrap_or(DAY_SECONDS) - second
    }
}

/// The first second after `from` with another offset than `from`; `to` has another one.
fn clock_change(from: i64, to: i64, offset: &impl Fn(i64) -> i32) -> i64 {
    let (before, mut same, mut other) = (offset(from), from, to);
    while other - same > 1 {
        let middle = same + (other - same) / 2;
        if offset(middle) == before { same = middle } else { other = middle }
    }
    other
}

impl Window {
    fn opens_on(&self, day: usize) -> bool {
        self.days & (1 << day) != 0
    }
}

impl Local {
    fn at(unix: i64, offset: &impl Fn(i64) -> i32) -> Self {
        let local = unix + i64::from(offset(unix));
        // 1970-01-01 was a Thursday.
        let day = (local.div_euclid(DAY_SECONDS) + 3).rem_euclid(7);
        Self { day: usize::try_from(day).unwrap_or(0), second: local.rem_euclid(DAY_SECONDS) }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, _) = DAYS.get(self.day).unwrap_or(&("", ""));
        write!(f, "{day} {:02}:{:02}", self.second / 3600, self.second / 60 % 60)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut windows = Vec::new();
        for part in text.split(';') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (days, times) = match *words {
                [days, times] => (days_of(days)?, times_of(times)?),
                [word] => match times_of(word) {
                    Ok(times) => (EVERY_DAY, times),
                    Err(_) => (days_of(word)?, vec![(0, DAY)]),
                },
                _ => return Err(ScheduleError::Window),
            };
            windows.extend(times.into_iter().map(|(from, to)| Window { days, from, to }));
            if windows.len() > WINDOWS {
                return Err(ScheduleError::TooMany);
            }
        }
        Ok(Self(windows))
    }
}

const EVERY_DAY: u8 = 0x7f;

/// The days of `Mon`, `Mon..Fri`, `Sat,Sun` or `*`.
fn days_of(word: &str) -> Result<u8, ScheduleError> {
    if word == "*" {
        return Ok(EVERY_DAY);
    }
    let wrong = || ScheduleError::Word(word.to_owned());
    let mut days = 0;
    for part in word.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = day(first).zip(day(last)).ok_or_else(wrong)?;
        // Fri..Mon goes over the end of the week.
        let length = (last + 7 - first) % 7;
        days |= (first..=first + length).fold(0, |days, day| days | (1 << (day % 7)));
    }
    Ok(days)
}

fn day(word: &str) -> Option<usize> {
    let is_it = |(short, long): &(&str, &str)| {
        word.eq_ignore_ascii_case(short) || word.eq_ignore_ascii_case(long)
    };
    DAYS.iter().position(is_it)
}

/// The times of `08:00..12:00,13:00..17:00`.
fn times_of(word: &str) -> Result<Vec<(u16, u16)>, ScheduleError> {
    let time = |part: &str| {
        let (from, to) = part.split_once("..")?;
        let (from, to) = (minute(from)?, minute(to)?);
        let to = if to <= from { to + DAY } else { to };
        (from < DAY).then_some((from, to))
    };
    let times = word.split(',').map(time).collect::<Option<_>>();
    times.ok_or_else(|| ScheduleError::Word(word.to_owned()))
}

/// The minute of the day of `08:00`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_plain)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

#[cfg(test)]
mod tests;
