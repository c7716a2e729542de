//! Decides whether a peer's certificate is believed: one verifier for gRPC, HTTP and trickle.
//!
//! The verifier first asks the certificate authorities of the system, then puts the question to a
//! [`Judge`], which knows the policy for this host and port. Whatever the judge says about the
//! certificate, the peer must still prove that it holds the private key: signatures are always checked,
//! else a copied public certificate would defeat a pin.
//!
//! Does not: store pins (`orchestrator::trust` does), and does not open sockets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use crate::http::{Authority, TimeRefusal, Url, WallClock};
use resilience::fingerprint::Fingerprint;
use resilience::words;

/// What the certificate authorities of the system say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaVerdict {
    /// The chain ends at a known authority and the name fits.
    Valid,
    /// It does not; the reason as rustls words it.
    Invalid(String),
    /// It does, but a certificate is not valid at this machine's time. It would be at a time that can be the present.
    WrongTime(String),
    /// The same, where the clock says nothing of this peer.
    Doubtful(String),
}

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// No authority vouches for it, and the policy asks for one.
    NoAuthority(String),
    /// No authority vouches for a signer or a discovery endpoint.
    NoService(String),
    /// The policy pins another certificate.
    Pinned {
        /// The certificate that the policy asks for.
        wanted: Fingerprint,
        /// The certificate that the peer showed.
        seen: Fingerprint,
    },
    /// An authority vouched for the peer's certificate before, and none does now.
    VouchedBefore {
        /// The certificate that the peer showed.
        seen: Fingerprint,
        /// Why no authority vouches for it.
        reason: String,
    },
    /// The policy pins certificates, but none for this peer.
    NotPinned {
        /// The certificate that the peer showed.
        seen: Fingerprint,
    },
    /// The certificate is not valid at this machine's time: perhaps its clock is wrong.
    WrongTime(String),
    /// The same of a signer or a discovery endpoint, none of which is believed without a clock.
    WrongTimeOfService(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthority(reason) => write!(
                f,
                "certificate is not signed by a known authority ({reason}); pin it, or use trust = \"tofu\""
            ),
            Self::NoService(reason) => write!(
                f,
                "certificate is not signed by a known authority ({reason}); give its services.pins or services.ca-file"
            ),
            Self::Pinned { wanted, seen } => {
                write!(f, "certificate {seen} is not the pinned one {wanted}")
            }
            Self::VouchedBefore { seen, reason } => write!(
                f,
                "certificate {seen} is not signed by a known authority ({reason}), and the one before it was; if that is right, use `livepeer-edge trust forget`"
            ),
            Self::NotPinned { seen } => {
                write!(f, "no certificate is pinned for it; it shows {seen}")
            }
            Self::WrongTime(reason) => {
                write!(f, "certificate is not valid now ({reason}); check this machine's clock")
            }
            Self::WrongTimeOfService(reason) => write!(
                f,
                "certificate is not valid now ({reason}); check this machine's clock, or pin the certificate in services.pins, which needs no clock"
            ),
        }
    }
}

impl std::error::Error for Distrust {}

/// Knows the policy of trust and judges certificates by it.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Whether `peer`, which the orchestrator `under` named if it is not one itself, may show the certificate `seen`.
    fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Result<(), Distrust>;
}

/// Times that are tried until a chain that is good but for its time is known as such: one for each certificate.
const TIMES: usize = 4;

/// What authorities say. It is not earlier than `newest`, whatever the clock says. A certificate whose time is wrong is
/// looked at again from that time on, so that a wrong clock excuses nothing else, and no chain that has ended.
fn verdict(
    verify: impl Fn(UnixTime) -> Result<(), rustls::Error>,
    now: UnixTime,
    newest: UnixTime,
) -> CaVerdict {
    let shown = |error: &rustls::Error| words::shown(&error.to_string());
    let reason = match verify(now.max(newest)) {
        Ok(()) => return CaVerdict::Valid,
        Err(error) if valid_from(&error).is_some() || is_expired(&error) => shown(&error),
        Err(error) => return CaVerdict::Invalid(shown(&error)),
    };
    let mut time = newest;
    for _ in 0..TIMES {
        match verify(time) {
            Ok(()) => return CaVerdict::WrongTime(reason),
            Err(error) => match valid_from(&error).filter(|from| *from > time) {
                Some(from) => time = from,
                None => return CaVerdict::Invalid(shown(&error)),
            },
        }
    }
    CaVerdict::Invalid("its certificates are not valid at the same time".to_owned())
}

/// From when on the certificate is valid that this error is about, if it is not yet.
fn valid_from(error: &rustls::Error) -> Option<UnixTime> {
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    let CertificateError::NotValidYetContext { not_before, .. } = error else { return None };
    Some(*not_before)
}

fn is_expired(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext};
    let rustls::Error::InvalidCertificate(error) = error else { return false };
    matches!(error, Expired | ExpiredContext { .. })
}

