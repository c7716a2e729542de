//! Parses payment challenges and the bodies of a signer's answers.
//!
//! Does not: make payments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_gateway::payment::{Challenge, Payment, Signature};

fuzz_target!(|bytes: &[u8]| {
    let _ = Payment::parse(bytes);
    let _ = Signature::parse(bytes);
    match Challenge::parse(bytes) {
        Ok(challenge) => {
            assert!(challenge.interval.is_none_or(|time| (1..=60).contains(&time.as_secs())));
            let _ = format!("{challenge:?}");
        }
        Err(error) => assert!(error.to_string().len() < 1000),
    }
});
