//! Parses discovery lists: a list that is written and read again is the same.
//!
//! Does not: fetch lists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_gateway::limits::{CANDIDATES, CAPABILITIES, RUNNERS};
use livepeer_gateway::orchestrator::DiscoveryList;

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = DiscoveryList::parse(bytes) else { return };
    assert!(list.entries.len() <= CANDIDATES);
    for entry in &list.entries {
        assert!(entry.runners.len() <= RUNNERS && entry.capabilities.len() <= CAPABILITIES);
    }
    let again = DiscoveryList::parse(&list.to_json()).expect("what we wrote is a list");
    assert_eq!(again.to_json(), list.to_json());
});
