//! Decides which segment a subscription requests next after each answer, end of a segment, or broken connection.
//!
//! A subscription starts at the segment that is being written (`-2`), then counts up by one. It ignores a seq lower
//! than the requested one.
//!
//! | event | then |
//! |---|---|
//! | 200 | read it; next is its seq + 1 |
//! | the segment ends, also empty | the next one; after more than [`SEGMENTS_KEPT`] empty ones in a row, with a pause |
//! | 200 with `Lp-Trickle-Closed`, 404 | end |
//! | 470, latest above the seq asked for | jump there |
//! | the same in answer to the jump: the writer is faster than the requests | the segment that is being written (`-2`) |
//! | the same again | jump there after 250 ms |
//! | 470, latest not above it | the same seq after 250 ms |
//! | other status, broken | the same seq after 300 to 500 ms, 5 tries |
//! | broken within a segment | the next seq, as above |
//!
//! Does not: wait, read, or look at the clock; `io::Subscriber` repeats a GET that waits too long.

use std::time::Duration;

use crate::limits::SEGMENTS_KEPT;
use crate::segment::Seq;
use crate::trickle::{AHEAD_PAUSE, EndReason, TRIES, TrickleAnswer, retry_pause};

/// The segment to request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentRequest {
    /// The segment that is being written now (`-2`).
    Live,
    /// This segment.
    Segment(Seq),
}

/// What the subscriber must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SubscriptionStep {
    /// Read the body, which is this segment.
    Read(Seq),
    /// Request [`Subscription::ask`] at once.
    Next,
    /// Request this segment at once: the server no longer keeps the ones before it. It is [`Subscription::ask`] now.
    Jump(Seq),
    /// Request [`Subscription::ask`] after this pause.
    RetryAfter(Duration),
    /// End the subscription.
    End(EndReason),
}

/// The state of one subscription.
#[derive(Debug)]
pub struct Subscription {
    ask: SegmentRequest,
    /// The lowest seq that has not been read.
    least: Seq,
    tries: u32,
    jumps_in_a_row: u32,
    empty_in_a_row: u64,
}

impl Default for Subscription {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscription {
    /// A subscription that starts at the segment being written now.
    pub fn new() -> Self {
        let (ask, least) = (SegmentRequest::Live, Seq(0));
        Self { ask, least, tries: 0, jumps_in_a_row: 0, empty_in_a_row: 0 }
    }

    /// The segment to request next.
    pub fn ask(&self) -> SegmentRequest {
        self.ask
    }

    /// Call for the head of each answer to [`Subscription::ask`]. `jitter` from 0 to 1 spreads the next try.
    pub fn on_answer(&mut self, answer: &TrickleAnswer, jitter: f64) -> SubscriptionStep {
        if answer.closed {
            return SubscriptionStep::End(EndReason::Closed);
        }
        match answer.status {
            200 => self.on_segment(answer.seq, jitter),
            404 => SubscriptionStep::End(EndReason::Missing),
            470 => self.on_missing_segment(answer.latest),
            status => self.try_again(EndReason::Refused(status), jitter),
        }
    }

    /// Call when no answer came, or the connection broke. `jitter` as in [`Subscription::on_answer`].
    pub(crate) fn on_broken(&mut self, jitter: f64) -> SubscriptionStep {
        self.try_again(EndReason::Unreachable(TRIES), jitter)
    }

    /// Call when the body of a segment is complete, with its length in bytes.
    pub fn on_complete(&mut self, bytes: u64) -> SubscriptionStep {
        self.tries = 0;
        self.jumps_in_a_row = 0;
        self.empty_in_a_row = if bytes == 0 { self.empty_in_a_row + 1 } else { 0 };
        if self.empty_in_a_row > SEGMENTS_KEPT {
            // A peer that closes many empty segments must not keep the CPU busy.
            return SubscriptionStep::RetryAfter(AHEAD_PAUSE);
        }
        SubscriptionStep::Next
    }

    fn on_segment(&mut self, seq: Option<Seq>, jitter: f64) -> SubscriptionStep {
        let seq = match (self.ask, seq) {
            (SegmentRequest::Segment(asked), served) => {
                served.map_or(asked, |served| served.max(asked))
            }
            (SegmentRequest::Live, Some(served)) => served.max(self.least),
            (SegmentRequest::Live, None) => return self.try_again(EndReason::NoSeq, jitter),
        };
        self.least = seq.next();
        self.ask = SegmentRequest::Segment(self.least);
        SubscriptionStep::Read(seq)
    }

