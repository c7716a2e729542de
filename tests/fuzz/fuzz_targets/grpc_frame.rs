//! Parses the frame around a gRPC message.
//!
//! Does not: speak HTTP/2.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use livepeer_gateway::orchestrator::io::unframe;

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = unframe(Bytes::copy_from_slice(bytes)) {
        assert_eq!(message, bytes[5..]);
        assert_eq!(bytes[0], 0);
    }
});
