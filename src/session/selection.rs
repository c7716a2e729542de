//! Chooses among candidate orchestrators: whom to ask, whom to try, and why nobody is left.
//!
//! ```text
//!  candidates ──Ask (5 at a time)──▶ asked ──on_offer──▶ good ──Try, the best first──▶ job
//!      │                               │ on_no_answer,     │ unfit, too       │ on_failed
//!      │ suspended                     │ on_deadline       │ expensive        │
//!      └────────────▶ rejected ◀───────┴───────────────────┴──────────────────┘
//! ```
//!
//! The next five are asked when none of the last five is left to try. The order among good ones: the model
//! warm, then capacity known to be free, then the price, then the answer time. One that says nothing about
//! models comes last. A suspension counts unless all candidates are suspended: a bad one is better than none.
//!
//! Does not: ask or try anyone; its owner does, and says here how it went.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::capacity::{CANDIDATES, CANDIDATES_AT_ONCE, MESSAGE_CHARS};
use crate::fault::Failure;
use crate::http::{Authority, Url};
use crate::orchestrator::proto::OrchestratorInfo;
use crate::orchestrator::{Capability, Fit};
use crate::price::{MaxPrice, Price, PriceError};

/// What a candidate must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rules {
    /// The most that it may cost.
    pub max_price: Option<MaxPrice>,
    /// It must name a price, because a signer pays no one who does not.
    pub needs_price: bool,
}

/// What a candidate offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Whether it has what the job needs.
    pub fit: Fit,
    /// What it costs; `None` where it names no price.
    pub price: Result<Option<Price>, PriceError>,
}

impl Offer {
    /// What the orchestrator with this info offers for `capability`. The price is the one that a signer
    /// pays: that of the info itself, which the orchestrator makes for the capabilities it was asked for.
    pub fn of_info(info: &OrchestratorInfo, capability: &Capability) -> Self {
        let price = info.price_info.as_ref();
        let price = price.map(|p| Price::per_pixels(p.price_per_unit, p.pixels_per_unit));
        Self { fit: capability.fit(info.capabilities.as_ref()), price: price.transpose() }
    }
}

/// Why a candidate is out.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It was left for trouble, and has to wait this long.
    Suspended(Duration),
    /// It gave no usable answer.
    NoAnswer(Failure),
    /// It gave none in time.
    Silent,
    /// It lacks the pipeline.
    NoPipeline,
    /// It lacks the model.
    NoModel,
    /// All its capacity is in use.
    Full,
    /// It names no price, and nothing can be paid without.
    NoPrice,
    /// Its price makes no sense.
    BadPrice(PriceError),
    /// It costs more than the maximum.
    TooExpensive(Price, MaxPrice),
    /// Its price has another unit than the maximum, so they cannot be compared.
    OtherUnit(Price, MaxPrice),
    /// The job did not start there.
    NotStarted(Failure),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended(left) => write!(f, "suspended for {} s more", left.as_secs()),
            Self::NoAnswer(failure) | Self::NotStarted(failure) => failure.fmt(f),
            Self::Silent => f.write_str("no answer in time"),
            Self::NoPipeline => f.write_str("does not have the pipeline"),
            Self::NoModel => f.write_str("does not have the model"),
            Self::Full => f.write_str("has no capacity left"),
            Self::NoPrice => f.write_str("names no price, so the signer cannot pay it"),
            Self::BadPrice(error) => error.fmt(f),
            Self::TooExpensive(price, max) => write!(f, "costs {price}, over max-price {max}"),
            Self::OtherUnit(price, max) => {
                write!(f, "costs {price}, which cannot be compared with max-price {max}")
            }
        }
    }
}

/// A candidate that is out.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// Which one.
    pub candidate: Url,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Rejection {
    /// The reason, behind the candidate unless it names it itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (candidate, reason) = (self.candidate.authority().to_string(), self.reason.to_string());
        if reason.contains(&candidate) {
            f.write_str(&reason)
        } else {
            write!(f, "{candidate}: {reason}")
        }
    }
}

/// No candidate is left.
#[derive(Debug, Clone, PartialEq)]
pub struct NoneLeft {
    /// Every candidate, with its reason.
    pub rejected: Vec<Rejection>,
    /// Candidates beyond the bound, which were not looked at.
    pub beyond: usize,
}

