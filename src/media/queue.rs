//! The queue between encoder and network. It is bounded in items, bytes and time, and drops all frames up to a key
//! frame instead of single frames.
//!
//! | full, and the queue holds | then |
//! |---|---|
//! | a key frame after its head | everything before the newest key frame is dropped |
//! | no such key frame, and the new item is not one | the new item is dropped, and all items up to the next key frame |
//! | no such key frame, and the new item is one | all queued items are dropped, the new one is queued |
//!
//! | the head is stale, and the newest key frame | then |
//! |---|---|
//! | is fresh | everything before it is dropped |
//! | is stale too, or absent | all queued items are dropped, and all up to the next key frame, which is requested |
//!
//! Before a job that a motion starts, the queue keeps the video that led to the motion (`Retention`):
//!
//! | full, and the queue | then |
//! |---|---|
//! | waits for the motion | its first group of items, from a key frame to the next, is dropped; an only group stays |
//! | keeps the pre-roll for the reader | the new item is dropped, and all items up to the next key frame |
//!
//! A reader gets the pre-roll although it is old. Until the reader has caught up, for `CATCH_UP` at most, items may be
//! older by the age that the pre-roll had.
//!
//! So every item that leaves the queue can be decoded, and new video replaces old video: after an outage of a minute,
//! live video is sent instead of a minute's backlog.
//!
//! Does not: lock, wait, or read the clock; the caller does.

use std::time::{Duration, Instant};

use heapless::Deque;

/// Default of the longest time in the queue. Later, a live picture is useless.
pub const MAX_LATENCY: Duration = Duration::from_secs(1);

/// The longest time in which a reader catches up with the pre-roll: the pre-roll is 4 s at most, and a link that carries
/// the video has some of its capacity left.
const CATCH_UP: Duration = Duration::from_secs(10);
/// The greatest age of the pre-roll at which a reader begins with it. A job whose start takes longer begins with live
/// video. Models take up to 10 s to start.
const PRE_ROLL_AGE: Duration = Duration::from_secs(15);

/// What a full queue keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retention {
    /// The newest items: a reader wants what is live.
    Newest,
    /// The newest groups: what may turn out to be the pre-roll of a job.
    Groups,
    /// The oldest items: the pre-roll, until a reader has begun.
    PreRoll,
}

/// The time for which a reader may get older items.
#[derive(Debug, Clone, Copy)]
struct CatchUp {
    extra: Duration,
    until: Instant,
}

/// A queue of at most `N` items and a number of bytes.
#[derive(Debug)]
pub struct Queue<T, const N: usize> {
    waiting: Deque<Entry<T>, N>,
    bytes: usize,
    bytes_limit: usize,
    max_latency: Duration,
    /// Why items after the queue's last one were dropped; the next item must be a key frame.
    awaits_key: Option<DropReason>,
    wants_key: bool,
    dropped: Dropped,
    retention: Retention,
    catch_up: Option<CatchUp>,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    bytes: usize,
    is_key: bool,
    pushed: Instant,
    after_loss: bool,
}

/// An item from [`Queue::pop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Popped<T> {
    /// The item.
    pub item: T,
    /// Whether items between the previously popped one and this one were dropped.
    pub after_loss: bool,
}

/// Why items are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DropReason {
    Full,
    Stale,
    Resync,
}

/// Counts of dropped items, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// The queue was full.
    pub full: u64,
    /// The items were queued too long, because the link is slower than the video or was interrupted.
    pub stale: u64,
    /// The items' segment was lost on the network, or no job was running.
    pub resync: u64,
}

impl Dropped {
    /// Items dropped for any reason.
    pub fn total(&self) -> u64 {
        self.full + self.stale + self.resync
    }

    fn add(&mut self, reason: DropReason) {
        match reason {
            DropReason::Full => self.full += 1,
            DropReason::Stale => self.stale += 1,
            DropReason::Resync => self.resync += 1,
        }
    }
}

impl<T, const N: usize> Queue<T, N> {
    /// An empty queue for up to `bytes_limit` bytes, which drops items older than `max_latency`.
    pub fn new(bytes_limit: usize, max_latency: Duration) -> Self {
        Self {
            waiting: Deque::new(),
            bytes: 0,
            bytes_limit,
            max_latency,
            awaits_key: None,
            wants_key: false,
            dropped: Dropped::default(),
            retention: Retention::Newest,
            catch_up: None,
        }
    }

    /// Changes the age at which items are dropped.
    pub(crate) fn set_max_latency(&mut self, max_latency: Duration) {
        self.max_latency = max_latency;
    }

