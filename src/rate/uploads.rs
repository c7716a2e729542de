//! The last uploads of segments: whether delay grows where the queue is not seen, in the transport and on the way.
//!
//! A segment of live video takes as long as it is, plus what its last byte takes to arrive and its answer
//! to return. The least *extra* of late is the path itself; what is above it waits somewhere.
//!
//! Does not: decide what follows.

use std::time::Duration;

use heapless::Deque;

use super::readings::float;

/// Uploads that are kept: half a minute of segments of 2 s.
const KEPT: usize = 16;

/// How one segment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// From its first byte handed over to its answer.
    pub took: Duration,
    /// Its length in media time.
    pub length: Duration,
    /// Its size.
    pub bytes: u64,
}

impl Upload {
    fn extra(&self) -> Duration {
        self.took.saturating_sub(self.length)
    }
}

/// The last uploads.
#[derive(Debug, Clone, Default)]
pub(super) struct Uploads {
    kept: Deque<Upload, KEPT>,
}

impl Uploads {
    pub(super) fn add(&mut self, upload: Upload) {
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        // There is room.
        let _ = self.kept.push_back(upload);
    }

    /// How much more than the path needs both of the last two uploads took.
    pub(super) fn standing(&self) -> Duration {
        let path = self.kept.iter().map(Upload::extra).min().unwrap_or_default();
        match self.last_two() {
            Some((before, last)) => before.extra().min(last.extra()).saturating_sub(path),
            None => Duration::ZERO,
        }
    }

    /// Bits per second that the path carried during the last upload, from how the delay grew in it.
    pub(super) fn throughput(&self) -> Option<f64> {
        let (before, last) = self.last_two()?;
        let length =
            last.length.as_secs_f64() + last.extra().as_secs_f64() - before.extra().as_secs_f64();
        (length > 0.1).then(|| float(8 * last.bytes) / length)
    }

    fn last_two(&self) -> Option<(&Upload, &Upload)> {
        let mut newest = self.kept.iter().rev();
        let last = newest.next()?;
        Some((newest.next()?, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 2 s and 250 kB that took so many ms: what stands, in ms, and throughput in kbit/s.
    #[track_caller]
    fn check(took: &[u64], standing: u128, throughput: Option<f64>) {
        let mut uploads = Uploads::default();
        for ms in took {
            let took = Duration::from_millis(*ms);
            uploads.add(Upload { took, length: Duration::from_secs(2), bytes: 250_000 });
        }
        assert_eq!(uploads.standing().as_millis(), standing);
        let found = uploads.throughput().map(|bits| (bits / 1000.0).round());
        assert_eq!(found, throughput);
    }

    #[test]
    fn the_path_itself_is_no_delay() {
        check(&[], 0, None);
        check(&[2300], 0, None);
        check(&[2300, 2300, 2300], 0, Some(1000.0));
    }

    #[test]
    fn one_late_segment_is_an_accident_and_two_are_a_queue() {
        check(&[2300, 3300], 0, Some(667.0));
        check(&[2300, 3300, 3500], 1000, Some(909.0));
        check(&[2300, 3300, 3500, 2400], 100, Some(2222.0));
    }

    #[test]
    fn a_segment_that_comes_out_of_a_queue_tells_nothing() {
        check(&[9000, 2000], 0, None);
    }
}
