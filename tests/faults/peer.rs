//! Hostile peers listed before a good orchestrator.
//!
//! Does not: test every attack; `tests/hostile.rs`, `tests/hostile_run.rs` and `tests/hostile_streams.rs` do.

use sandbox::{Failure, InfoFailure};

use crate::attack::{Attacker, Begin, bytes, forever};
use crate::rig::place::Place;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{s, until};

pub(crate) const ROWS: &[Row] = &[Row {
    fault: "peers with endless headers, drips, garbage and silence, listed before a good orchestrator",
    must: "live at the good orchestrator ≤ 10 s, memory bounded",
    seconds: 30,
    play: attacked,
}];

fn attacked(scene: &mut Scene) {
    let alone = peak(scene, &[]);
    let head = "HTTP/1.1 200 OK\r\n";
    let attackers = [
        Attacker::start(Begin::Https, vec![bytes(head), forever("X-Endless: header\r\n")]),
        Attacker::start(Begin::Https, vec![forever("HTTP/1.1 100 Continue\r\n\r\n")]),
        Attacker::start(Begin::AtOnce, vec![forever([0xff; 512])]),
        Attacker::start(Begin::Https, vec![crate::attack::drip(head)]),
    ];
    let urls: Vec<String> = attackers.iter().map(Attacker::https).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let attacked = peak(scene, &urls);
    let touched = attackers.iter().filter(|attacker| !attacker.is_untouched()).count() as u64;
    scene.at_least("attackers touched", touched, 3);
    scene.at_most("KiB more", attacked.saturating_sub(alone), 12 << 10);
}

/// Runs a job with these peers before a good orchestrator. Returns its memory once it is live there.
fn peak(scene: &mut Scene, hostile: &[&str]) -> u64 {
    let good = Place::new();
    // The delay gives slow attacks time to have an effect.
    good.once(Failure::Info(InfoFailure::Delay(s(3))));
    let url = good.url();
    let agent = scene.agent(&[hostile, &[&url]].concat(), &[]);
    let live = until(s(40), || good.frames() > 0);
    scene.by("live after", agent.began, live, s(10));
    agent.holds().rss
}