    /// Appends `item`. If the queue is full, makes room or drops `item`, as the table says.
    pub fn push(&mut self, item: T, is_key: bool, bytes: usize, now: Instant) {
        if let Some(reason) = self.awaits_key.filter(|_| !is_key) {
            self.dropped.add(reason);
            return;
        }
        if !self.has_room(bytes) {
            match self.retention {
                Retention::Newest => self.drop_to_newest_key(DropReason::Full),
                Retention::Groups => while !self.has_room(bytes) && self.drop_first_group() {},
                Retention::PreRoll => {}
            }
        }
        if !self.has_room(bytes) && is_key && self.retention != Retention::PreRoll {
            self.clear(DropReason::Full);
        }
        let after_loss = self.awaits_key.is_some();
        let entry = Entry { item, bytes, is_key, pushed: now, after_loss };
        if self.has_room(bytes) && self.waiting.push_back(entry).is_ok() {
            self.bytes += bytes;
            self.awaits_key = None;
        } else {
            self.dropped.add(DropReason::Full);
            self.awaits_key = Some(DropReason::Full);
        }
    }

    /// Takes the first item that is not stale. Call [`Self::take_key_request`] afterwards.
    pub fn pop(&mut self, now: Instant) -> Option<Popped<T>> {
        let is_near = self.waited(now) <= self.max_latency / 2;
        let _ = self.catch_up.take_if(|up| is_near || now >= up.until);
        if self.age(now) > self.max_latency {
            self.drop_to_newest_key(DropReason::Stale);
            if self.age(now) > self.max_latency {
                self.clear(DropReason::Stale);
                self.wants_key = true;
            }
        }
        let entry = self.take_first()?;
        Some(Popped { item: entry.item, after_loss: entry.after_loss })
    }

    /// Call when items popped before are lost: drops everything up to the newest key frame; without one drops everything
    /// queued and all items up to the next key frame.
    pub(crate) fn resync(&mut self) {
        self.drop_to_newest_key(DropReason::Resync);
        match self.waiting.front_mut() {
            Some(first) if first.is_key => first.after_loss = true,
            _ => self.restart(),
        }
    }

    /// From now on keeps the newest items, up to a whole number of groups, for [`Self::keep_since`]. Call it while there
    /// is no reader.
    pub(crate) fn keep_groups(&mut self) {
        self.retention = Retention::Groups;
        self.catch_up = None;
    }

    /// From now on keeps the items from the last key frame before `since` on, until [`Self::begin`]. Does nothing unless
    /// [`Self::keep_groups`] was called, or if a pre-roll is kept that a reader would still get.
    pub(crate) fn keep_since(&mut self, since: Instant, now: Instant) {
        match self.retention {
            Retention::Newest => return,
            Retention::PreRoll if self.waited(now) <= PRE_ROLL_AGE => return,
            Retention::PreRoll | Retention::Groups => self.retention = Retention::PreRoll,
        }
        let last_before = |queue: &Self| {
            let next = queue.waiting.iter().skip(1).find(|entry| entry.is_key);
            next.is_some_and(|next| next.pushed <= since)
        };
        while last_before(self) && self.drop_first_group() {}
        // What is queued ended before.
        if self.waiting.back().is_none_or(|last| last.pushed < since) {
            self.restart();
        }
    }

    /// Call when a reader begins: it gets the pre-roll if one is kept, otherwise the newest key frame first.
    pub(crate) fn begin(&mut self, now: Instant) {
        let was = std::mem::replace(&mut self.retention, Retention::Newest);
        self.catch_up = None;
        let age = self.waited(now);
        match self.waiting.front_mut() {
            None => {}
            Some(first) if was == Retention::PreRoll && first.is_key && age <= PRE_ROLL_AGE => {
                first.after_loss = true;
                self.catch_up = Some(CatchUp { extra: age, until: now + CATCH_UP });
                self.wants_key |= self.awaits_key.is_some();
            }
            // Items that waited while there was no reader are old.
            Some(_) => self.resync(),
        }
    }

    /// Drops everything queued, and all items up to the next key frame.
    pub fn restart(&mut self) {
        self.clear(DropReason::Resync);
        self.wants_key = true;
    }

    /// Whether to request a key frame from the encoder, because nothing can leave the queue before the next one. Returns
    /// `true` once per request.
    pub fn take_key_request(&mut self) -> bool {
        std::mem::take(&mut self.wants_key)
    }

    /// Age of the first item; zero if the queue is empty. While the reader catches up, the age that the pre-roll had is
    /// not counted.
    pub fn age(&self, now: Instant) -> Duration {
        let extra = self.catch_up.map_or(Duration::ZERO, |up| up.extra);
        self.waited(now).saturating_sub(extra)
    }

