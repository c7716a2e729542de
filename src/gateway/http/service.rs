//! Decides whether to trust the certificate of a signer or discovery endpoint.
//!
//! | for this host and port | accepted |
//! |---|---|
//! | a pin is set | the pinned certificate only, even if an authority signed another one |
//! | no pin, and the clock is in doubt | as with a right clock: a certificate outside its validity period is refused |
//! | no pin | a certificate signed by an authority: one of `ca_file` if it is set, else one of the system |
//!
//! Unlike orchestrators, these peers receive our credentials. So certificates are not trusted on first use, and no
//! setting accepts every certificate.
//!
//! Does not: read the file of authorities; `io` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, TrustPolicy};

/// The trust policy for signers and discovery endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceTrust {
    /// Pinned certificates by host and port. A host listed here is trusted by its pin alone.
    pub pins: BTreeMap<Authority, Fingerprint>,
    /// A PEM file of authorities that replace those of the system.
    pub ca_file: Option<PathBuf>,
}

impl TrustPolicy for ServiceTrust {
    fn judge(
        &self,
        peer: &Authority,
        _: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Result<(), Distrust> {
        match (self.pins.get(peer), ca) {
            (Some(wanted), _) if wanted == seen => Ok(()),
            (Some(wanted), _) => Err(Distrust::Pinned { wanted: *wanted, seen: *seen }),
            (None, CaVerdict::Valid) => Ok(()),
            (None, CaVerdict::Invalid(reason)) => Err(Distrust::NoService(reason.clone())),
            (None, CaVerdict::WrongTime(reason) | CaVerdict::Doubtful(reason)) => {
                Err(Distrust::WrongTimeOfService(reason.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    const OURS: Fingerprint = Fingerprint([1; 32]);
    const OTHER: Fingerprint = Fingerprint([2; 32]);

    #[track_caller]
    fn check(pin: Option<Fingerprint>, ca: CaVerdict, expected: Result<(), Distrust>) {
        let peer = Url::parse("https://signer.example:8081").unwrap().authority().clone();
        let pins = pin.map(|print| (peer.clone(), print)).into_iter().collect();
        let trust = ServiceTrust { pins, ca_file: None };
        assert_eq!(trust.judge(&peer, None, &OURS, &ca), expected);
    }

    #[test]
    fn certificates_are_accepted_as_the_table_says() {
        let unknown = || CaVerdict::Invalid("unknown issuer".into());
        let expired = || CaVerdict::WrongTime("expired".into());
        let pinned = || Err(Distrust::Pinned { wanted: OTHER, seen: OURS });
        check(None, CaVerdict::Valid, Ok(()));
        check(None, unknown(), Err(Distrust::NoService("unknown issuer".into())));
        let late = || Err(Distrust::WrongTimeOfService("expired".into()));
        check(None, expired(), late());
        check(None, CaVerdict::Doubtful("expired".into()), late());
        check(Some(OURS), CaVerdict::Doubtful("expired".into()), Ok(()));
        check(Some(OURS), CaVerdict::Valid, Ok(()));
        check(Some(OURS), unknown(), Ok(()));
        check(Some(OURS), expired(), Ok(()));
        check(Some(OTHER), CaVerdict::Valid, pinned());
        check(Some(OTHER), unknown(), pinned());
    }
}
