//! The one place where media waits: a bounded queue that drops whole runs up to a key, never single frames.
//!
//! | full, and in the queue behind its head | then |
//! |---|---|
//! | a later key | all before the newest key is dropped |
//! | no later key, and the new item is none | the new item is dropped, and all up to the next key |
//! | no later key, and the new item is one | all that waits is dropped, the new item stays |
//!
//! So what comes out can always be decoded, and old video makes room for new.
//!
//! Does not: lock or wait; its owner does.

use heapless::Deque;

/// A queue of `N` items and a number of bytes.
#[derive(Debug)]
pub struct Queue<T, const N: usize> {
    waiting: Deque<Entry<T>, N>,
    bytes: usize,
    bytes_limit: usize,
    /// Items were lost behind the last one in the queue; only a key may follow.
    awaits_key: bool,
    dropped: u64,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    bytes: usize,
    is_key: bool,
    after_loss: bool,
}

/// What [`Queue::pop`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Popped<T> {
    /// The item.
    pub item: T,
    /// Items between the one popped before and this one were dropped.
    pub after_loss: bool,
}

impl<T, const N: usize> Queue<T, N> {
    /// An empty queue for up to `bytes_limit` bytes.
    pub fn new(bytes_limit: usize) -> Self {
        Self { waiting: Deque::new(), bytes: 0, bytes_limit, awaits_key: false, dropped: 0 }
    }

    /// Puts `item` at the end, or makes room, or drops it.
    pub fn push(&mut self, item: T, is_key: bool, bytes: usize) {
        if self.awaits_key && !is_key {
            self.dropped += 1;
            return;
        }
        if !self.has_room(bytes) {
            self.drop_to_newest_key();
        }
        if !self.has_room(bytes) && is_key {
            self.clear();
        }
        let after_loss = self.awaits_key;
        let entry = Entry { item, bytes, is_key, after_loss };
        if self.has_room(bytes) && self.waiting.push_back(entry).is_ok() {
            self.bytes += bytes;
            self.awaits_key = false;
        } else {
            self.dropped += 1;
            self.awaits_key = true;
        }
    }

    /// Takes the first item.
    pub fn pop(&mut self) -> Option<Popped<T>> {
        let entry = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(Popped { item: entry.item, after_loss: entry.after_loss })
    }

    /// What went before is worthless: drops all up to the newest key, or everything and what comes up to the
    /// next key.
    pub fn resync(&mut self) {
        self.drop_to_newest_key();
        match self.waiting.front_mut() {
            Some(first) if first.is_key => first.after_loss = true,
            _ => self.clear(),
        }
    }

    /// Items dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn has_room(&self, bytes: usize) -> bool {
        !self.waiting.is_full() && bytes <= self.bytes_limit.saturating_sub(self.bytes)
    }

    fn drop_to_newest_key(&mut self) {
        let newest = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.is_key)
            .map(|(at, _)| at)
            .last();
        for _ in 0..newest.unwrap_or(0) {
            self.drop_first();
        }
        if let (Some(1..), Some(first)) = (newest, self.waiting.front_mut()) {
            first.after_loss = true;
        }
    }

    /// Drops all that waits; the next must be a key.
    fn clear(&mut self) {
        while !self.waiting.is_empty() {
            self.drop_first();
        }
        self.awaits_key = true;
    }

    fn drop_first(&mut self) {
        if self.pop().is_some() {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes `pushed` (upper case = key) into a queue of 4 items or 40 bytes, 10 bytes each; `<` pops first,
    /// `!` resyncs. What comes out in the end, `/` where something is missing before it.
    #[track_caller]
    fn check(pushed: &str, expected: &str, dropped: u64) {
        let mut queue = Queue::<char, 4>::new(40);
        for item in pushed.chars() {
            match item {
                '<' => drop(queue.pop()),
                '!' => queue.resync(),
                item => queue.push(item, item.is_uppercase(), 10),
            }
            assert!(queue.len() <= 4 && queue.bytes <= 40 && queue.bytes == 10 * queue.len());
        }
        let mut out = String::new();
        while let Some(popped) = queue.pop() {
            out.extend(popped.after_loss.then_some('/'));
            out.push(popped.item);
        }
        assert_eq!(out, expected);
        assert_eq!(queue.dropped(), dropped);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_fits_comes_out_as_it_went_in() {
        check("", "", 0);
        check("Aab", "Aab", 0);
        check("AabB", "AabB", 0);
        check("Aab<<Bbc", "bBbc", 0);
    }

    #[test]
    fn full_drops_to_the_newest_key() {
        check("AaBbc", "/Bbc", 2);
        check("aBCdeDD", "/DD", 5);
    }

    #[test]
    fn full_without_a_later_key_drops_what_is_new() {
        check("Aabcd", "Aabc", 1);
        check("Aabcdef", "Aabc", 3);
        check("Aabcde<<<fBg", "c/Bg", 3);
    }

    #[test]
    fn a_key_that_finds_it_full_takes_the_place_of_all() {
        check("AabcB", "/B", 4);
        check("AabcdB", "/B", 5);
    }

    #[test]
    fn a_resync_keeps_the_newest_key() {
        check("AabB!c", "/Bc", 3);
        check("A!b", "/Ab", 0);
        check("A<ab!cdB", "/B", 4);
        check("!aB", "/B", 1);
    }

    #[test]
    fn bytes_count_as_well_as_items() {
        let mut queue = Queue::<u8, 8>::new(100);
        queue.push(1, true, 60);
        queue.push(2, false, 30);
        queue.push(3, false, 20);
        assert_eq!((queue.len(), queue.dropped()), (2, 1));
        queue.push(4, true, 101);
        assert_eq!(
            (queue.len(), queue.dropped()),
            (0, 4),
            "one that never fits leaves nothing behind"
        );
        queue.push(5, false, 1);
        queue.push(6, true, 100);
        assert_eq!(queue.pop(), Some(Popped { item: 6, after_loss: true }));
        assert_eq!(queue.dropped(), 5);
    }
}