    fn waited(&self, now: Instant) -> Duration {
        self.waiting.front().map_or(Duration::ZERO, |first| now.duration_since(first.pushed))
    }

    /// Items dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn has_room(&self, bytes: usize) -> bool {
        !self.waiting.is_full() && bytes <= self.bytes_limit.saturating_sub(self.bytes)
    }

    fn take_first(&mut self) -> Option<Entry<T>> {
        let entry = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry)
    }

    fn drop_to_newest_key(&mut self, reason: DropReason) {
        let newest = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.is_key)
            .map(|(at, _)| at)
            .last();
        for _ in 0..newest.unwrap_or(0) {
            self.drop_first(reason);
        }
        if let (Some(1..), Some(first)) = (newest, self.waiting.front_mut()) {
            first.after_loss = true;
        }
    }

    /// Drops the first items up to the second key frame. Returns false, and drops none, if there is no second one.
    fn drop_first_group(&mut self) -> bool {
        let Some(next) = self.waiting.iter().skip(1).position(|entry| entry.is_key) else {
            return false;
        };
        for _ in 0..=next {
            self.drop_first(DropReason::Resync);
        }
        true
    }

    /// Drops everything queued; the next item must be a key frame.
    fn clear(&mut self, reason: DropReason) {
        while !self.waiting.is_empty() {
            self.drop_first(reason);
        }
        self.awaits_key = Some(reason);
    }

    fn drop_first(&mut self, reason: DropReason) {
        if self.take_first().is_some() {
            self.dropped.add(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes the letters of `pushed` (upper case: key frames) into a queue of 4 items or 40 bytes, 10 bytes each. `<`
    /// pops an item, `!` resyncs, `.` lets 100 ms pass; items are stale after 250 ms. `(` waits for a motion, `@` keeps
    /// what came up to 200 ms ago, `)` is the begin of a reader. Compares the items that come out at the end, with `/` before an item that follows a gap, and whether a key frame is requested.
    #[track_caller]
    fn story(pushed: &str, expected: &str, dropped: Dropped, wants_key: bool) {
        let mut queue = Queue::<char, 4>::new(40, Duration::from_millis(250));
        let mut now = Instant::now() + Duration::from_secs(1);
        for item in pushed.chars() {
            match item {
                '<' => drop(queue.pop(now)),
                '!' => queue.resync(),
                '.' => now += Duration::from_millis(100),
                '(' => queue.keep_groups(),
                '@' => queue.keep_since(now - Duration::from_millis(200), now),
                ')' => queue.begin(now),
                item => queue.push(item, item.is_uppercase(), 10, now),
            }
            assert!(
                queue.waiting.len() <= 4
                    && queue.bytes <= 40
                    && queue.bytes == 10 * queue.waiting.len()
            );
        }
        let mut out = String::new();
        while let Some(popped) = queue.pop(now) {
            out.extend(popped.after_loss.then_some('/'));
            out.push(popped.item);
        }
        assert_eq!((out.as_str(), queue.dropped()), (expected, dropped));
        assert_eq!((queue.take_key_request(), queue.take_key_request()), (wants_key, false));
        assert!(queue.waiting.is_empty() && queue.age(now).is_zero());
    }

    #[track_caller]
    fn check(pushed: &str, expected: &str, full: u64) {
        story(pushed, expected, Dropped { full, ..Dropped::default() }, false);
    }

    #[track_caller]
    fn check_stale(pushed: &str, expected: &str, stale: u64, wants_key: bool) {
        story(pushed, expected, Dropped { stale, ..Dropped::default() }, wants_key);
    }

    #[track_caller]
    fn check_resync(pushed: &str, expected: &str, resync: u64, wants_key: bool) {
        story(pushed, expected, Dropped { resync, ..Dropped::default() }, wants_key);
    }

    #[test]
    fn items_within_the_bounds_keep_their_order() {
        check("", "", 0);
        check("Aab", "Aab", 0);
        check("AabB", "AabB", 0);
        check("Aab<<Bbc", "bBbc", 0);
    }

    #[test]
    fn a_full_queue_drops_to_the_newest_key_frame() {
        check("AaBbc", "/Bbc", 2);
        check("aBCdeDD", "/DD", 5);
    }

    #[test]
    fn a_full_queue_without_a_later_key_frame_drops_new_items() {
        check("Aabcd", "Aabc", 1);
        check("Aabcdef", "Aabc", 3);
        check("Aabcde<<<fBg", "c/Bg", 3);
    }

    #[test]
    fn a_key_frame_replaces_a_full_queue() {
        check("AabcB", "/B", 4);
        check("AabcdB", "/B", 5);
    }

    #[test]
    fn a_resync_keeps_the_newest_key_frame() {
        check_resync("AabB!c", "/Bc", 3, false);
        check_resync("A!b", "/Ab", 0, false);
        check_resync("A<ab!cdB", "/B", 4, true);
        check_resync("!aB", "/B", 1, true);
    }

    #[test]
    fn stale_items_are_dropped_to_the_newest_key_frame() {
        check_stale("A.a.B.", "/B", 2, false);
        check_stale("A.a.b", "Aab", 0, false);
        check_stale("AaB...C.", "/C", 3, false);
        check_stale("A.a.B.b<", "b", 2, false);
    }

    #[test]
    fn without_a_fresh_key_frame_all_is_dropped_and_one_is_requested() {
        check_stale("A.a.b.", "", 3, true);
        check_stale("A...b", "", 2, true);
        check_stale("A...<bcBd", "/Bd", 3, true);
        check_stale("A<a...<b.B<", "", 2, true);
    }

    #[test]
    fn a_reader_begins_with_the_last_key_frame_before_the_motion_although_it_is_old() {
        check_resync("(Aa.....Bb....b.@C)", "/BbbC", 2, false);
        check_resync("(Aa.....Bb..C@...c)", "/BbCc", 2, false);
        check_resync("(A.a....b.@...)", "/Aab", 0, false);
        // Without a motion, and for a second reader, the newest key frame is the first.
        check_resync("(AaBb)", "/Bb", 2, false);
        check_resync("(A.aB@.b)<)", "/Bb", 1, false);
    }

    #[test]
    fn a_full_queue_drops_whole_groups_while_it_waits_and_new_items_while_it_keeps_the_pre_roll() {
        check_resync("(AaBbCc", "BbCc", 2, false);
        check_resync("(ABCDd@)", "/BCDd", 1, false);
        let full = |full| Dropped { full, ..Dropped::default() };
        story("(AaBb@cCdD)<<eE", "Bb/E", full(5), true);
        story("(AaBb@cC<<", "Bb", full(2), false);
    }

    #[test]
    fn an_item_may_be_old_until_the_reader_has_caught_up() {
        // The pre-roll has waited for 0.5 s: 0.75 s are allowed.
        check_resync("(A.a.b@...)..<<<", "", 0, false);
        story("(A@.....)...", "", Dropped { stale: 1, ..Dropped::default() }, true);
        // After the reader has caught up, it is 0.25 s again.
        story("(A@.....)<.B<C...", "", Dropped { stale: 1, ..Dropped::default() }, true);
    }

    #[test]
    fn a_pre_roll_that_is_too_old_or_ended_before_the_motion_is_not_sent() {
        check_resync("(Aa.....@", "", 2, true);
        let now = Instant::now();
        let mut queue = Queue::<char, 4>::new(40, Duration::from_millis(250));
        queue.keep_groups();
        queue.push('A', true, 10, now);
        queue.keep_since(now, now);
        queue.push('B', true, 10, now + PRE_ROLL_AGE);
        queue.begin(now + PRE_ROLL_AGE + Duration::from_millis(1));
        assert_eq!(queue.pop(now + PRE_ROLL_AGE).map(|popped| popped.item), Some('B'));
    }

    #[test]
    fn each_drop_has_one_reason() {
        let dropped = Dropped { full: 4, stale: 2, resync: 3 };
        story("AabB!<", "", Dropped { resync: 3, ..Dropped::default() }, false);
        story("AabB!<CcdeDf...", "", dropped, true);
        assert_eq!(dropped.total(), 9);
    }

    #[test]
    fn bytes_count_as_well_as_items() {
        let mut queue = Queue::<u8, 8>::new(100, MAX_LATENCY);
        let now = Instant::now();
        queue.push(1, true, 60, now);
        queue.push(2, false, 30, now);
        queue.push(3, false, 20, now);
        assert_eq!((queue.waiting.len(), queue.dropped().full), (2, 1));
        queue.push(4, true, 101, now);
        assert_eq!(
            (queue.waiting.len(), queue.dropped().full),
            (0, 4),
            "an item larger than the queue is dropped"
        );
        queue.push(5, false, 1, now);
        queue.push(6, true, 100, now);
        assert_eq!(queue.pop(now), Some(Popped { item: 6, after_loss: true }));
        assert_eq!(queue.dropped().full, 5);
    }
}
