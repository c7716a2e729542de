//! Adds up what is spent, and decides when a line must be written before an amount is released.
//!
//! | event | write |
//! |---|---|
//! | the amounts since the last line exceed its reserve | at once, before the last of them is released |
//! | an amount, a minute or more after the last line | at once |
//! | no amount for a minute, and a reserve is left | a line without a reserve, by [`Ledger::settle`] |
//! | a new day, a file that has grown long, a write that failed | the whole file again, merged |
//!
//! So a steady rate needs one line a minute. More lines are needed only while amounts grow; each time the reserve
//! grows at least fourfold.
//!
//! Does not: write (`io` does), or decide what happens at the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::line::{HEAD, Line, lines};
use super::{Period, Stamp};

/// The time between two lines at a steady rate.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// A reserve covers the spending of this many times [`WRITE_EVERY`].
const RESERVED: u128 = 2;
/// How much a reserve grows if the one before was too small.
const GROWTH: u128 = 4;
/// Items with a name of their own; all further ones are counted as `other`.
const ITEMS: usize = 64;
/// The longest name, in characters.
const NAME: usize = 100;
/// Months that are kept.
const MONTHS: u64 = 13;
/// The file is written again after lines of this length in bytes: about half a day.
const APPENDED: usize = 128 << 10;

/// What an amount was spent for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Where: an orchestrator, an interface.
    pub at: String,
    /// For what: a model, a direction.
    pub what: String,
}

impl Item {
    /// The item of these names. Control characters become spaces, and long names are cut.
    pub fn new(at: &str, what: &str) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let [at, what] = [at, what].map(|name| name.chars().take(NAME).map(plain).collect());
        Self { at, what }
    }

    /// What a crash left reserved: up to this amount may have been spent.
    pub fn unsettled() -> Self {
        Self::new("", "")
    }
}

/// A sum of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How many amounts.
    pub count: u64,
    /// Their sum.
    pub amount: u128,
}

impl Total {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.amount = self.amount.saturating_add(other.amount);
    }
}

/// What was spent for one item in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The item.
    pub item: Item,
    /// How often, and how much.
    pub total: Total,
}

/// What the caller must do before it releases what was recorded, or before it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// Nothing: the last line covers it.
    Covered,
    /// Append this text to the file durably, and then call [`Ledger::on_written`].
    Append(String),
    /// Replace the content of the file by this text durably, and then call [`Ledger::on_written`].
    Replace(String),
}

/// What was spent, by item and time.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: BTreeMap<(Stamp, Item), Total>,
    /// What was added to the limit.
    added: BTreeMap<Stamp, u128>,
    /// Amounts since the last line; they belong to the time of the next one.
    unwritten: BTreeMap<Item, Total>,
    /// The reserve of the last line.
    held: u128,
    /// The time and the reserve of the line that is being written.
    writing: Option<(Stamp, u128)>,
    file: FileState,
}

/// The state of the file.
#[derive(Debug, Clone, Copy, Default)]
struct FileState {
    written: Option<Instant>,
    last_amount: Option<Instant>,
    /// The time of the last replacement.
    merged: Option<Stamp>,
    /// Bytes appended since then.
    appended: usize,
    /// The end of the file is not known, because a write failed.
    is_torn: bool,
}

impl Ledger {
    /// Reads the content of a file. Returns the number of malformed lines too. The reserve of the last line counts as
    /// spent ([`Item::unsettled`]).
    pub fn parse(text: &str) -> (Self, usize) {
        let (lines, malformed) = lines(text);
        let (mut ledger, mut open) = (Self::default(), None);
        for line in lines {
            match line {
                Line::Added { stamp, amount } => ledger.count_added(stamp, amount),
                Line::Spent { stamp, held, items } => {
                    open = Some((stamp, held));
                    for (item, total) in items {
                        ledger.entries.entry((stamp, item)).or_default().add(total);
                    }
                }
            }
        }
        if let Some((stamp, amount)) = open.filter(|(_, held)| *held > 0) {
            let unsettled = Total { count: 0, amount };
            ledger.entries.entry((stamp, Item::unsettled())).or_default().add(unsettled);
        }
        (ledger, malformed)
    }

