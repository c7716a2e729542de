//! Parses answers to the start of a job, and events of a job: no part of a URL may be in a text for the log.
//!
//! Does not: start jobs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_gateway::http::{AnsweringPeer, Url, Zone};
use livepeer_gateway::job::{JobEvent, start_answer};

fuzz_target!(|bytes: &[u8]| {
    let peer = Url::parse("https://orchestrator.example:8935").expect("a URL");
    match start_answer(bytes, AnsweringPeer { url: &peer, zone: Zone::Public }) {
        Ok(channels) => assert!(!channels.manifest_id.is_empty()),
        Err(reason) => assert!(!reason.contains("://") && reason.len() < 900, "{reason}"),
    }
    if let Some(event) = JobEvent::parse(bytes) {
        let line = event.to_string();
        assert!(line.chars().count() < 2000 && !line.chars().any(char::is_control), "{line:?}");
    }
});
