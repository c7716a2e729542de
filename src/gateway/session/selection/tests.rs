//! Tests of selections, from the first request until a job has started or no candidate is left.
//!
//! Does not: make calls.

use super::*;
use crate::orchestrator::proto::{OrchestratorInfo, PriceInfo};
use crate::orchestrator::{Capability, Fit};
use crate::price::{Price, PriceError, PriceUnit};
use resilience::fault::Fault;

const WARM: Fit = Fit::Has { warm: true, free: Some(1) };
const COLD: Fit = Fit::Has { warm: false, free: Some(1) };

fn url(name: &str) -> Url {
    Url::parse_base(name, 8935).unwrap()
}

fn urls(names: &[&str]) -> Vec<Url> {
    names.iter().map(|name| url(name)).collect()
}

fn offer(fit: Fit, wei: &str) -> Offer {
    Offer { fit, price: Price::parse(wei, PriceUnit::PixelSeconds720p).map(Some) }
}

fn selection(
    names: &[&str],
    rules: OfferRules,
    order: CandidateOrder,
    now: Instant,
) -> Selection<()> {
    Selection::new(rules, order, urls(names), &Suspensions::default(), now)
}

fn failed(text: &str) -> Failure {
    Failure::of_peer(text, Fault::Retry)
}

/// The failure of a signer that refuses to pay any orchestrator.
fn unpaid(retry_after: u64) -> Failure {
    let retry_after = Some(ms(retry_after * 1000));
    Failure { scope: Scope::Everyone, retry_after, ..failed("signer s: too many requests") }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The names of the candidates in the order in which they are tried, until none is left.
fn tried(selection: &mut Selection<()>, now: Instant) -> Vec<String> {
    let mut names = Vec::new();
    while let SelectionStep::Try(candidate) = selection.step(now) {
        selection.on_failed(&candidate.url, failed("busy"));
        names.push(candidate.url.authority().host().to_owned());
    }
    names
}

#[test]
fn candidates_are_asked_five_at_a_time() {
    let now = Instant::now();
    let names = ["a", "b", "c", "d", "e", "f", "g", "a", "A"];
    let mut selection = selection(&names, OfferRules::default(), CandidateOrder::Listed, now);
    assert_eq!(selection.step(now), SelectionStep::Ask(urls(&names[..5])));
    for name in &names[..4] {
        assert_eq!(selection.step(now), SelectionStep::Wait(now + ASK_TIME));
        selection.on_no_answer(&url(name), failed("refused"));
    }
    assert_eq!(selection.on_offer(&url("e"), offer(WARM, "1"), ms(9), (), now), None);
    assert!(
        matches!(selection.step(now), SelectionStep::Try(candidate) if candidate.url == url("e"))
    );
    selection.on_failed(&url("e"), failed("no capacity"));
    assert_eq!(selection.step(now), SelectionStep::Ask(urls(&["f", "g"])));
    let SelectionStep::None(none) = selection.step(now + ASK_TIME) else {
        panic!("there is nobody")
    };
    assert_eq!(
        none.to_string(),
        "none of 7 orchestrators can take the job: a:8935: refused; b:8935: refused; c:8935: refused; \
         d:8935: refused; e:8935: no capacity; f:8935: no answer in time; g:8935: no answer in time"
    );
}

/// Checks the order in which candidates are tried, given the fit, price and answer time of a, b, …
#[track_caller]
fn check_order(order: CandidateOrder, offers: &[(Fit, &str, u64)], expected: &str) {
    let now = Instant::now();
    let names: Vec<&str> = ["a", "b", "c", "d", "e"].into_iter().take(offers.len()).collect();
    let mut selection = selection(&names, OfferRules::default(), order, now);
    let _ = selection.step(now);
    for (name, (fit, wei, time)) in names.iter().zip(offers) {
        assert_eq!(selection.on_offer(&url(name), offer(*fit, wei), ms(*time), (), now), None);
    }
    assert_eq!(tried(&mut selection, now).concat(), expected);
}

#[test]
fn a_list_is_tried_in_its_order() {
    let offers = [(Fit::Unsaid, "9", 9), (COLD, "5", 1), (WARM, "1", 5)];
    check_order(CandidateOrder::Listed, &offers, "abc");
}

#[test]
fn by_price_a_model_that_is_not_loaded_counts_as_a_quarter_more_expensive() {
    let by_price = |offers: &[_], expected| check_order(CandidateOrder::Price, offers, expected);
    by_price(&[(WARM, "0.2", 1), (WARM, "0.1", 5), (WARM, "0.3", 1)], "bac");
    // Prices are compared exactly.
    by_price(&[(WARM, "0.1000000000000001", 1), (WARM, "0.10000000000000000", 4)], "ba");
    // A loaded model is preferred at a price a fifth higher, but not at twice the price.
    by_price(&[(WARM, "2", 1), (COLD, "1", 1)], "ba");
    by_price(&[(COLD, "1", 1), (WARM, "1.2", 1)], "ba");
    by_price(&[(COLD, "1", 1), (WARM, "1.25", 1), (WARM, "1.26", 1)], "bac");
    // A model that is free comes first even if it is not loaded.
    by_price(&[(WARM, "1", 1), (COLD, "0", 1)], "ba");
    by_price(&[(COLD, "0", 1), (WARM, "0", 2)], "ba");
    by_price(&[(Fit::Unsaid, "1", 1), (COLD, "5", 1)], "ba");
    // At the same price: capacity known to be free, the answer time, the list.
    let unknown = Fit::Has { warm: true, free: None };
    by_price(&[(unknown, "1", 1), (WARM, "1", 5), (WARM, "1", 3), (WARM, "1", 3)], "cdba");
}

#[test]
fn the_fastest_is_the_one_that_answered_first() {
    check_order(
        CandidateOrder::Fastest,
        &[(WARM, "1", 5), (COLD, "9", 3), (Fit::Unsaid, "1", 4)],
        "bca",
    );
}

#[test]
fn a_candidate_without_a_price_comes_before_all_others() {
    let now = Instant::now();
    let mut selection = selection(&["a", "b"], OfferRules::default(), CandidateOrder::Price, now);
    let _ = selection.step(now);
    let _ = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
    let _ = selection.on_offer(&url("b"), Offer { fit: WARM, price: Ok(None) }, ms(2), (), now);
    assert_eq!(tried(&mut selection, now).concat(), "ba");
}

/// Checks when the job is started, in ms after the first of a and b has answered with a good offer.
#[track_caller]
fn check_patience(order: CandidateOrder, first: &str, expected: u64) {
    let now = Instant::now();
    let mut selection = selection(&["a", "b"], OfferRules::default(), order, now);
    let _ = selection.step(now);
    let _ = selection.on_offer(&url(first), offer(WARM, "1"), ms(1), (), now);
    if expected > 0 {
        assert_eq!(
            selection.step(now),
            SelectionStep::Wait(now + ms(expected)),
            "{order:?} {first}"
        );
    }
    let step = selection.step(now + ms(expected));
    assert!(
        matches!(step, SelectionStep::Try(candidate) if candidate.url == url(first)),
        "{order:?} {first}"
    );
}

#[test]
fn a_possibly_better_candidate_is_waited_for_a_second() {
    check_patience(CandidateOrder::Listed, "a", 0);
    check_patience(CandidateOrder::Listed, "b", 1000);
    check_patience(CandidateOrder::Price, "a", 1000);
    check_patience(CandidateOrder::Price, "b", 1000);
    check_patience(CandidateOrder::Fastest, "b", 0);
}

#[test]
fn a_candidate_that_answers_while_another_is_tried_is_a_spare() {
    let now = Instant::now();
    let mut selection = selection(&["a", "b"], OfferRules::default(), CandidateOrder::Listed, now);
    let _ = selection.step(now);
    let _ = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
    assert!(
        matches!(selection.step(now), SelectionStep::Try(candidate) if candidate.url == url("a"))
    );
    assert!(selection.is_asking() && selection.spare().is_none());
    let _ = selection.on_offer(&url("b"), offer(WARM, "1"), ms(2), (), now);
    assert!(selection.spare().is_some_and(|spare| spare.url == url("b")));
}

#[test]
fn a_suspended_candidate_is_tried_when_no_other_is_left() {
    let now = Instant::now();
    let mut suspensions = Suspensions::default();
    suspensions.suspend(url("a").authority().clone(), now + ms(90_000));
    suspensions.suspend(url("b").authority().clone(), now + ms(60_000));
    for order in [CandidateOrder::Listed, CandidateOrder::Price, CandidateOrder::Fastest] {
        let make = |at| {
            Selection::<()>::new(
                OfferRules::default(),
                order,
                urls(&["a", "b", "c"]),
                &suspensions,
                at,
            )
        };
        // The best two are suspended, so they are tried last, the one with the longer suspension at the very end.
        let mut selection = make(now);
        assert_eq!(selection.step(now), SelectionStep::Ask(urls(&["c", "b", "a"])));
        for (name, wei) in [("a", "1"), ("b", "1"), ("c", "9")] {
            let _ = selection.on_offer(&url(name), offer(WARM, wei), ms(1), (), now);
        }
        assert_eq!(tried(&mut selection, now).concat(), "cba", "{order:?}");

        // The other candidate never answers, which costs a second at most.
        let mut selection = make(now);
        let _ = selection.step(now);
        let _ = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
        selection.on_no_answer(&url("b"), failed("refused"));
        assert_eq!(selection.step(now), SelectionStep::Wait(now + OFFER_TIME));
        let step = selection.step(now + OFFER_TIME);
        assert!(
            matches!(step, SelectionStep::Try(candidate) if candidate.url == url("a")),
            "{order:?}"
        );

        let mut selection = make(now + ms(90_000));
        assert_eq!(selection.step(now), SelectionStep::Ask(urls(&["a", "b", "c"])), "it is over");
    }
}

#[test]
fn all_others_are_asked_before_a_suspended_candidate_is_tried() {
    let now = Instant::now();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut suspensions = Suspensions::default();
    for name in &names[..4] {
        suspensions.suspend(url(name).authority().clone(), now + ms(1000));
    }
    let mut selection = Selection::<()>::new(
        OfferRules::default(),
        CandidateOrder::Price,
        urls(&names),
        &suspensions,
        now,
    );
    assert_eq!(selection.step(now), SelectionStep::Ask(urls(&["e", "f", "g", "a", "b"])));
    let _ = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
    for name in ["e", "f", "g", "b"] {
        selection.on_no_answer(&url(name), failed("refused"));
    }
    assert!(
        matches!(selection.step(now), SelectionStep::Try(candidate) if candidate.url == url("a"))
    );
    selection.on_failed(&url("a"), failed("refused"));
    assert_eq!(selection.step(now), SelectionStep::Ask(urls(&["c", "d"])));
}

#[test]
fn a_barred_candidate_is_not_tried_and_the_error_says_until_when() {
    let now = Instant::now();
    let mut suspensions = Suspensions::default();
    suspensions.bar(url("a").authority().clone(), now + ms(90_500));
    let make = |names: &[&str]| {
        Selection::<()>::new(
            OfferRules::default(),
            CandidateOrder::Listed,
            urls(names),
            &suspensions,
            now,
        )
    };
    assert_eq!(make(&["a", "b"]).step(now), SelectionStep::Ask(urls(&["b"])));
    let SelectionStep::None(none) = make(&["a"]).step(now) else { panic!("it is barred") };
    assert_eq!(
        (none.to_string().as_str(), none.retry_after()),
        (
            "a:8935: refused the model or its parameters; asked again in 90 s, or when they change",
            ms(90_500)
        )
    );
}

#[test]
fn a_failure_that_concerns_everyone_ends_the_selection_and_is_shown_once() {
    let now = Instant::now();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    // The signer refuses while the candidates are asked, so the next two are not asked.
    let mut asking = selection(&names, OfferRules::default(), CandidateOrder::Listed, now);
    let _ = asking.step(now);
    for name in &names[..5] {
        asking.on_no_answer(&url(name), unpaid(600));
    }
    // The signer refuses the first payment, so no other candidate is tried, although others have good offers.
    let mut starting = selection(&names, OfferRules::default(), CandidateOrder::Listed, now);
    let _ = starting.step(now);
    for name in &names[..3] {
        let _ = starting.on_offer(&url(name), offer(WARM, "1"), ms(1), (), now);
    }
    let SelectionStep::Try(first) = starting.step(now) else { panic!("it is good") };
    starting.on_failed(&first.url, unpaid(600));
    for mut selection in [asking, starting] {
        let SelectionStep::None(none) = selection.step(now) else { panic!("nobody can be paid") };
        assert_eq!(none.to_string(), "signer s: too many requests");
        assert_eq!((none.retry_after(), none.fault()), (ms(600_000), Fault::Retry));
    }
}

#[test]
fn the_next_attempt_comes_when_a_candidate_may_be_asked_or_after_a_long_pause() {
    #[track_caller]
    fn check(failures: &[(Fault, Option<u64>)], fault: Fault, retry_after: u64) {
        let reason = |(fault, after): &(Fault, Option<u64>)| {
            let retry_after = after.map(ms);
            RejectionReason::NoAnswer(Failure { retry_after, ..Failure::of_peer("no", *fault) })
        };
        let rejected = failures.iter().map(reason);
        let rejected = rejected.map(|reason| Rejection { candidate: url("a"), reason }).collect();
        let none = NoCandidateLeft { rejected, beyond: 0 };
        assert_eq!((none.fault(), none.retry_after()), (fault, ms(retry_after)), "{failures:?}");
    }
    check(&[], Fault::GiveUp, 0);
    check(&[(Fault::Retry, None)], Fault::Retry, 0);
    check(&[(Fault::GiveUp, None)], Fault::GiveUp, 0);
    check(&[(Fault::GiveUp, None), (Fault::NextPeer, None)], Fault::Retry, 0);
    check(&[(Fault::Retry, Some(9)), (Fault::Retry, Some(5))], Fault::Retry, 5);
    check(&[(Fault::Retry, Some(9)), (Fault::Retry, None)], Fault::Retry, 0);
}

#[test]
fn candidates_not_tried_because_of_prepaid_time_are_named() {
    let now = Instant::now();
    let mut selection = selection(&["a", "b"], OfferRules::default(), CandidateOrder::Listed, now);
    let _ = selection.step(now);
    for name in ["b", "a"] {
        let _ = selection.on_offer(&url(name), offer(WARM, "1"), ms(1), (), now);
    }
    let SelectionStep::Try(next) = selection.step(now) else { panic!("it is good") };
    let text = selection.on_paid_ahead(next).to_string();
    assert!(text.contains("a:8935: not tried") && text.contains("b:8935: not tried"), "{text}");
}

#[track_caller]
fn check(rules: OfferRules, offer: Offer, expected: Option<&str>) {
    let now = Instant::now();
    let mut selection = selection(&["a"], rules, CandidateOrder::Listed, now);
    let _ = selection.step(now);
    let reason = selection.on_offer(&url("a"), offer, ms(1), (), now);
    assert_eq!(reason.map(|reason| reason.to_string()).as_deref(), expected);
    assert_eq!(selection.rejected.len(), usize::from(expected.is_some()));
}

#[test]
fn a_rejected_offer_has_its_reason() {
    let free = OfferRules::default();
    let paid = OfferRules { pays: PaymentPolicy::Always, ..free };
    let max = "0.5 wei per 720p-pixel-second".parse().ok();
    let max = OfferRules { max_price: max, ..paid };
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
    check(free, Offer { fit: WARM, price: bad }, Some("price of -1 wei for 1 pixels is invalid"));
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
        Offer { fit: WARM, price: Price::parse("0", PriceUnit::Seconds).map(Some) },
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
fn the_error_is_bounded_even_with_hostile_peers() {
    let mut now = Instant::now();
    let names: Vec<String> = (0..200).map(|n| format!("h{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut selection = selection(&names, OfferRules::default(), CandidateOrder::Listed, now);
    let none = loop {
        now += ms(1);
        match selection.step(now) {
            SelectionStep::Ask(asked) => {
                for url in asked {
                    selection.on_no_answer(&url, failed(&"x\n".repeat(1 << 16)));
                    selection.on_no_answer(&url, failed("twice"));
                }
            }
            SelectionStep::None(none) => break none,
            step @ (SelectionStep::Wait(_) | SelectionStep::Try(_)) => panic!("{step:?}"),
        }
    };
    let text = none.to_string();
    assert!(text.len() < CANDIDATES * (MESSAGE_CHARS + 32) && !text.contains('\n'));
    assert!(text.ends_with("; 136 more were not considered"));
    assert_eq!(none.rejected.len(), CANDIDATES);
}

#[test]
fn unknown_candidates_and_late_answers_change_nothing() {
    let now = Instant::now();
    let mut selection = selection(&["a", "b"], OfferRules::default(), CandidateOrder::Listed, now);
    let early = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
    assert_eq!(early, None, "not asked yet");
    let _ = selection.step(now);
    selection.on_no_answer(&url("stranger"), failed("hello"));
    selection.on_deadline();
    let _ = selection.on_offer(&url("a"), offer(WARM, "1"), ms(1), (), now);
    assert!(matches!(selection.step(now), SelectionStep::None(none) if none.rejected.len() == 2));
}

#[test]
fn without_candidates_the_error_names_the_remedy() {
    let now = Instant::now();
    let SelectionStep::None(none) =
        selection(&[], OfferRules::default(), CandidateOrder::Listed, now).step(now)
    else {
        panic!("there is nobody")
    };
    let text = "no orchestrator is known; name one, or a discovery endpoint";
    assert_eq!(none.to_string(), text);
}
