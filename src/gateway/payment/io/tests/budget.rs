//! Tests that every payment is counted, and that none is asked for once the budget is spent.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::budget::io::{Purse, SPEND_FILE};
use crate::budget::{Budget, Level};
use resilience::ledger::{Item, Period, Total};

/// A payment with one ticket that always wins this much; below 256 wei.
fn payment_of(wei: u8) -> ScriptedReply {
    let params = [&[0x12, 1, wei, 0x1a, 32][..], &[0xff; 32]].concat();
    let params = [&[0x0a, u8::try_from(params.len()).unwrap()][..], &params].concat();
    let payment = STANDARD.encode([&params[..], &[0x22, 0]].concat());
    let body = json!({"payment": payment, "segCreds": "c2Vn", "state": {"State": "one"}});
    (200, "", body.to_string().into_bytes())
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("purse-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self, budget: &str) -> Purse {
        open(&self.0, budget)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(state: &Path, budget: &str) -> Purse {
    let purse = Purse::default();
    purse.keep_in(state);
    purse.set_budget(Some(budget.parse().unwrap()));
    purse
}

fn counted_in(purse: &Purse, signer: &Peer) -> Signers {
    Signers::at(client(), signer.url.clone()).unwrap().with_purse(purse.clone())
}

fn session_for(work: &str) -> PaymentSession {
    let options = SessionOptions { work: work.to_owned(), ..SessionOptions::default() };
    let terms = Terms::Params("b2xk".into());
    let session = PaymentSession::new(PaymentKind::Live, terms, Some("m".into()), options).unwrap();
    session.counted_for(Url::parse("https://o.example").unwrap().authority())
}

fn spent(purse: &Purse) -> u128 {
    purse.budget_use().unwrap().spent
}

#[tokio::test]
async fn a_spent_budget_asks_no_signer_and_an_addition_asks_again() {
    let signer = Peer::script(vec![payment_of(60)]).await;
    let (purse, mut session) = (Purse::default(), session_for("m"));
    purse.set_budget(Some("100 wei per month".parse().unwrap()));
    let signers = counted_in(&purse, &signer);
    let level = purse.level();
    for expected in [Level::Free, Level::Spent] {
        signers.payment(&mut session, Instant::now()).await.unwrap();
        assert_eq!(*level.borrow(), expected);
    }
    let error = signers.payment(&mut session, Instant::now()).await.unwrap_err();
    let text = "the budget of 100 wei per month is spent; it begins again with the next month, or use `livepeer-edge budget add`";
    assert_eq!((chain(&error).as_str(), error.fault()), (text, Fault::Retry));
    assert!(error.retry_after().is_some_and(|time| time <= seconds(60)));
    assert_eq!((signer.seen().len(), spent(&purse)), (2, 120));
    let used = purse.add(21).await.unwrap();
    assert_eq!((used.limit(), used.left(), *level.borrow()), (121, 1, Level::Near));
    signers.payment(&mut session, Instant::now()).await.unwrap();
    assert_eq!((signer.seen().len(), spent(&purse)), (3, 180));
}

#[tokio::test]
async fn payments_at_the_same_time_exceed_the_budget_by_one_payment_at_most() {
    let signer = Peer::script(vec![payment_of(7)]).await;
    let purse = Purse::default();
    purse.set_budget(Some("50 wei per month".parse().unwrap()));
    let signers = Arc::new(counted_in(&purse, &signer));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let signers = Arc::clone(&signers);
        tasks.spawn(
            async move { signers.payment(&mut session_for("m"), Instant::now()).await.is_ok() },
        );
    }
    let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
    // 49 is below the limit, 56 is not.
    assert_eq!((made, spent(&purse), signers.spent().total().payments), (8, 56, 8));
}

#[tokio::test]
async fn a_payment_without_a_readable_value_is_not_released_under_a_budget() {
    let signer = Peer::script(vec![payment("one")]).await;
    let (purse, mut session) = (Purse::default(), session_for("m"));
    let signers = counted_in(&purse, &signer);
    assert!(signers.payment(&mut session, Instant::now()).await.is_ok(), "without a budget");
    purse.set_budget(Some("50 wei per month".parse().unwrap()));
    let error = signers.payment(&mut session, Instant::now()).await.unwrap_err();
    assert!(matches!(error, PaymentError::Uncounted), "{error}");
    assert_eq!(error.fault(), Fault::GiveUp);
}

#[tokio::test]
async fn a_refused_payment_counts_nothing() {
    let signer = Peer::script(vec![refusal(482, "no ticket"), payment_of(9)]).await;
    let (purse, mut session) = (Purse::default(), session_for("m"));
    purse.set_budget(Some("50 wei per month".parse().unwrap()));
    let signers = counted_in(&purse, &signer);
    assert!(signers.payment(&mut session, Instant::now()).await.is_err());
    assert_eq!(spent(&purse), 0);
    assert!(signers.payment(&mut session, Instant::now()).await.is_ok());
    assert_eq!(spent(&purse), 9);
}

#[tokio::test]
async fn what_was_paid_is_kept_by_orchestrator_and_model_over_restarts() {
    let scratch = Scratch::new("kept");
    let signer = Peer::script(vec![payment_of(9)]).await;
    let budget = "50 wei per month";
    let purse = scratch.open(budget);
    let signers = counted_in(&purse, &signer);
    signers.payment(&mut session_for("flux"), Instant::now()).await.unwrap();
    signers.payment(&mut session_for("echo"), Instant::now()).await.unwrap();
    purse.add(5).await.unwrap();
    purse.close().await;
    drop((signers, purse));
    let purse = scratch.open(budget);
    let used = purse.budget_use().unwrap();
    assert_eq!((used.spent, used.added), (18, 5));
    let names: Vec<_> = purse.spent(Period::Month).into_iter().map(|entry| entry.item).collect();
    assert_eq!(names, ["echo", "flux"].map(|work| Item::new("o.example:443", work)));
}

#[tokio::test]
async fn a_crash_counts_at_least_what_was_paid() {
    let scratch = Scratch::new("crash");
    let signer = Peer::script(vec![payment_of(9)]).await;
    let budget = "1000 wei per month";
    let purse = scratch.open(budget);
    let signers = counted_in(&purse, &signer);
    for _ in 0..3 {
        signers.payment(&mut session_for("m"), Instant::now()).await.unwrap();
    }
    // What is on disk now is what a power cut leaves.
    let copy = Scratch::new("crash-copy");
    std::fs::create_dir_all(&copy.0).unwrap();
    std::fs::copy(scratch.0.join(SPEND_FILE), copy.0.join(SPEND_FILE)).unwrap();
    let purse = copy.open(budget);
    // The first line has 9 wei, and a reserve of four times as much.
    assert_eq!(spent(&purse), 9 + 36);
    let unsettled = purse.spent(Period::Month).into_iter().find(|e| e.item == Item::unsettled());
    assert_eq!(unsettled.unwrap().total, Total { count: 0, amount: 36 });
}

#[tokio::test]
async fn a_second_process_counts_what_the_first_has_written_and_writes_nothing() {
    let scratch = Scratch::new("second");
    let signer = Peer::script(vec![payment_of(60)]).await;
    let first = scratch.open("100 wei per month");
    let signers = counted_in(&first, &signer);
    signers.payment(&mut session_for("m"), Instant::now()).await.unwrap();
    let second = scratch.open("100 wei per month");
    // 60 wei, and the rest of the budget as reserve of the first.
    assert_eq!(spent(&second), 100);
    assert!(
        counted_in(&second, &signer).payment(&mut session_for("m"), Instant::now()).await.is_err()
    );
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_purse_in_memory() {
    let scratch = Scratch::new("unusable");
    std::fs::create_dir_all(scratch.0.join(SPEND_FILE)).unwrap();
    assert_eq!(spent(&scratch.open("100 wei per hour")), 0);
}

#[test]
fn a_malformed_line_is_reported_and_the_others_count() {
    let scratch = Scratch::new("malformed");
    std::fs::create_dir_all(&scratch.0).unwrap();
    let lines = "2999010100 held 0\ta\tb\t1\t30\n\0\0garbage\n2999010101 held 0\ta\tb\t1\t4\n29";
    std::fs::write(scratch.0.join(SPEND_FILE), lines).unwrap();
    assert_eq!(spent(&scratch.open("100 wei per day")), 34);
    let kept = std::fs::read_to_string(scratch.0.join(SPEND_FILE)).unwrap();
    assert!(!kept.contains("garbage") && kept.ends_with('\n'), "{kept}");
}

#[test]
fn a_budget_can_be_changed_and_removed() {
    let purse = Purse::default();
    assert_eq!(purse.budget_use(), None);
    let budget: Budget = "1 wei per day".parse().unwrap();
    purse.set_budget(Some(budget));
    assert_eq!(purse.budget_use().map(|used| used.budget), Some(budget));
    purse.set_budget(None);
    assert_eq!(purse.budget_use(), None);
}