impl fmt::Display for NoneLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rejected.is_empty() {
            return f.write_str("no orchestrator is known; name one, or a discovery endpoint");
        }
        if let ([only], 0) = (self.rejected.as_slice(), self.beyond) {
            return only.fmt(f);
        }
        write!(f, "none of {} orchestrators can take the job", self.rejected.len())?;
        for (at, rejection) in self.rejected.iter().enumerate() {
            write!(f, "{} {rejection}", if at == 0 { ":" } else { ";" })?;
        }
        match self.beyond {
            0 => Ok(()),
            beyond => write!(f, "; {beyond} more were not looked at"),
        }
    }
}

impl std::error::Error for NoneLeft {}

/// Orchestrators that were left for trouble.
#[derive(Debug, Default)]
pub struct Suspensions(Vec<(Authority, Instant)>);

impl Suspensions {
    /// Keeps away from `peer` until then. The one that ends first makes room where there is none.
    pub fn suspend(&mut self, peer: Authority, until: Instant) {
        self.0.retain(|(known, _)| *known != peer);
        self.0.push((peer, until));
        self.0.sort_by_key(|(_, until)| std::cmp::Reverse(*until));
        self.0.truncate(CANDIDATES);
    }

    /// The time that `peer` still has to wait.
    pub fn left(&self, peer: &Authority, now: Instant) -> Option<Duration> {
        let (_, until) = self.0.iter().find(|(known, _)| known == peer)?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

/// A candidate that fits, with what it answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<T> {
    /// Which one.
    pub url: Url,
    /// What it offers.
    pub offer: Offer,
    /// How long it took to answer.
    pub answer_time: Duration,
    /// What came with the offer: the open session, for example.
    pub answer: T,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Step<T> {
    /// Ask these for what they offer, all at once.
    Ask(Vec<Url>),
    /// Some have not answered yet.
    Wait,
    /// Start the job there; on failure say so and go on.
    Try(Candidate<T>),
    /// There is nobody.
    None(NoneLeft),
}

/// One selection, from candidates to a job that runs.
#[derive(Debug)]
pub struct Rounds<T> {
    rules: Rules,
    waiting: VecDeque<Url>,
    asked: Vec<Url>,
    /// The best one last.
    good: Vec<Candidate<T>>,
    rejected: Vec<Rejection>,
    beyond: usize,
}

impl<T> Rounds<T> {
    /// A selection among `candidates`, asked in this order. One that comes twice counts once.
    pub fn new(
        rules: Rules,
        candidates: impl IntoIterator<Item = Url>,
        suspensions: &Suspensions,
        now: Instant,
    ) -> Self {
        let mut all: Vec<Url> = Vec::new();
        let mut beyond = 0;
        for url in candidates {
            if all.contains(&url) {
                continue;
            }
            if all.len() < CANDIDATES { all.push(url) } else { beyond += 1 }
        }
        let left = |url: &Url| suspensions.left(url.authority(), now);
        let all_suspended = all.iter().all(|url| left(url).is_some());
        let (mut waiting, mut rejected) = (VecDeque::new(), Vec::new());
        for candidate in all {
            match left(&candidate).filter(|_| !all_suspended) {
                Some(time) => {
                    rejected.push(Rejection { candidate, reason: Reason::Suspended(time) });
                }
                None => waiting.push_back(candidate),
            }
        }
        Self { rules, waiting, asked: Vec::new(), good: Vec::new(), rejected, beyond }
    }

    /// What is to be done next.
    pub fn step(&mut self) -> Step<T> {
        if !self.asked.is_empty() {
            return Step::Wait;
        }
        if let Some(best) = self.good.pop() {
            return Step::Try(best);
        }
        if self.waiting.is_empty() {
            return Step::None(NoneLeft { rejected: self.rejected.clone(), beyond: self.beyond });
        }
        let count = self.waiting.len().min(CANDIDATES_AT_ONCE);
        self.asked = self.waiting.drain(..count).collect();
        Step::Ask(self.asked.clone())
    }

    /// One that was asked offers this. The reason if it is out.
    pub fn on_offer(
        &mut self,
        url: &Url,
        offer: Offer,
        answer_time: Duration,
        answer: T,
    ) -> Option<Reason> {
        let url = self.answered(url)?;
        if let Some(reason) = self.rules.against(&offer) {
            self.rejected.push(Rejection { candidate: url, reason: reason.clone() });
            return Some(reason);
        }
        self.good.push(Candidate { url, offer, answer_time, answer });
        self.good.sort_by(|a, b| b.better_first(a));
        None
    }

    /// One that was asked gave no usable answer.
    pub fn on_no_answer(&mut self, url: &Url, failure: Failure) {
        if let Some(candidate) = self.answered(url) {
            let reason = Reason::NoAnswer(cut(failure));
            self.rejected.push(Rejection { candidate, reason });
        }
    }

    /// Those that have not answered yet are not waited for.
    pub fn on_deadline(&mut self) {
        let silent = |candidate| Rejection { candidate, reason: Reason::Silent };
        self.rejected.extend(self.asked.drain(..).map(silent));
    }

    /// The job did not start at one that was to be tried.
    pub fn on_failed(&mut self, url: &Url, failure: Failure) {
        let reason = Reason::NotStarted(cut(failure));
        self.rejected.push(Rejection { candidate: url.clone(), reason });
    }

    /// Whether some were asked and have not answered yet.
    pub fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether one that fits is left.
    pub fn has_good(&self) -> bool {
        !self.good.is_empty()
    }

    /// Those that are out so far.
    pub fn rejected(&self) -> &[Rejection] {
        &self.rejected
    }

    fn answered(&mut self, url: &Url) -> Option<Url> {
        let at = self.asked.iter().position(|asked| asked == url)?;
        Some(self.asked.swap_remove(at))
    }
}

impl Rules {
    /// What speaks against an offer.
    pub fn against(&self, offer: &Offer) -> Option<Reason> {
        match offer.fit {
            Fit::NoPipeline => return Some(Reason::NoPipeline),
            Fit::NoModel => return Some(Reason::NoModel),
            Fit::Full => return Some(Reason::Full),
            Fit::Has { .. } | Fit::Unsaid => {}
        }
        let price = match &offer.price {
            Err(error) => return Some(Reason::BadPrice(error.clone())),
            Ok(None) => return self.needs_price.then_some(Reason::NoPrice),
            Ok(Some(price)) => *price,
        };
        let max = self.max_price?;
        match max.allows(&price) {
            Some(true) => None,
            Some(false) => Some(Reason::TooExpensive(price, max)),
            None => Some(Reason::OtherUnit(price, max)),
        }
    }
}

impl<T> Candidate<T> {
    fn better_first(&self, other: &Self) -> Ordering {
        let rank = |offer: &Offer| match offer.fit {
            Fit::Has { warm: true, free: Some(_) } => 0,
            Fit::Has { warm: true, free: None } => 1,
            Fit::Has { warm: false, free: Some(_) } => 2,
            Fit::Has { warm: false, free: None } => 3,
            Fit::Unsaid | Fit::NoPipeline | Fit::NoModel | Fit::Full => 4,
        };
        let price = |offer: &Offer| offer.price.clone().ok().flatten();
        let cheaper = match (price(&self.offer), price(&other.offer)) {
            (Some(a), Some(b)) => a.cheaper_first(&b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        rank(&self.offer)
            .cmp(&rank(&other.offer))
            .then(cheaper)
            .then(self.answer_time.cmp(&other.answer_time))
    }
}

fn cut(failure: Failure) -> Failure {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    Failure { text: failure.text.chars().map(shown).take(MESSAGE_CHARS).collect(), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::orchestrator::proto::PriceInfo;
    use crate::price::Unit;

    const WARM: Fit = Fit::Has { warm: true, free: Some(1) };
    const COLD: Fit = Fit::Has { warm: false, free: Some(1) };

    fn url(name: &str) -> Url {
        Url::parse_base(name, 8935).unwrap()
    }

    fn urls(names: &[&str]) -> Vec<Url> {
        names.iter().map(|name| url(name)).collect()
    }

    fn offer(fit: Fit, wei: &str) -> Offer {
        Offer { fit, price: Price::parse(wei, Unit::PixelSeconds720p).map(Some) }
    }

    fn rounds(names: &[&str], rules: Rules) -> Rounds<()> {
        Rounds::new(rules, urls(names), &Suspensions::default(), Instant::now())
    }

    fn failed(text: &str) -> Failure {
        Failure::of_peer(text, Fault::Retry)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The names of those tried, until nobody is left.
    fn tried(rounds: &mut Rounds<()>) -> Vec<String> {
        let mut names = Vec::new();
        while let Step::Try(candidate) = rounds.step() {
            rounds.on_failed(&candidate.url, failed("busy"));
            names.push(candidate.url.authority().host().to_owned());
        }
        names
    }

    #[test]
    fn candidates_are_asked_five_at_a_time() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "a", "A"];
        let mut rounds = rounds(&names, Rules::default());
        assert_eq!(rounds.step(), Step::Ask(urls(&names[..5])));
        assert_eq!(rounds.step(), Step::Wait);
        for name in &names[..4] {
            rounds.on_no_answer(&url(name), failed("refused"));
            assert_eq!(rounds.step(), Step::Wait);
        }
        assert_eq!(rounds.on_offer(&url("e"), offer(WARM, "1"), ms(9), ()), None);
        assert!(matches!(rounds.step(), Step::Try(candidate) if candidate.url == url("e")));
        rounds.on_failed(&url("e"), failed("no capacity"));
        assert_eq!(rounds.step(), Step::Ask(urls(&["f", "g"])));
        rounds.on_deadline();
        let Step::None(none) = rounds.step() else { panic!("there is nobody") };
        assert_eq!(
            none.to_string(),
            "none of 7 orchestrators can take the job: a:8935: refused; b:8935: refused; c:8935: refused; \
             d:8935: refused; e:8935: no capacity; f:8935: no answer in time; g:8935: no answer in time"
        );
    }

    #[test]
    fn the_best_is_tried_first() {
        let names = ["a", "b", "c", "d", "e"];
        let unknown = |warm| Fit::Has { warm, free: None };
        for (offers, expected) in [
            // Warm with free capacity, warm, cold with free capacity, cold, unsaid; whatever the price.
            (
                [
                    (Fit::Unsaid, "1", 1),
                    (unknown(false), "2", 1),
                    (COLD, "3", 1),
                    (unknown(true), "4", 1),
                    (WARM, "5", 9),
                ],
                ["e", "d", "c", "b", "a"],
            ),
            // Then the price, exactly.
            (
                [
                    (WARM, "0.2", 1),
                    (WARM, "0.1", 5),
                    (WARM, "0.10000000000000000", 4),
                    (WARM, "0.3", 1),
                    (WARM, "0.1000000000000001", 1),
                ],
                ["c", "b", "e", "a", "d"],
            ),
            // Then the answer time.
            (
                [(WARM, "1", 5), (WARM, "1", 3), (WARM, "1", 4), (WARM, "1", 1), (WARM, "1", 2)],
                ["d", "e", "b", "c", "a"],
            ),
        ] {
            let mut rounds = rounds(&names, Rules::default());
            let _ = rounds.step();
            for (name, (fit, wei, time)) in names.iter().zip(offers) {
                assert_eq!(rounds.on_offer(&url(name), offer(fit, wei), ms(time), ()), None);
            }
            assert_eq!(tried(&mut rounds), expected);
        }
    }

    #[test]
    fn no_price_is_cheaper_than_any() {
        let mut rounds = rounds(&["a", "b"], Rules::default());
        let _ = rounds.step();
        let _ = rounds.on_offer(&url("a"), offer(WARM, "1"), ms(1), ());
        let _ = rounds.on_offer(&url("b"), Offer { fit: WARM, price: Ok(None) }, ms(2), ());
        assert_eq!(tried(&mut rounds), ["b", "a"]);
    }

    #[track_caller]
    fn check(rules: Rules, offer: Offer, expected: Option<&str>) {
        let mut rounds = rounds(&["a"], rules);
        let _ = rounds.step();
        let reason = rounds.on_offer(&url("a"), offer, ms(1), ());
        assert_eq!(reason.map(|reason| reason.to_string()).as_deref(), expected);
        assert_eq!(rounds.rejected().len(), usize::from(expected.is_some()));
    }

    #[test]
    fn what_speaks_against_an_offer_is_said() {
        let free = Rules::default();
        let paid = Rules { needs_price: true, ..free };
        let max = "0.5 wei per 720p-pixel-second".parse().ok();
        let max = Rules { max_price: max, ..paid };
        check(free, offer(Fit::NoPipeline, "0"), Some("does not have the pipeline"));
        check(free, offer(Fit::NoModel, "0"), Some("does not have the model"));
        check(free, offer(Fit::Full, "0"), Some("has no capacity left"));
        check(free, offer(Fit::Unsaid, "1"), None);
        check(free, Offer { fit: WARM, price: Ok(None) }, None);
        check(
            paid,
            Offer { fit: WARM, price: Ok(None) },
            Some("names no price, so the signer cannot pay it"),
        );
        let bad = Price::per_pixels(-1, 1).map(Some);
        check(free, Offer { fit: WARM, price: bad }, Some("price of -1 wei for 1 pixels"));
        check(max, offer(WARM, "0.5"), None);
        check(
            max,
            offer(WARM, "0.5000000000000001"),
            Some(
                "costs 0.5000000000000001 wei per 720p-pixel-second, over max-price 0.5 wei per 720p-pixel-second",
            ),
        );
        check(
            max,
            Offer { fit: WARM, price: Price::parse("0", Unit::Seconds).map(Some) },
            Some(
                "costs 0 wei per second, which cannot be compared with max-price 0.5 wei per 720p-pixel-second",
            ),
        );
    }

    #[test]
    fn an_offer_is_read_from_an_info() {
        let capability: Capability = "live-video-to-video/m".parse().unwrap();
        let mut info = OrchestratorInfo {
            capabilities: Some(capability.request()),
            ..OrchestratorInfo::default()
        };
        let cold = Fit::Has { warm: false, free: None };
        assert_eq!(Offer::of_info(&info, &capability), Offer { fit: cold, price: Ok(None) });
        info.price_info =
            Some(PriceInfo { price_per_unit: 3, pixels_per_unit: 2, ..PriceInfo::default() });
        let price = Price::per_pixels(3, 2).map(Some);
        assert_eq!(Offer::of_info(&info, &capability), Offer { fit: cold, price });
        info.price_info = Some(PriceInfo { price_per_unit: 3, ..PriceInfo::default() });
        let price = Err(PriceError::Fraction(3, 0));
        assert_eq!(Offer::of_info(&info, &capability), Offer { fit: cold, price });
    }

    #[test]
    fn suspended_ones_are_left_out_unless_all_are() {
        let now = Instant::now();
        let mut suspensions = Suspensions::default();
        suspensions.suspend(url("a").authority().clone(), now + ms(90_500));
        suspensions.suspend(url("b").authority().clone(), now);
        let make =
            |names: &[&str], at| Rounds::<()>::new(Rules::default(), urls(names), &suspensions, at);
        let mut rounds = make(&["a", "b"], now);
        assert_eq!(rounds.rejected()[0].reason.to_string(), "suspended for 90 s more");
        assert_eq!(rounds.step(), Step::Ask(urls(&["b"])));
        assert_eq!(make(&["a"], now).step(), Step::Ask(urls(&["a"])));
        assert_eq!(make(&["a", "b"], now + ms(90_500)).step(), Step::Ask(urls(&["a", "b"])));
    }

    #[test]
    fn suspensions_are_bounded_and_the_last_one_counts() {
        let now = Instant::now();
        let mut suspensions = Suspensions::default();
        for n in 0..1000 {
            suspensions.suspend(url(&format!("h{n}")).authority().clone(), now + ms(n + 1));
        }
        assert_eq!(suspensions.0.len(), CANDIDATES);
        let peer = url("h999").authority().clone();
        assert_eq!(suspensions.left(&peer, now), Some(ms(1000)));
        suspensions.suspend(peer.clone(), now + ms(5));
        assert_eq!(suspensions.left(&peer, now), Some(ms(5)));
        assert_eq!(suspensions.left(url("h0").authority(), now), None);
    }

    #[test]
    fn the_error_is_bounded_whatever_peers_say() {
        let names: Vec<String> = (0..200).map(|n| format!("h{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut rounds = rounds(&names, Rules::default());
        let none = loop {
            match rounds.step() {
                Step::Ask(asked) => {
                    for url in asked {
                        rounds.on_no_answer(&url, failed(&"x\n".repeat(1 << 16)));
                        rounds.on_no_answer(&url, failed("twice"));
                    }
                }
                Step::None(none) => break none,
                step @ (Step::Wait | Step::Try(_)) => panic!("{step:?}"),
            }
        };
        let text = none.to_string();
        assert!(text.len() < CANDIDATES * (MESSAGE_CHARS + 32) && !text.contains('\n'));
        assert!(text.ends_with("; 136 more were not looked at"));
        assert_eq!(none.rejected.len(), CANDIDATES);
    }

    #[test]
    fn strangers_and_late_answers_change_nothing() {
        let mut rounds = rounds(&["a", "b"], Rules::default());
        assert_eq!(rounds.on_offer(&url("a"), offer(WARM, "1"), ms(1), ()), None, "not asked yet");
        let _ = rounds.step();
        rounds.on_no_answer(&url("stranger"), failed("hello"));
        rounds.on_deadline();
        let _ = rounds.on_offer(&url("a"), offer(WARM, "1"), ms(1), ());
        assert!(matches!(rounds.step(), Step::None(none) if none.rejected.len() == 2));
    }

    #[test]
    fn without_candidates_the_error_says_what_to_do() {
        let Step::None(none) = rounds(&[], Rules::default()).step() else {
            panic!("there is nobody")
        };
        let text = "no orchestrator is known; name one, or a discovery endpoint";
        assert_eq!(none.to_string(), text);
    }
}
