//! Decides how a publication continues after each answer or broken connection: the next seq, which segments are lost,
//! and when the publication ends.
//!
//! From its first byte on, a seq belongs to one upload. It is never reused, because the server appends a second body to
//! the first. A pre-connected POST that sent no byte has not used its seq, so the seq is used again and the numbering
//! has no gaps.
//!
//! | event | idle | a segment waits | body open | body ended |
//! |---|---|---|---|---|
//! | any answer with `Lp-Trickle-Closed`, 404 | end | end | end | end |
//! | 200 | skip the seq | skip the seq | lost: reset | complete |
//! | other status | the same seq after a pause | the same seq after a pause, 5 tries | lost: reset | lost: close it |
//! | connection refused | the same seq after a pause | the same seq after a pause, 3 tries | | |
//! | broken | the same seq after a pause | the same seq after a pause, until the publisher's time limit | lost: reset | lost: close it |
//!
//! 3 lost or skipped seqs in a row end the publication. A message that is sent again counts neither as a loss nor as an
//! attempt, because the publisher limits its time. No segment begins while [`SEGMENTS_IN_FLIGHT`] are unanswered.
//! Refused connections have a lower limit than broken ones: a lost link may return, but a server that was restarted has
//! lost its channels.
//!
//! Does not: wait, send, or look at the clock.

use std::time::Duration;

use heapless::Vec;

use crate::limits::SEGMENTS_IN_FLIGHT;
use crate::segment::Seq;
use crate::trickle::{LOST_IN_A_ROW, TRIES, TrickleAnswer, retry_pause};

/// The limit of refused connections in a row; with the pauses between them, about 1 s.
const REFUSALS: u32 = 3;

/// How far the upload of a segment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadProgress {
    /// No byte of the body was sent, and no segment waits for it: a failure loses nothing.
    Idle,
    /// No byte of the body was sent, but a segment waits for this POST.
    Unsent,
    /// Between the first byte and the end of the body.
    Open,
    /// The body is complete; the answer is awaited.
    Ended,
}

/// One POST at the time of its answer or failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostAttempt {
    /// The seq of the POST.
    pub seq: Seq,
    /// How far the upload has come.
    pub progress: UploadProgress,
    /// Whether the POST carries a message that is sent again when it is lost.
    pub is_repeated: bool,
}

/// What the publisher must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PublicationDecision {
    /// Continue.
    Proceed,
    /// The open segment is lost: continue at the next unused seq, with a key frame and `Lp-Trickle-Reset: 1`.
    Reset,
    /// Whether this finished segment arrived is unknown: DELETE it, so that readers do not wait for it.
    Close(Seq),
    /// The POST failed before its first byte: pre-connect again after this pause.
    RetryAfter(Duration),
    /// End the publication.
    End(EndReason),
}

/// Why a publication or subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The channel was closed.
    Closed,
    /// The channel does not exist.
    Missing,
    /// This many segments in a row were lost.
    Lost(u32),
    /// The maximum number of segments is in flight, and the oldest one is unanswered for too long.
    TooSlow,
    /// Nothing was delivered for this long.
    Stalled(Duration),
    /// The peer answered with this status several times in a row.
    Refused(u16),
    /// The peer's answer has no seq.
    NoSeq,
    /// This many attempts in a row got no connection or no answer.
    Unreachable(u32),
}

/// The state of one publication.
#[derive(Debug)]
pub struct Publication {
    /// The next unused seq.
    next: Seq,
    /// Whether the next POST carries `Lp-Trickle-Reset`.
    reset: bool,
    in_flight: Vec<Seq, SEGMENTS_IN_FLIGHT>,
    lost_in_a_row: u32,
    tries: u32,
    refused: u32,
}

impl Publication {
    /// A publication whose first seq is `latest`, the answer to `GET {channel}/next`. Its first POST carries
    /// `Lp-Trickle-Reset`, so that readers do not wait for a segment that an earlier publisher left open.
    pub fn resolved(latest: Seq) -> Self {
        Self {
            next: latest,
            reset: true,
            in_flight: Vec::new(),
            lost_in_a_row: 0,
            tries: 0,
            refused: 0,
        }
    }

    /// The seq to pre-connect, and whether its POST carries `Lp-Trickle-Reset: 1`.
    pub fn upcoming(&self) -> (Seq, bool) {
        (self.next, self.reset)
    }