    fn on_missing_segment(&mut self, latest: Option<Seq>) -> SubscriptionStep {
        let Some(latest) = latest else { return SubscriptionStep::RetryAfter(AHEAD_PAUSE) };
        if let SegmentRequest::Segment(asked) = self.ask
            && latest <= asked
        {
            return SubscriptionStep::RetryAfter(AHEAD_PAUSE);
        }
        self.jumps_in_a_row += 1;
        if self.jumps_in_a_row == 2 {
            // A number would be outdated again when its request arrives.
            self.ask = SegmentRequest::Live;
            return SubscriptionStep::Next;
        }
        self.ask = SegmentRequest::Segment(latest);
        match self.jumps_in_a_row {
            1 => SubscriptionStep::Jump(latest),
            _ => SubscriptionStep::RetryAfter(AHEAD_PAUSE),
        }
    }

    fn try_again(&mut self, why: EndReason, jitter: f64) -> SubscriptionStep {
        self.tries += 1;
        if self.tries < TRIES {
            SubscriptionStep::RetryAfter(retry_pause(jitter))
        } else {
            SubscriptionStep::End(why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use SubscriptionStep::{End, Jump, Next, Read, RetryAfter};

    const SOON: SubscriptionStep = RetryAfter(Duration::from_millis(250));
    const LATER: SubscriptionStep = RetryAfter(Duration::from_millis(400));

    #[derive(Debug, Clone, Copy)]
    enum TestEvent {
        /// Status, seq, latest, and what to do.
        Answer(u16, Option<u64>, Option<u64>, SubscriptionStep),
        Closed(SubscriptionStep),
        Broken(SubscriptionStep),
        Complete(u64, SubscriptionStep),
    }
    use TestEvent::{Answer as A, Broken as B, Closed, Complete as C};

    #[track_caller]
    fn check(story: &[TestEvent], ask: SegmentRequest) {
        let mut subscription = Subscription::new();
        for told in story {
            let answer = |status, seq: Option<u64>, latest: Option<u64>, closed| TrickleAnswer {
                status,
                seq: seq.map(Seq),
                latest: latest.map(Seq),
                closed,
            };
            let (got, expected) = match *told {
                A(status, seq, latest, expected) => {
                    (subscription.on_answer(&answer(status, seq, latest, false), 0.5), expected)
                }
                Closed(expected) => {
                    (subscription.on_answer(&answer(200, Some(1), None, true), 0.5), expected)
                }
                B(expected) => (subscription.on_broken(0.5), expected),
                C(bytes, expected) => (subscription.on_complete(bytes), expected),
            };
            assert_eq!(got, expected, "{told:?} in {story:?}");
        }
        assert_eq!(subscription.ask(), ask, "{story:?}");
    }

    fn seg(seq: u64) -> SegmentRequest {
        SegmentRequest::Segment(Seq(seq))
    }

    /// The subscription requested the live segment, got segment 3, and read it.
    const AT_FOUR: [TestEvent; 2] = [A(200, Some(3), Some(4), Read(Seq(3))), C(9, Next)];

    #[track_caller]
    fn check_at_four(story: &[TestEvent], ask: SegmentRequest) {
        check(&[&AT_FOUR[..], story].concat(), ask);
    }

    #[test]
    fn a_subscription_starts_live_and_counts_up() {
        check(&[], SegmentRequest::Live);
        check_at_four(&[], seg(4));
        check_at_four(&[A(200, Some(4), None, Read(Seq(4)))], seg(5));
        check_at_four(&[A(200, None, None, Read(Seq(4)))], seg(5));
    }

    #[test]
    fn a_subscription_never_goes_back() {
        check_at_four(&[A(200, Some(1), None, Read(Seq(4)))], seg(5));
        check_at_four(&[A(200, Some(6), None, Read(Seq(6)))], seg(7));
        check_at_four(&[A(470, None, Some(2), SOON)], seg(4));
    }

    #[test]
    fn many_empty_segments_in_a_row_cause_a_pause() {
        let empty = |seq, then| [A(200, Some(seq), None, Read(Seq(seq))), C(0, then)];
        let story: Vec<TestEvent> = (4..9).flat_map(|seq| empty(seq, Next)).collect();
        check_at_four(&story, seg(9));
        check_at_four(&[&story[..], &empty(9, SOON)].concat(), seg(10));
    }

    #[test]
    fn a_closed_or_missing_channel_ends_the_subscription() {
        check(&[Closed(End(EndReason::Closed))], SegmentRequest::Live);
        check_at_four(&[Closed(End(EndReason::Closed))], seg(4));
        check(&[A(404, None, None, End(EndReason::Missing))], SegmentRequest::Live);
    }

    #[test]
    fn a_missing_segment_is_skipped_or_waited_for() {
        check_at_four(&[A(470, Some(4), Some(9), Jump(Seq(9)))], seg(9));
        check_at_four(&[A(470, Some(4), Some(3), SOON), A(470, Some(4), Some(3), SOON)], seg(4));
        check_at_four(&[A(470, Some(4), Some(4), SOON)], seg(4));
        check_at_four(&[A(470, None, None, SOON)], seg(4));
        check(&[A(470, None, Some(5), Jump(Seq(5)))], seg(5));
        check(&[A(470, None, None, SOON)], SegmentRequest::Live);
    }

    #[test]
    fn a_writer_that_outruns_the_requests_is_read_where_it_is() {
        let jump = [A(470, None, Some(9), Jump(Seq(9))), A(470, None, Some(20), Next)];
        check_at_four(&jump, SegmentRequest::Live);
        let read = [A(200, Some(31), None, Read(Seq(31))), C(1, Next)];
        check_at_four(&[&jump[..], &read].concat(), seg(32));
        // Not even there: a server that keeps nothing must not keep the CPU busy.
        let none = A(470, None, Some(40), SOON);
        check_at_four(&[&jump[..], &[none, none]].concat(), seg(40));
        // What was read is not read again.
        let old = A(200, Some(2), None, Read(Seq(4)));
        check_at_four(&[&jump[..], &[old]].concat(), seg(5));
    }

    /// A channel whose writer begins a segment every ms. Returns how many segments are read in a second if each request
    /// arrives 5 ms after the one before it.
    fn read_in_a_second() -> usize {
        let mut subscription = Subscription::new();
        let (mut read, mut at) = (0, 0);
        while at < 1000 {
            let next = 100 + at;
            let seq = match subscription.ask() {
                SegmentRequest::Live => next - 1,
                SegmentRequest::Segment(Seq(seq)) => seq,
            };
            let is_kept = (next - SEGMENTS_KEPT..=next).contains(&seq);
            let (status, seq) = if is_kept { (200, Some(Seq(seq))) } else { (470, None) };
            let answer = TrickleAnswer { status, seq, latest: Some(Seq(next)), closed: false };
            at += 6;
            match subscription.on_answer(&answer, 0.5) {
                Read(_) => {
                    read += 1;
                    let _ = subscription.on_complete(1);
                }
                RetryAfter(pause) => at += u64::try_from(pause.as_millis()).unwrap(),
                Next | Jump(_) | End(_) => {}
            }
        }
        read
    }

    #[test]
    fn a_segment_every_millisecond_does_not_stall_the_subscription() {
        let read = read_in_a_second();
        assert!(read >= 50, "{read}");
    }

    #[test]
    fn five_failures_in_a_row_end_the_subscription() {
        check_at_four(
            &[B(LATER), B(LATER), B(LATER), B(LATER), B(End(EndReason::Unreachable(5)))],
            seg(4),
        );
        let refused = A(500, None, None, End(EndReason::Refused(500)));
        check_at_four(&[B(LATER), B(LATER), B(LATER), B(LATER), refused], seg(4));
        check(&[A(200, None, None, LATER)], SegmentRequest::Live);
    }

    #[test]
    fn only_a_complete_segment_resets_the_count() {
        let torn = |seq| [A(200, Some(seq), None, Read(Seq(seq))), B(LATER)];
        let story = [torn(4), torn(5), torn(6), torn(7)].concat();
        check_at_four(&story, seg(8));
        let last = [A(200, Some(8), None, Read(Seq(8))), B(End(EndReason::Unreachable(5)))];
        check_at_four(&[&story[..], &last].concat(), seg(9));
        let good = [A(200, Some(8), None, Read(Seq(8))), C(1, Next), B(LATER)];
        check_at_four(&[&story[..], &good].concat(), seg(9));
    }
}
