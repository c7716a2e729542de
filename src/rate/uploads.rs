//! The last uploads of segments: whether delay grows where the queue is not seen, in the transport and on the way.
//!
//! The answer to a segment comes when its last byte has arrived, so from the end of its body it takes what
//! the path takes. The least of late is the path itself; what is above it waits somewhere.
//!
//! Does not: decide what follows.

use std::time::Duration;

use heapless::Deque;

use super::readings::float;

/// Uploads that are kept: half a minute of segments of 2 s.
const KEPT: usize = 16;
/// No path is believed to take longer: what was late from the first segment on has nothing to compare with.
/// A satellite's, 600 ms, then counts as a delay of 300 ms, which does little harm.
const LONGEST_PATH: Duration = Duration::from_millis(300);

/// How one segment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// From its first byte handed to the transport to the end of its body.
    pub handed_in: Duration,
    /// From there to its answer.
    pub answered_in: Duration,
    /// Its size.
    pub bytes: u64,
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

    /// How much more than the path needs both of the last two uploads took, or the one that is unanswered for
    /// so long takes already.
    pub(super) fn standing(&self, unanswered: Duration) -> Duration {
        let both = self.last_two().map(|(before, last)| before.answered_in.min(last.answered_in));
        both.unwrap_or_default().max(unanswered).saturating_sub(self.path())
    }

    /// How much more than the path needs the last upload alone took.
    pub(super) fn last_standing(&self, unanswered: Duration) -> Duration {
        let last = self.kept.back().map(|upload| upload.answered_in).unwrap_or_default();
        last.max(unanswered).saturating_sub(self.path())
    }

    /// What the path itself needs, as far as it was seen of late.
    pub(super) fn path(&self) -> Duration {
        let least = self.kept.iter().map(|upload| upload.answered_in).min();
        least.unwrap_or_default().min(LONGEST_PATH)
    }

    /// Forgets the path as it was, if the last two uploads took the same time on it. Whether it is another one now.
    pub(super) fn relearn(&mut self) -> bool {
        let Some((before, last)) = self.last_two() else { return false };
        let (least, most) =
            (before.answered_in.min(last.answered_in), before.answered_in.max(last.answered_in));
        let known = self.path();
        if most <= least + least / 8 {
            while self.kept.len() > 2 {
                self.kept.pop_front();
            }
        }
        self.path() > known
    }

    /// Whether the last upload was later than the one before.
    pub(super) fn is_growing(&self) -> bool {
        self.last_two().is_some_and(|(before, last)| last.answered_in > before.answered_in)
    }

    /// Bits per second that the path carried during the last upload, from how the delay grew in it; no more than
    /// during the last two, as segments overlap on their way.
    pub(super) fn throughput(&self) -> Option<f64> {
        let mut newest = self.kept.iter().rev();
        let (last, before, first) = (newest.next()?, newest.next()?, newest.next());
        let carried = |bytes: u64, handed_in: Duration, delay: Duration| {
            let time = (handed_in + last.answered_in).saturating_sub(delay);
            (time >= handed_in / 2).then(|| float(8 * bytes) / time.as_secs_f64().max(0.1))
        };
        let one = carried(last.bytes, last.handed_in, before.answered_in);
        let both = first.and_then(|first| {
            let handed_in = before.handed_in + last.handed_in;
            carried(before.bytes + last.bytes, handed_in, first.answered_in)
        });
        one.map(|one| both.map_or(one, |both| both.min(one)))
    }

    /// How long the last segment took to be handed over.
    pub(super) fn handed_in(&self) -> Option<Duration> {
        self.kept.back().map(|upload| upload.handed_in)
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

    /// Segments of 250 kB, handed over in 2 s and answered in so many ms.
    fn uploads(answered: &[u64]) -> Uploads {
        let mut uploads = Uploads::default();
        for ms in answered {
            let answered_in = Duration::from_millis(*ms);
            let handed_in = Duration::from_secs(2);
            uploads.add(Upload { handed_in, answered_in, bytes: 250_000 });
        }
        uploads
    }

    /// What stands after such segments, in ms, and their throughput in kbit/s.
    #[track_caller]
    fn check(answered: &[u64], standing: u128, throughput: Option<f64>) {
        let uploads = uploads(answered);
        assert_eq!(uploads.standing(Duration::ZERO).as_millis(), standing);
        let found = uploads.throughput().map(|bits| (bits / 1000.0).round());
        assert_eq!(found, throughput);
    }

    #[test]
    fn the_path_itself_is_no_delay() {
        check(&[], 0, None);
        check(&[300], 0, None);
        check(&[300, 300, 300], 0, Some(1000.0));
    }

    #[test]
    fn one_late_segment_is_an_accident_and_two_are_a_queue() {
        check(&[300, 1300], 0, Some(667.0));
        check(&[300, 1300, 1500], 1000, Some(769.0));
        check(&[300, 1300, 1500, 600], 300, Some(1212.0));
    }

    #[test]
    fn a_segment_that_is_late_already_is_not_waited_for() {
        let late = uploads(&[200]).standing(Duration::from_secs(2));
        assert_eq!(late, Duration::from_millis(1800));
    }

    #[test]
    fn what_was_late_from_the_first_segment_on_is_late() {
        check(&[5000, 5000], 4700, Some(1000.0));
    }

    #[test]
    fn a_segment_that_comes_out_of_a_queue_tells_nothing() {
        check(&[9000, 2000], 1700, None);
    }

    #[test]
    fn a_path_that_became_longer_is_learned_from_two_that_agree() {
        let mut drained = uploads(&[40, 40, 900, 300, 310]);
        assert!(drained.relearn());
        assert_eq!(drained.standing(Duration::ZERO), Duration::ZERO);

        let mut draining = uploads(&[40, 40, 900, 600, 400]);
        assert!(!draining.relearn(), "it still goes down");
        assert_eq!(draining.standing(Duration::ZERO).as_millis(), 360);
        assert!(!uploads(&[40, 40]).relearn(), "the same path");
    }
}
