//! Parses access tokens: any text, and any JSON in valid base64.
//!
//! Does not: check valid tokens; unit tests do.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use livepeer_gateway::orchestrator::Endpoints;
use resilience::secret::Secret;

fuzz_target!(|bytes: &[u8]| {
    let json = STANDARD.encode(bytes);
    for text in [String::from_utf8_lossy(bytes).into_owned(), json] {
        match Endpoints::from_token(&Secret::new(text)) {
            Ok(endpoints) => assert!(endpoints.strategies().len() <= 3),
            Err(error) => assert!(error.to_string().len() < 200),
        }
    }
});
