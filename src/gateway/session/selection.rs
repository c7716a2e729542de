//! Chooses among candidate orchestrators: which to ask for offers, which to try, and why none is left.
//!
//! ```text
//!  candidates ──Ask (5 at a time)──▶ asked ──on_offer──▶ good ──Try, the best first──▶ job
//!      │                               │ on_no_answer,     │ unfit, too       │ on_failed
//!      │ barred                        │ too late          │ expensive        │
//!      └────────────▶ rejected ◀───────┴───────────────────┴──────────────────┘
//! ```
//!
//! The next five are asked when none of the last five is left to try. [`CandidateOrder`] decides which offer is best.
//! If an outstanding answer may be better than the best offer, the selection waits for it, `OFFER_TIME` at most.
//!
//! A suspended candidate is asked like all others, and tried when no other is left: a suspension never leaves a
//! device without a job while a candidate could run it.
//!
//! Does not: contact candidates; the owner does, and reports the results here.

mod offer;
mod order;
mod reason;
mod suspension;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use offer::{Offer, OfferRules, PaymentPolicy};
pub use order::CandidateOrder;
use order::CandidateRank;
pub use reason::{NoCandidateLeft, Rejection, RejectionReason};
pub(crate) use suspension::Suspensions;

use crate::http::Url;
use crate::limits::{CANDIDATES, CANDIDATES_AT_ONCE};
use resilience::fault::{Failure, Scope};
use resilience::sanitize::MESSAGE_CHARS;

/// The longest wait for the candidates that were asked together. Connecting and answering have their own, shorter
/// limits.
pub(crate) const ASK_TIME: Duration = Duration::from_secs(20);
/// How long to wait for a better offer after the first good one. Connecting to another continent takes four round trips
/// of 0.2 s.
pub(crate) const OFFER_TIME: Duration = Duration::from_secs(1);

/// A candidate that fits, with its offer.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<T> {
    /// The candidate's URL.
    pub(crate) url: Url,
    /// The candidate's offer.
    pub(crate) offer: Offer,
    /// The time that the candidate took to answer.
    pub(crate) answer_time: Duration,
    /// The caller's data of the offer, for example the open session.
    pub(crate) answer: T,
    place: CandidateRank,
}

/// What the owner of a `Selection` must do next.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum SelectionStep<T> {
    /// Ask these for their offers, all at once.
    Ask(Vec<Url>),
    /// Call `step` again when a candidate has answered, at this time at the latest.
    Wait(Instant),
    /// Start the job on this candidate; on failure call `on_failed`, then `step`.
    Try(Candidate<T>),
    /// No candidate is left.
    None(NoCandidateLeft),
}

/// One selection, from the candidates to a running job.
#[derive(Debug)]
pub(crate) struct Selection<T> {
    rules: OfferRules,
    order: CandidateOrder,
    waiting: VecDeque<(Url, CandidateRank)>,
    asked: Vec<(Url, CandidateRank)>,
    /// The deadline of the candidates in `asked`.
    asked_until: Option<Instant>,
    /// When the first good offer of the candidates in `asked` came.
    first_good: Option<Instant>,
    /// Good offers, the best one last.
    good: Vec<Candidate<T>>,
    rejected: Vec<Rejection>,
    beyond: usize,
}

impl<T> Selection<T> {
    /// Creates a selection among `candidates`, asked in this order, suspended ones last. Duplicates are ignored.
    pub(crate) fn new(
        rules: OfferRules,
        order: CandidateOrder,
        candidates: impl IntoIterator<Item = Url>,
        suspensions: &Suspensions,
        now: Instant,
    ) -> Self {
        let (mut all, mut rejected, mut beyond) = (Vec::new(), Vec::new(), 0);
        for url in candidates {
            let is_known = all.iter().any(|(known, _)| *known == url)
                || rejected.iter().any(|known: &Rejection| known.candidate == url);
            if is_known {
                continue;
            }
            if all.len() + rejected.len() == CANDIDATES {
                beyond += 1;
                continue;
            }
            match suspensions.barred(url.authority(), now) {
                Some(left) => {
                    rejected
                        .push(Rejection { candidate: url, reason: RejectionReason::Barred(left) });
                }
                None => {
                    let suspended = suspensions.suspended(url.authority(), now);
                    let nth = all.len();
                    all.push((url, CandidateRank { suspended, nth }));
                }
            }
        }
        all.sort_by_key(|(_, place)| *place);
        Self {
            rules,
            order,
            waiting: all.into(),
            asked: Vec::new(),
            asked_until: None,
            first_good: None,
            good: Vec::new(),
            rejected,
            beyond,
        }
    }

