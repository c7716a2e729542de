//! Payment challenges, first and refreshed, and the other bodies of a signer.
//!
//! Does not: pay.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_edge::payment::{Challenge, Payment, Signature, info_of_result};

fuzz_target!(|bytes: &[u8]| {
    let _ = Payment::parse(bytes);
    let _ = Signature::parse(bytes);
    let _ = info_of_result(bytes);
    match Challenge::parse(bytes) {
        Ok(challenge) => {
            let again = challenge.refreshed(bytes).expect("what was a challenge still is one");
            assert_eq!(again, challenge);
            assert!(challenge.interval.is_none_or(|time| (1..=60).contains(&time.as_secs())));
            let _ = format!("{challenge:?}");
        }
        Err(error) => assert!(error.to_string().len() < 1000),
    }
});
