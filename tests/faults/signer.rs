//! Signers that are down, refuse, or have no balance left.
//!
//! Does not: test the schedule for each status; the unit tests of `payment::schedule` do.

use std::time::{Duration, Instant};

use sandbox::{
    CallFailure, Credential, Endpoint, Failure, Options, SignerOptions, StartFailure, Target,
    Timings,
};

use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "signer down for 30 s",
        must: "logged; no gap in the video",
        seconds: 40,
        play: down,
    },
    Row {
        fault: "signer down until the paid time is over",
        must: "job ends with the reason; few tries; frames ≤ 12 s after the signer's return",
        seconds: 45,
        play: |scene| unpaid(scene, CallFailure::Reset, "closed the unpaid job", s(12)),
    },
    Row {
        fault: "no balance until the paid time is over (483)",
        must: "job ends with the reason; few tries; frames ≤ 70 s after the balance is back",
        seconds: 110,
        play: |scene| unpaid(scene, CallFailure::status(483), "balance", s(70)),
    },
    Row {
        fault: "the credential is not accepted any more",
        must: "the log names the credential; payments continue once the credential is accepted again",
        seconds: 40,
        play: credential,
    },
    Row {
        fault: "job starts fail after their payment, for a minute",
        must: "3 payments in the first 50 s, later ones no faster than the time they pay for; a job ≤ 62 s after the last failure",
        seconds: 125,
        play: paid_in_vain,
    },
    Row {
        fault: "wrong credential at the start",
        must: "the log names the credential; no exit, few tries",
        seconds: 25,
        play: wrong_at_the_start,
    },
];

const SECRET: &str = "Bearer hunter2-hunter2";

fn credentials() -> Vec<Credential> {
    vec![Credential { value: SECRET.to_owned(), owner: "me".to_owned() }]
}

fn paid() -> Place {
    let signer = SignerOptions {
        header: Some("Authorization".to_owned()),
        credentials: credentials(),
        ..SignerOptions::default()
    };
    let timings = Timings { debit: ms(250), ..Timings::default() };
    Place::with(Options { price: Some(10), signer: Some(signer), timings, ..Options::default() })
}

fn payer(scene: &Scene, place: &Place, secret: &str) -> Program {
    let signer = place.sandbox().signer_url().unwrap();
    let header = r#"{"Authorization":"env:SIGNER_KEY"}"#;
    let mut job =
        scene.job(&[&place.url()], &["--signer.urls", &signer, "--signer.headers", header]);
    job.env("SIGNER_KEY", secret);
    scene.program("agent", job)
}

fn live(scene: &Scene) -> (Place, Program) {
    let place = paid();
    let agent = payer(scene, &place, SECRET);
    assert!(place.more_frames(40, s(20)).is_some(), "the job is live");
    (place, agent)
}

fn down(scene: &mut Scene) {
    let (place, agent) = live(scene);
    let at = Instant::now();
    place.always(Failure::Call(Endpoint::MakePayment, CallFailure::Reset));
    let gap = place.longest_gap(s(30));
    scene.holds("logged", agent.has_said(&["payment failed: "], at));
    let back = Instant::now();
    place.sandbox().clear_failures();
    scene.within(
        "payments work again after",
        agent.hear(&["payments work again"], back, s(30)),
        s(15),
    );
    scene.within("longest gap", Some(gap), s(1));
    scene.at_most("jobs", place.jobs(), 1);
    scene.right(&place.violations());
}

/// The number of payments that the signer was asked for.
fn tries(place: &Place) -> usize {
    [Endpoint::SignInfo, Endpoint::MakePayment]
        .map(|endpoint| place.requests(&Target::Call(endpoint)))
        .iter()
        .sum()
}

fn unpaid(scene: &mut Scene, failure: CallFailure, reason: &str, limit: Duration) {
    let (place, mut agent) = live(scene);
    let at = Instant::now();
    place.always(Failure::Call(Endpoint::MakePayment, failure));
    assert!(agent.hear(&["payment failed: "], at, s(30)).is_some(), "the failure is logged");
    let over = Instant::now();
    place.sandbox().advance(s(120));
    let ended = until(s(10), || place.sandbox().manifests().is_empty());
    scene.by("job ended", over, ended, s(5));
    wait(s(1));
    scene.holds("the reason is logged", agent.has_said(&[reason], at));
    let before = tries(&place);
    wait(s(15));
    scene.at_most("tries in 15 s", (tries(&place) - before) as u64, 6);
    scene.holds("the agent runs", agent.runs());
    let back = Instant::now();
    place.sandbox().clear_failures();
    let frame = place.next_frame(2 * limit);
    scene.by("frames after", back, frame, limit);
    scene.right(&place.violations());
}

fn credential(scene: &mut Scene) {
    let (place, agent) = live(scene);
    let at = Instant::now();
    place.sandbox().accept_credentials(Vec::new());
    scene.within("logged after", agent.hear(&["payment failed: "], at, s(40)), s(30));
    scene.holds("the log names the credential", agent.has_said(&["credential"], at));
    scene.holds("the log does not show the credential", !agent.has_said(&["hunter2"], agent.began));
    let back = Instant::now();
    place.sandbox().accept_credentials(credentials());
    scene.within(
        "payments work again after",
        agent.hear(&["payments work again"], back, s(40)),
        s(35),
    );
    scene.at_most("jobs", place.jobs(), 1);
}

fn paid_in_vain(scene: &mut Scene) {
    let place = paid();
    let words = "live-video-to-video container returned 500: model does not load";
    place.always(Failure::Start(StartFailure::Worker(words.to_owned())));
    let agent = payer(scene, &place, SECRET);
    wait(s(50));
    scene.at_most("payments in 50 s", place.sandbox().ledger().payments(), 3);
    scene.holds("logged", agent.has_said(&["model does not load"], agent.began));
    wait(s(10));
    let back = Instant::now();
    place.sandbox().clear_failures();
    let live = until(s(70), || place.frames() > 0);
    scene.by("frames after the model loads", back, live, s(62));
    scene.at_most("payments until then", place.sandbox().ledger().payments(), 6);
}

fn wrong_at_the_start(scene: &mut Scene) {
    let place = paid();
    let mut agent = payer(scene, &place, "Bearer wrong");
    wait(s(20));
    scene.holds("logged", agent.has_said(&["credential"], agent.began));
    scene.at_most("tries in 20 s", tries(&place) as u64, 2);
    scene.holds("the agent runs", agent.runs());
    scene.at_most("jobs", place.jobs(), 0);
}