/// A rustls verifier for one peer.
#[derive(Debug)]
pub struct TlsPeer {
    peer: Authority,
    under: Option<Authority>,
    judge: Arc<dyn Judge>,
    clock: Arc<WallClock>,
    ca: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl TlsPeer {
    /// A verifier for connections to `url` that asks `ca` (the system's authorities; `None` where there are none), then `judge`.
    pub(crate) fn new(
        url: &Url,
        judge: Arc<dyn Judge>,
        clock: Arc<WallClock>,
        ca: Option<Arc<WebPkiServerVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let (peer, under) = (url.authority().clone(), url.under().cloned());
        Self { peer, under, judge, clock, ca, provider }
    }
}

impl TlsPeer {
    /// What authorities say, and what that says of the time.
    fn ask_authorities(
        &self,
        verify: impl Fn(UnixTime) -> Result<(), rustls::Error>,
        now: UnixTime,
    ) -> CaVerdict {
        let newest = self.clock.newest();
        let mut verdict = verdict(&verify, now, newest);
        if let CaVerdict::WrongTime(reason) = &verdict {
            if self.clock.is_doubted(&self.peer) {
                verdict = CaVerdict::Doubtful(reason.clone());
            }
        }
        if verdict == CaVerdict::Valid && now >= newest {
            self.clock.settle(&self.peer);
        }
        if let CaVerdict::Valid | CaVerdict::Doubtful(_) = verdict {
            // At the beginning of all time, it is not valid yet, and says when it was signed.
            let beginning = verify(UnixTime::since_unix_epoch(Duration::ZERO));
            if let Some(signed) = beginning.err().as_ref().and_then(valid_from) {
                self.clock.saw(signed);
            }
        }
        verdict
    }
}

impl ServerCertVerifier for TlsPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.ca {
            None => CaVerdict::Invalid("this machine has no list of authorities".to_owned()),
            Some(ca) => {
                let verify = |time| {
                    let name = server_name;
                    ca.verify_server_cert(end_entity, intermediates, name, ocsp_response, time)
                        .map(drop)
                };
                self.ask_authorities(verify, now)
            }
        };
        match self.judge.judge(
            &self.peer,
            self.under.as_ref(),
            &Fingerprint::of(end_entity),
            &verdict,
        ) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(distrust) => {
                let of_service = matches!(distrust, Distrust::WrongTimeOfService(_));
                if of_service || matches!(distrust, Distrust::WrongTime(_)) {
                    let peer = self.peer.clone();
                    self.clock.on_late(TimeRefusal { peer, may_be_doubted: !of_service });
                }
                Err(CertificateError::Other(OtherError(Arc::new(distrust))).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    /// A chain of certificates, each valid from one time to another, as webpki looks at them in turn.
    fn chain(
        certificates: &'static [(u64, u64)],
        is_good: bool,
    ) -> impl Fn(UnixTime) -> Result<(), rustls::Error> {
        move |time| {
            for (from, until) in certificates.iter().copied() {
                let error = if time < at(from) {
                    CertificateError::NotValidYetContext { time, not_before: at(from) }
                } else if time > at(until) {
                    CertificateError::ExpiredContext { time, not_after: at(until) }
                } else {
                    continue;
                };
                return Err(error.into());
            }
            if is_good { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
        }
    }

    /// What is said of a chain at this time, where 1000 is known to be past.
    #[track_caller]
    fn check(certificates: &'static [(u64, u64)], now: u64, expected: &str) {
        let said = |is_good| match verdict(chain(certificates, is_good), at(now), at(1000)) {
            CaVerdict::Valid => "valid",
            CaVerdict::Invalid(_) => "invalid",
            CaVerdict::WrongTime(_) => "wrong time",
            CaVerdict::Doubtful(_) => "doubtful",
        };
        assert_eq!(said(true), expected, "{certificates:?} at {now}");
        assert_eq!(said(false), "invalid", "no time makes a bad chain good");
    }

    #[test]
    fn a_chain_is_judged_at_times_that_can_be_the_present() {
        check(&[(900, 2000), (500, 5000)], 1500, "valid");
        // The clock stands before what is known to be past.
        check(&[(900, 2000), (500, 5000)], 5, "valid");
        check(&[(1100, 2000), (500, 5000)], 5, "wrong time");
        check(&[(1100, 2000), (1200, 5000)], 1050, "wrong time");
        // It may be ahead, and the chain still valid.
        check(&[(900, 2000), (500, 5000)], 9999, "wrong time");
        // What ended before what is known to be past has ended.
        for now in [5, 700, 1500, 9999] {
            check(&[(500, 950), (400, 5000)], now, "invalid");
            check(&[(900, 2000), (400, 950)], now, "invalid");
        }
        check(&[(1100, 1200), (1300, 5000)], 1150, "invalid");
    }
}