    /// Returns what to do next.
    pub(crate) fn step(&mut self, now: Instant) -> SelectionStep<T> {
        match self.waits_until() {
            Some(until) if now < until => return SelectionStep::Wait(until),
            // Try the best offer now. Offers that come later become spares.
            Some(_) if self.has_good() => {}
            Some(_) => self.on_deadline(),
            None => {}
        }
        let others_wait = self.waiting.front().is_some_and(|(_, place)| place.suspended.is_none());
        match self.good.pop() {
            Some(best) if others_wait && best.place.suspended.is_some() => self.good.push(best),
            Some(best) => return SelectionStep::Try(best),
            None if self.waiting.is_empty() => return SelectionStep::None(self.none_left()),
            None => {}
        }
        self.on_deadline();
        let count = self.waiting.len().min(CANDIDATES_AT_ONCE);
        self.asked = self.waiting.drain(..count).collect();
        self.asked_until = Some(now + ASK_TIME);
        self.first_good = self.has_good().then_some(now);
        SelectionStep::Ask(self.asked.iter().map(|(url, _)| url.clone()).collect())
    }

    /// The time until which to wait for answers, if any are outstanding.
    fn waits_until(&self) -> Option<Instant> {
        if self.asked.is_empty() {
            return None;
        }
        let best = self.good.last().zip(self.first_good);
        let offer_until = best.map(|(best, first_good)| {
            let is_settled =
                self.asked.iter().all(|(_, place)| best.place.precedes(*place, self.order));
            if is_settled { first_good } else { first_good + OFFER_TIME }
        });
        [self.asked_until, offer_until].into_iter().flatten().min()
    }

    /// Call this when a candidate that was asked made this offer. Returns the reason if the offer is rejected.
    pub(crate) fn on_offer(
        &mut self,
        url: &Url,
        offer: Offer,
        answer_time: Duration,
        answer: T,
        now: Instant,
    ) -> Option<RejectionReason> {
        let (url, place) = self.answered(url)?;
        if let Some(reason) = self.rules.against(&offer) {
            self.rejected.push(Rejection { candidate: url, reason: reason.clone() });
            return Some(reason);
        }
        self.first_good.get_or_insert(now);
        self.good.push(Candidate { url, offer, answer_time, answer, place });
        let order = self.order;
        self.good.sort_by(|a, b| order.compare(b, a));
        None
    }

    /// Call this when a candidate that was asked gave no usable answer.
    pub(crate) fn on_no_answer(&mut self, url: &Url, failure: Failure) {
        if let Some((candidate, _)) = self.answered(url) {
            self.stop_for_everyone(&failure);
            let reason = RejectionReason::NoAnswer(cut(failure));
            self.rejected.push(Rejection { candidate, reason });
        }
    }

    /// Rejects the candidates that were asked and have not answered.
    pub(crate) fn on_deadline(&mut self) {
        let silent = |(candidate, _)| Rejection { candidate, reason: RejectionReason::Silent };
        self.rejected.extend(self.asked.drain(..).map(silent));
    }

    /// Call this when the job did not start on the candidate of the last `Try`.
    pub(crate) fn on_failed(&mut self, url: &Url, failure: Failure) {
        if self.stop_for_everyone(&failure) {
            self.asked.clear();
            self.good.clear();
        }
        let reason = RejectionReason::NotStarted(cut(failure));
        self.rejected.push(Rejection { candidate: url.clone(), reason });
    }

    /// Takes back the candidate of the last `Try`, which was not tried: the next `step` returns it again.
    pub(crate) fn put_back(&mut self, candidate: Candidate<T>) {
        self.good.push(candidate);
    }

    /// Takes the best offer of a candidate that is not suspended, as a replacement for a lost job.
    pub(crate) fn spare(&mut self) -> Option<Candidate<T>> {
        let is_spare = self.good.last().is_some_and(|best| best.place.suspended.is_none());
        self.good.pop().filter(|_| is_spare)
    }

    /// Ends the selection without trying `next` or others, because failed starts have cost too much.
    pub(crate) fn on_paid_ahead(&mut self, next: Candidate<T>) -> NoCandidateLeft {
        self.good.push(next);
        let good = self.good.drain(..).rev();
        let reason = RejectionReason::PaidAhead;
        let not_tried =
            good.map(|candidate| Rejection { candidate: candidate.url, reason: reason.clone() });
        self.rejected.extend(not_tried);
        self.none_left()
    }

    /// The time that the first payment for this offer covers.
    pub(crate) fn prepaid(&self, offer: &Offer) -> Duration {
        self.rules.prepaid(offer)
    }

    /// Whether answers are outstanding.
    pub(crate) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether a good offer is left.
    pub(crate) fn has_good(&self) -> bool {
        !self.good.is_empty()
    }

    fn none_left(&self) -> NoCandidateLeft {
        let beyond = self.beyond + self.waiting.len() + self.asked.len();
        NoCandidateLeft { rejected: self.rejected.clone(), beyond }
    }

    /// Stops asking if the failure would be the same with every candidate. Returns whether it would.
    fn stop_for_everyone(&mut self, failure: &Failure) -> bool {
        let is_for_everyone = failure.scope == Scope::Everyone;
        if is_for_everyone {
            self.beyond += self.waiting.len();
            self.waiting.clear();
        }
        is_for_everyone
    }

    fn answered(&mut self, url: &Url) -> Option<(Url, CandidateRank)> {
        let at = self.asked.iter().position(|(asked, _)| asked == url)?;
        Some(self.asked.swap_remove(at))
    }
}

fn cut(failure: Failure) -> Failure {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    Failure { text: failure.text.chars().map(shown).take(MESSAGE_CHARS).collect(), ..failure }
}
