//! Links that are lost and return, and addresses and names that change.
//!
//! Does not: limit the rate of links; `narrow.rs` does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sandbox::{Options, Role};

use crate::link::Link;
use crate::names::{NAME, Names};
use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "link lost for 5 s",
        must: "noticed ≤ 3 s; publishing ≤ 2 s after the link's return, no burst; memory flat",
        seconds: 20,
        play: |scene| lost(scene, 5),
    },
    Row {
        fault: "link lost for 20 s",
        must: "noticed ≤ 3 s; publishing ≤ 2 s after the link's return, no burst; memory flat",
        seconds: 35,
        play: |scene| lost(scene, 20),
    },
    Row {
        fault: "link lost for 60 s",
        must: "noticed ≤ 3 s; publishing ≤ 2 s after the link's return, no burst; memory flat",
        seconds: 75,
        play: |scene| lost(scene, 60),
    },
    Row {
        fault: "link lost for 10 min",
        must: "noticed ≤ 3 s; publishing ≤ 2 s after the link's return, no burst; memory flat",
        seconds: 620,
        play: |scene| lost(scene, 600),
    },
    Row {
        fault: "address changed (DHCP)",
        must: "noticed ≤ 3 s; publishing ≤ 2 s after the link is back",
        seconds: 25,
        play: new_address,
    },
    Row {
        fault: "address removed for 10 s, then another one (Wi-Fi → LTE)",
        must: "publishing ≤ 2 s after the new address",
        seconds: 35,
        play: other_network,
    },
    Row {
        fault: "names do not resolve for 20 s",
        must: "the running job continues; a new job ≤ 2 s after names resolve again",
        seconds: 50,
        play: no_names,
    },
    Row {
        fault: "the orchestrator's name gets another address",
        must: "frames at the new address ≤ 5 s after the old one no longer answers",
        seconds: 25,
        play: another_address,
    },
];

/// Any of these in a log line counts as noticing that packets are no longer acknowledged.
const NOTICED: &[&str] = &["WARN", "too slow", " broke ("];

/// A live job over a link.
fn live(scene: &Scene) -> (Link, Place, Program) {
    let mut link = Link::new();
    link.make("delay=0.02");
    let place = link.place();
    let agent = link.start(scene, &scene.job(&[&place.url()], &[]));
    assert!(place.more_frames(72, s(20)).is_some(), "the job is live");
    (link, place, agent)
}

fn lost(scene: &mut Scene, seconds: u64) {
    let (mut link, place, mut agent) = live(scene);
    let before = agent.holds();
    let at = link.make("cut=1");
    let noticed = agent.hear(NOTICED, at, s(5));
    scene.within("noticed after", noticed, s(3));
    wait(s(seconds).saturating_sub(at.elapsed()));
    let meanwhile = agent.holds();
    let frames = place.frames();
    let back = link.make("cut=0");
    let live = until(s(30), || place.frames() > frames);
    scene.by("frames after the link's return", back, live, s(2));
    wait(s(3));
    // At most five seconds of video: three that are live, one that was queued, and one for variation.
    scene.at_most("frames in the first 3 s", place.frames() - frames, 5 * 24);
    scene.at_most("KiB more", meanwhile.rss.saturating_sub(before.rss), 2048);
    scene.holds("the agent runs", agent.runs());
    scene.right(&place.violations());
}

fn new_address(scene: &mut Scene) {
    let (link, place, mut agent) = live(scene);
    let frames = place.frames();
    let at = Instant::now();
    link.take_address(2);
    link.give_address(3);
    wait(Duration::from_millis(200));
    let frames = frames.max(place.frames());
    let live = until(s(30), || place.frames() > frames);
    scene.by("frames from the new address after", at, live, s(5));
    scene.holds("the agent runs", agent.runs());
    scene.right(&place.violations());
}

fn other_network(scene: &mut Scene) {
    let (link, place, mut agent) = live(scene);
    link.take_address(2);
    wait(s(10));
    let frames = place.frames();
    let at = Instant::now();
    link.give_address(3);
    let live = until(s(30), || place.frames() > frames);
    scene.by("frames from the new address after", at, live, s(2));
    scene.holds("the agent runs", agent.runs());
    scene.right(&place.violations());
}

/// A live job at an orchestrator that is known by its name.
fn by_name(scene: &Scene) -> (Link, Names, Place, Program) {
    let link = Link::new();
    let names = Names::new(link.host(1), link.host(1));
    link.resolve_at(link.host(1));
    let place = named(SocketAddr::new(link.host(1), 0));
    let agent = link.start(scene, &scene.job(&[&place.url()], &[]));
    assert!(place.more_frames(48, s(20)).is_some(), "the job is live");
    (link, names, place, agent)
}

fn named(listen: SocketAddr) -> Place {
    Place::with(Options { listen, host: Some(NAME.to_owned()), ..Options::default() })
}

fn no_names(scene: &mut Scene) {
    let (_link, names, place, mut agent) = by_name(scene);
    let answer = place.address().ip();
    names.say(None);
    let gap = place.longest_gap(s(8));
    scene.within("longest gap", Some(gap), s(1));
    scene.at_most("jobs", place.jobs(), 1);
    place.sandbox().close_channels(Role::Publish);
    wait(s(12));
    let frames = place.frames();
    names.say(Some(answer));
    let back = Instant::now();
    let live = until(s(30), || place.frames() > frames);
    scene.by("frames after names resolve", back, live, s(2));
    scene.holds("the agent runs", agent.runs());
}

fn another_address(scene: &mut Scene) {
    let (link, names, mut place, mut agent) = by_name(scene);
    let there = link.add_host(9);
    let moved = named(SocketAddr::new(there, place.address().port()));
    names.say(Some(there));
    wait(s(1));
    let at = Instant::now();
    place.die();
    let live = until(s(30), || moved.frames() > 0);
    scene.by("frames at the new address after", at, live, s(5));
    scene.holds("the agent runs", agent.runs());
    scene.right(&moved.violations());
}