    /// The time to count at: `clock` if the clock is confirmed, else that of the newest amount; `wall` if there is none.
    pub fn time(&self, clock: Option<Stamp>, wall: Stamp) -> Stamp {
        let newest = self.entries.keys().map(|(stamp, _)| *stamp).max();
        clock.unwrap_or_else(|| newest.unwrap_or(wall))
    }

    /// What was spent in the `period` of `now`. Amounts with a later time count too.
    pub fn spent(&self, period: Period, now: Stamp) -> u128 {
        let counted = self.entries.iter().filter(|((stamp, _), _)| stamp.counts(period, now));
        let written = counted.map(|(_, total)| total.amount);
        let unwritten = self.unwritten.values().map(|total| total.amount);
        written.chain(unwritten).fold(0, u128::saturating_add)
    }

    /// What was added to the limit in the `period` of `now`.
    pub fn added(&self, period: Period, now: Stamp) -> u128 {
        let added = self.added.iter().filter(|(stamp, _)| stamp.is_in(period, now));
        added.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// What was spent in the `period` of `now` for each item, in the order of their names.
    pub fn by_item(&self, period: Period, now: Stamp) -> Vec<Entry> {
        let mut items = self.unwritten.clone();
        for ((_, item), total) in
            self.entries.iter().filter(|((stamp, _), _)| stamp.counts(period, now))
        {
            items.entry(item.clone()).or_default().add(*total);
        }
        items.into_iter().map(|(item, total)| Entry { item, total }).collect()
    }

    /// Counts `amount` for `item`. Release it only after the write that is asked for. `left` is what is left until the
    /// limit, before this amount; `None` without a limit: no reserve is larger.
    pub fn record(
        &mut self,
        item: Item,
        amount: u128,
        left: Option<u128>,
        (stamp, now): (Stamp, Instant),
    ) -> Recorded {
        let item = self.bounded(item);
        self.unwritten.entry(item).or_default().add(Total { count: 1, amount });
        self.file.last_amount = Some(now);
        let since = self.file.written.map(|written| now.saturating_duration_since(written));
        let is_due = since.is_none_or(|since| since >= WRITE_EVERY);
        let unwritten = self.unwritten();
        if !is_due && (unwritten <= self.held || self.file.is_torn) {
            return Recorded::Covered;
        }
        let rate = match since {
            Some(since) if is_due => {
                let (minute, since) = (WRITE_EVERY.as_millis(), since.as_millis().max(1));
                unwritten.saturating_mul(minute) / since * RESERVED
            }
            Some(_) | None => self.held.max(amount).saturating_mul(GROWTH),
        };
        let left = left.map_or(u128::MAX, |left| left.saturating_sub(amount));
        let held = rate.max(amount.saturating_mul(RESERVED)).min(left);
        self.write(stamp, held)
    }

    /// Adds `amount` to the limit of the period of `stamp`. It counts after [`Ledger::on_written`].
    pub fn add(&mut self, amount: u128, stamp: Stamp) -> Recorded {
        self.count_added(stamp, amount);
        let line = Line::Added { stamp, amount }.text();
        self.writing = None;
        if self.is_to_merge(stamp) {
            self.replace(stamp, self.held)
        } else {
            Recorded::Append(line)
        }
    }

    /// Call it about once a minute: writes amounts that were not written for a minute, and gives up a reserve that was
    /// not needed for that long.
    pub fn settle(&mut self, stamp: Stamp, now: Instant) -> Recorded {
        let is_old = |time: Option<Instant>| {
            time.is_none_or(|time| now.saturating_duration_since(time) >= WRITE_EVERY)
        };
        if is_old(self.file.written) && is_old(self.file.last_amount) {
            self.close(stamp)
        } else {
            Recorded::Covered
        }
    }

    /// Writes what is not written yet, without a reserve. Call it at the end of the program.
    pub fn close(&mut self, stamp: Stamp) -> Recorded {
        if self.unwritten.is_empty() && self.held == 0 {
            return Recorded::Covered;
        }
        self.write(stamp, 0)
    }

    /// The whole file, merged. Write it after [`Ledger::parse`], because the end of the file may be torn.
    pub fn rewrite(&mut self, stamp: Stamp) -> Recorded {
        self.replace(stamp, 0)
    }

    /// Call it after a write. `is_kept`: the text is on the disk.
    pub fn on_written(&mut self, is_kept: bool, now: Instant) {
        self.file.written = Some(now);
        self.file.is_torn = !is_kept;
        let Some((stamp, held)) = self.writing.take().filter(|_| is_kept) else { return };
        for (item, total) in std::mem::take(&mut self.unwritten) {
            self.entries.entry((stamp, item)).or_default().add(total);
        }
        self.held = held;
    }

    fn unwritten(&self) -> u128 {
        self.unwritten.values().fold(0, |sum, total| sum.saturating_add(total.amount))
    }

    fn count_added(&mut self, stamp: Stamp, amount: u128) {
        let added = self.added.entry(stamp).or_default();
        *added = added.saturating_add(amount);
    }

    /// The item, or `other` if there are too many.
    fn bounded(&self, item: Item) -> Item {
        let known = self.entries.keys().map(|(_, item)| item).chain(self.unwritten.keys());
        let known: BTreeSet<&Item> = known.collect();
        let is_full = known.len() >= ITEMS && !known.contains(&item);
        if is_full { Item::new("other", "other") } else { item }
    }

    fn is_to_merge(&self, stamp: Stamp) -> bool {
        let is_new_day = self.file.merged.is_none_or(|merged| !merged.is_in(Period::Day, stamp));
        is_new_day || self.file.is_torn || self.file.appended > APPENDED
    }

    fn write(&mut self, stamp: Stamp, held: u128) -> Recorded {
        if self.is_to_merge(stamp) {
            return self.replace(stamp, held);
        }
        self.writing = Some((stamp, held));
        let items = self.unwritten.clone().into_iter().collect();
        let text = Line::Spent { stamp, held, items }.text();
        self.file.appended += text.len();
        Recorded::Append(text)
    }

    /// The whole file with these amounts and this reserve.
    fn replace(&mut self, stamp: Stamp, held: u128) -> Recorded {
        self.merge(stamp);
        self.writing = Some((stamp, held));
        self.file.merged = Some(stamp);
        self.file.appended = 0;
        let mut times: BTreeMap<Stamp, Vec<(Item, Total)>> = BTreeMap::new();
        for ((stamp, item), total) in &self.entries {
            times.entry(*stamp).or_default().push((item.clone(), *total));
        }
        let spent = times.into_iter().map(|(stamp, items)| Line::Spent { stamp, held: 0, items });
        let added =
            self.added.iter().map(|(stamp, amount)| Line::Added { stamp: *stamp, amount: *amount });
        let items = self.unwritten.clone().into_iter().collect();
        let last = Line::Spent { stamp, held, items };
        let lines = spent.chain(added).chain([last]);
        Recorded::Replace(lines.fold(HEAD.to_owned(), |text, line| text + &line.text()))
    }

    /// Merges the hours of past days and the days of past months, and drops old months.
    fn merge(&mut self, today: Stamp) {
        let entries = std::mem::take(&mut self.entries);
        for ((stamp, item), total) in entries {
            if stamp.months() + MONTHS > today.months() {
                self.entries.entry((stamp.merged(today), item)).or_default().add(total);
            }
        }
        self.added.retain(|stamp, _| stamp.is_in(Period::Month, today));
    }
}

#[cfg(test)]
mod tests;