    /// The number of segments that have begun and are unanswered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the maximum number of segments is in flight.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.is_full()
    }

    /// Takes the upcoming seq for a segment that begins now.
    pub fn take_seq(&mut self) -> Result<Seq, EndReason> {
        let seq = self.next;
        self.in_flight.push(seq).map_err(|_| EndReason::TooSlow)?;
        self.next = seq.next();
        self.reset = false;
        Ok(seq)
    }

    /// Call for each final answer. `jitter` from 0 to 1 spreads the next try.
    pub fn on_answer(
        &mut self,
        attempt: PostAttempt,
        answer: &TrickleAnswer,
        jitter: f64,
    ) -> PublicationDecision {
        let PostAttempt { seq, progress, .. } = attempt;
        self.in_flight.retain(|s| *s != seq);
        if answer.closed {
            return PublicationDecision::End(EndReason::Closed);
        }
        match (answer.status, progress) {
            (404, _) => PublicationDecision::End(EndReason::Missing),
            (200, UploadProgress::Ended) => {
                self.lost_in_a_row = 0;
                (self.tries, self.refused) = (0, 0);
                PublicationDecision::Proceed
            }
            (200, UploadProgress::Idle | UploadProgress::Unsent) => {
                // Another writer wrote or closed this seq.
                if seq == self.next {
                    self.next = seq.next();
                }
                self.lose(attempt, PublicationDecision::Proceed)
            }
            (_, UploadProgress::Idle) => self.again(seq, jitter),
            (_, UploadProgress::Unsent) if attempt.is_repeated => self.again(seq, jitter),
            (status, UploadProgress::Unsent) => {
                self.tries += 1;
                if self.tries >= TRIES {
                    return PublicationDecision::End(EndReason::Refused(status));
                }
                self.again(seq, jitter)
            }
            (_, UploadProgress::Open) => self.lose_open(attempt),
            (_, UploadProgress::Ended) => self.lose(attempt, PublicationDecision::Close(seq)),
        }
    }

    /// Call when the connection broke, was refused (`is_refused`), or passed a time limit. `jitter` as in
    /// [`Publication::on_answer`].
    pub fn on_broken(
        &mut self,
        attempt: PostAttempt,
        is_refused: bool,
        jitter: f64,
    ) -> PublicationDecision {
        let PostAttempt { seq, progress, .. } = attempt;
        self.in_flight.retain(|s| *s != seq);
        match progress {
            UploadProgress::Unsent if is_refused => {
                self.refused += 1;
                if self.refused >= REFUSALS {
                    return PublicationDecision::End(EndReason::Unreachable(REFUSALS));
                }
                self.again(seq, jitter)
            }
            UploadProgress::Idle | UploadProgress::Unsent => self.again(seq, jitter),
            UploadProgress::Open => self.lose_open(attempt),
            UploadProgress::Ended => self.lose(attempt, PublicationDecision::Close(seq)),
        }
    }

    fn lose_open(&mut self, attempt: PostAttempt) -> PublicationDecision {
        self.reset = true;
        self.lose(attempt, PublicationDecision::Reset)
    }

    fn lose(&mut self, attempt: PostAttempt, then: PublicationDecision) -> PublicationDecision {
        self.lost_in_a_row += u32::from(!attempt.is_repeated);
        if self.lost_in_a_row < LOST_IN_A_ROW {
            then
        } else {
            PublicationDecision::End(EndReason::Lost(LOST_IN_A_ROW))
        }
    }

    fn again(&mut self, seq: Seq, jitter: f64) -> PublicationDecision {
        if seq.next() == self.next {
            // The seq was reserved but nothing was sent, so reuse it.
            self.next = seq;
            self.reset = true;
        }
        PublicationDecision::RetryAfter(retry_pause(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use PublicationDecision::{Close, End, Proceed, Reset, RetryAfter};
    use UploadProgress::{Ended, Idle, Open, Unsent};

    const MIDDLE: PublicationDecision = RetryAfter(Duration::from_millis(400));

    /// An event of a publication that began at seq 7, with the decision expected.
    #[derive(Debug, Clone, Copy)]
    enum TestEvent {
        Take,
        TakeTooMany,
        Answer(u64, u16, UploadProgress, PublicationDecision),
        Closed(u64, UploadProgress, PublicationDecision),
        Broken(u64, UploadProgress, PublicationDecision),
        Refused(u64, UploadProgress, PublicationDecision),
        /// A message that is sent again broke; another one was answered.
        MessageBroken(u64, UploadProgress, PublicationDecision),
        MessageAnswer(u64, u16, UploadProgress, PublicationDecision),
    }
    use TestEvent::{
        Answer as A, Broken as B, Closed as C, MessageAnswer, MessageBroken, Refused as R,
        Take as T, TakeTooMany,
    };

    fn at(seq: u64, progress: UploadProgress, is_repeated: bool) -> PostAttempt {
        PostAttempt { seq: Seq(seq), progress, is_repeated }
    }

    #[track_caller]
    fn check(story: &[TestEvent], upcoming: (u64, bool), in_flight: usize) {
        let mut publication = Publication::resolved(Seq(7));
        for told in story {
            let answer = |status, closed| TrickleAnswer { status, seq: None, latest: None, closed };
            let (got, expected) = match *told {
                T => {
                    let seq = publication.upcoming().0;
                    assert_eq!(publication.take_seq(), Ok(seq));
                    continue;
                }
                TakeTooMany => {
                    assert!(publication.is_full());
                    assert_eq!(publication.take_seq(), Err(EndReason::TooSlow));
                    continue;
                }
                A(seq, status, progress, expected) => {
                    let answer = answer(status, false);
                    (publication.on_answer(at(seq, progress, false), &answer, 0.5), expected)
                }
                MessageAnswer(seq, status, progress, expected) => {
                    let answer = answer(status, false);
                    (publication.on_answer(at(seq, progress, true), &answer, 0.5), expected)
                }
                C(seq, progress, expected) => {
                    let answer = answer(200, true);
                    (publication.on_answer(at(seq, progress, false), &answer, 0.5), expected)
                }
                B(seq, progress, expected) => {
                    (publication.on_broken(at(seq, progress, false), false, 0.5), expected)
                }
                MessageBroken(seq, progress, expected) => {
                    (publication.on_broken(at(seq, progress, true), false, 0.5), expected)
                }
                R(seq, progress, expected) => {
                    (publication.on_broken(at(seq, progress, false), true, 0.5), expected)
                }
            };
            assert_eq!(got, expected, "{told:?} in {story:?}");
        }
        assert_eq!(publication.upcoming(), (Seq(upcoming.0), upcoming.1), "{story:?}");
        assert_eq!(publication.in_flight(), in_flight, "{story:?}");
    }

    #[test]
    fn only_the_first_post_resets() {
        check(&[], (7, true), 0);
        check(&[T], (8, false), 1);
        check(&[T, A(7, 200, Ended, Proceed), T], (9, false), 1);
    }

    #[test]
    fn an_early_answer_ends_the_channel_or_the_segment() {
        check(&[T, C(8, Unsent, End(EndReason::Closed))], (8, false), 1);
        check(&[T, C(7, Open, End(EndReason::Closed))], (8, false), 0);
        check(&[T, C(7, Ended, End(EndReason::Closed))], (8, false), 0);
        check(&[T, A(7, 404, Open, End(EndReason::Missing))], (8, false), 0);
        check(&[A(7, 404, Unsent, End(EndReason::Missing))], (7, true), 0);
        check(&[T, A(7, 200, Open, Reset)], (8, true), 0);
        check(&[T, A(7, 500, Open, Reset)], (8, true), 0);
        check(&[T, A(7, 500, Ended, Close(Seq(7)))], (8, false), 0);
    }

    #[test]
    fn a_broken_upload_never_uses_its_seq_again() {
        check(&[T, B(7, Open, Reset)], (8, true), 0);
        check(&[T, T, B(7, Ended, Close(Seq(7)))], (9, false), 1);
        check(&[T, B(7, Open, Reset), B(8, Unsent, MIDDLE), T], (9, false), 1);
    }

    #[test]
    fn a_seq_without_a_byte_is_asked_for_again() {
        check(&[B(7, Unsent, MIDDLE), B(7, Unsent, MIDDLE)], (7, true), 0);
        check(&[T, B(8, Unsent, MIDDLE)], (8, false), 1);
        check(&[T, B(7, Unsent, MIDDLE)], (7, true), 0);
        check(&[T, T, B(7, Unsent, MIDDLE)], (9, false), 1);
    }

    #[test]
    fn a_used_seq_is_skipped_without_losing_the_open_segment() {
        check(&[T, A(8, 200, Unsent, Proceed), A(7, 200, Ended, Proceed)], (9, false), 0);
        check(
            &[
                A(7, 200, Unsent, Proceed),
                A(8, 200, Unsent, Proceed),
                A(9, 200, Unsent, End(EndReason::Lost(3))),
            ],
            (10, true),
            0,
        );
    }

    #[test]
    fn refused_connections_end_the_publication_sooner_than_broken_ones() {
        let gone = R(7, Unsent, End(EndReason::Unreachable(3)));
        let gone = [R(7, Unsent, MIDDLE), R(7, Unsent, MIDDLE), gone];
        check(&gone, (7, true), 0);
        check(&[B(7, Unsent, MIDDLE); 100], (7, true), 0);
        let tried = [A(7, 503, Unsent, MIDDLE); 4];
        check(
            &[&tried[..], &[A(7, 503, Unsent, End(EndReason::Refused(503)))]].concat(),
            (7, true),
            0,
        );
        let recovered = [T, A(7, 200, Ended, Proceed), B(8, Unsent, MIDDLE)];
        check(&[&tried[..], &recovered].concat(), (8, false), 0);
    }

    #[test]
    fn failures_do_not_count_while_no_segment_waits() {
        check(&[R(7, Idle, MIDDLE); 100], (7, true), 0);
        check(&[A(7, 503, Idle, MIDDLE); 100], (7, true), 0);
        check(&[B(7, Idle, MIDDLE); 100], (7, true), 0);
        check(&[T, A(8, 503, Idle, MIDDLE), R(8, Idle, MIDDLE)], (8, false), 1);
        check(&[A(7, 404, Idle, End(EndReason::Missing))], (7, true), 0);
        check(&[A(7, 200, Idle, Proceed)], (8, true), 0);
    }

    #[test]
    fn a_message_that_is_sent_again_may_be_lost_more_often_but_never_under_the_same_seq() {
        let mut story = Vec::<TestEvent, 64>::new();
        for seq in 7..17 {
            let lost = MessageAnswer(seq, 500, Ended, Close(Seq(seq)));
            story.extend_from_slice(&[T, lost]).unwrap();
        }
        check(&story, (17, false), 0);
        check(&[T, MessageBroken(7, Open, Reset), T, MessageBroken(8, Open, Reset)], (9, true), 0);
        check(&[T, MessageBroken(7, Unsent, MIDDLE), T], (8, false), 1);
        check(&[MessageAnswer(7, 503, Unsent, MIDDLE); 100], (7, true), 0);
        check(&[T, MessageAnswer(7, 404, Ended, End(EndReason::Missing))], (8, false), 0);
    }

    #[test]
    fn three_lost_in_a_row_end_it_and_a_complete_one_resets_the_count() {
        let two = [T, B(7, Open, Reset), T, A(8, 200, Open, Reset)];
        check(&[&two[..], &[T, A(9, 500, Open, End(EndReason::Lost(3)))]].concat(), (10, true), 0);
        check(&[&two[..], &[T, B(9, Ended, End(EndReason::Lost(3)))]].concat(), (10, false), 0);
        let good = [T, A(9, 200, Ended, Proceed), T, B(10, Open, Reset)];
        check(&[&two[..], &good].concat(), (11, true), 0);
    }

    #[test]
    fn a_fourth_segment_in_flight_does_not_begin() {
        check(&[T, T, T, TakeTooMany], (10, false), 3);
        check(&[T, T, T, A(7, 200, Ended, Proceed), T], (11, false), 3);
    }

    #[test]
    fn pauses_lie_between_300_and_500_ms() {
        for (jitter, ms) in [(0.0, 300), (1.0, 500), (-3.0, 300), (7.0, 500)] {
            let mut publication = Publication::resolved(Seq(0));
            let decision = publication.on_broken(at(0, Unsent, false), false, jitter);
            assert_eq!(decision, RetryAfter(Duration::from_millis(ms)));
        }
    }

    #[test]
    fn the_last_seq_of_all_does_not_wrap() {
        let mut publication = Publication::resolved(Seq(u64::MAX));
        assert_eq!(publication.take_seq(), Ok(Seq(u64::MAX)));
        assert_eq!(publication.upcoming().0, Seq(u64::MAX));
    }
}
