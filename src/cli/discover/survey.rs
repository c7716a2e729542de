//! Judges certificates as the agent does, and records the verdicts instead of pinning.
//!
//! Does not: change pins: a query must not establish trust.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use livepeer_gateway::http::{
    Authority, CaVerdict, Distrust, Fingerprint, Scheme, TrustPolicy, Url,
};
use livepeer_gateway::orchestrator::{Judgement, Pins, Trust, TrustBasis, TrustOptions};

/// The verdict on a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Certificate {
    /// A known authority has signed the certificate.
    Authority,
    /// The certificate is pinned.
    Pinned,
    /// The certificate would be pinned.
    New,
    /// The certificate would replace the pinned one.
    Changed,
    /// The certificate would be refused.
    Refused,
    /// Certificates are not checked.
    Unchecked,
    /// There is no certificate: plain HTTP.
    Plain,
    /// The certificate was not received.
    Unseen,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "authority",
            Self::Pinned => "pinned",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::Unchecked => "unchecked",
            Self::Plain => "plain",
            Self::Unseen => "-",
        })
    }
}

/// A judge that records its verdicts.
#[derive(Debug)]
pub(in crate::cli) struct Survey {
    options: TrustOptions,
    trust: Trust,
    seen: Mutex<BTreeMap<Authority, Certificate>>,
}

impl Survey {
    pub(in crate::cli) fn new(options: TrustOptions, pins: Pins) -> Self {
        let trust = Trust::new(options.clone(), pins);
        Self { options, trust, seen: Mutex::default() }
    }

    /// The verdict for `url`.
    pub(in crate::cli) fn of(&self, url: &Url) -> Certificate {
        if url.scheme() == Scheme::Http {
            return Certificate::Plain;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(url.authority()).copied().unwrap_or(Certificate::Unseen)
    }
}

impl TrustPolicy for Survey {
    fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Result<(), Distrust> {
        let judgement = self.trust.judge(peer, under, seen, ca);
        let certificate = match (&judgement, &self.options, ca) {
            (Judgement::Refuse(_), _, _) => Certificate::Refused,
            (Judgement::Keep(TrustBasis::Vouched), _, _) => Certificate::Authority,
            (Judgement::Keep(TrustBasis::Pinned(_)), _, _) => Certificate::New,
            (Judgement::Changed { .. }, _, _) => Certificate::Changed,
            (Judgement::Accept, TrustOptions::Insecure, _) => Certificate::Unchecked,
            (Judgement::Accept, TrustOptions::Pin(_), _) => Certificate::Pinned,
            (Judgement::Accept, _, CaVerdict::Valid | CaVerdict::Doubtful(_)) => {
                Certificate::Authority
            }
            (Judgement::Accept, _, _) => Certificate::Pinned,
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.clone(), certificate);
        match judgement {
            Judgement::Refuse(distrust) => Err(distrust),
            Judgement::Accept | Judgement::Keep(_) | Judgement::Changed { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepeer_gateway::orchestrator::{OnChange, Pin};

    const OLD: Fingerprint = Fingerprint([1; 32]);
    const NEW: Fingerprint = Fingerprint([2; 32]);

    #[track_caller]
    fn check(options: TrustOptions, pinned: Option<Fingerprint>, ca: bool, expected: Certificate) {
        let url = Url::parse("https://o.example:8935").unwrap();
        let mut pins = Pins::default();
        if let Some(print) = pinned {
            let (peer, basis) = ("o.example:8935".to_owned(), TrustBasis::Pinned(print));
            pins.keep(Pin { peer, under: None, basis });
        }
        let survey = Survey::new(options, pins);
        assert_eq!(survey.of(&url), Certificate::Unseen);
        let ca = if ca { CaVerdict::Valid } else { CaVerdict::Invalid("self-signed".into()) };
        let refused = survey.judge(url.authority(), None, &NEW, &ca).is_err();
        assert_eq!((survey.of(&url), refused), (expected, expected == Certificate::Refused));
    }

    #[test]
    fn each_verdict_is_the_one_of_the_agent() {
        let follow = || TrustOptions::Tofu { on_change: OnChange::Follow };
        let refuse = || TrustOptions::Tofu { on_change: OnChange::Refuse };
        let url = Url::parse("https://o.example:8935").unwrap();
        let pin = TrustOptions::Pin([(url.authority().clone(), NEW)].into());
        check(follow(), None, true, Certificate::Authority);
        check(follow(), None, false, Certificate::New);
        check(follow(), Some(NEW), false, Certificate::Pinned);
        check(follow(), Some(OLD), false, Certificate::Changed);
        check(refuse(), Some(OLD), false, Certificate::Refused);
        check(TrustOptions::Ca, None, false, Certificate::Refused);
        check(pin, None, true, Certificate::Pinned);
        check(TrustOptions::Insecure, None, true, Certificate::Unchecked);
        let plain = Url::parse("http://127.0.0.1:1").unwrap();
        assert_eq!(Survey::new(follow(), Pins::default()).of(&plain), Certificate::Plain);
    }
}
