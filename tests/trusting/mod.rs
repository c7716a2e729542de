//! A trust policy that accepts the self-signed certificates of test servers.
//!
//! Does not: check certificates.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::sync::{Arc, Mutex};

use livepeer_gateway::http::io::Connector;
use livepeer_gateway::http::{Authority, CaVerdict, Distrust, Fingerprint, TrustPolicy};

/// Accepts every certificate and keeps the fingerprint of the last one.
#[derive(Debug, Default)]
pub(crate) struct Trusting {
    pub(crate) seen: Mutex<Option<Fingerprint>>,
}

impl TrustPolicy for Trusting {
    fn judge(
        &self,
        _: &Authority,
        _: Option<&Authority>,
        seen: &Fingerprint,
        _: &CaVerdict,
    ) -> Result<(), Distrust> {
        *self.seen.lock().unwrap() = Some(*seen);
        Ok(())
    }
}

/// A connector that accepts every certificate.
pub(crate) fn connector() -> Arc<Connector> {
    Arc::new(Connector::new(Arc::new(Trusting::default())))
}
