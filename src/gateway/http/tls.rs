//! Verifies a peer's certificate: one verifier for gRPC, HTTP and trickle.
//!
//! The verifier first checks the chain against the system's certificate authorities. Then a [`TrustPolicy`] decides by the
//! policy for this host and port. The TLS signature is always checked too, so that the peer proves that it holds the
//! private key: otherwise a copied certificate would pass a pin.
//!
//! Does not: store pins (`orchestrator::trust` does), or open sockets.

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
use resilience::sanitize;

/// The result of checking a chain against the certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaVerdict {
    /// The chain ends at a known authority and the name matches.
    Valid,
    /// The chain is refused, for this reason from rustls.
    Invalid(String),
    /// The chain ends at a known authority and the name matches, but a certificate is not valid by this computer's
    /// clock. The chain is valid at another time that could be the present.
    WrongTime(String),
    /// Like `WrongTime`, while the clock is doubted for this peer.
    Doubtful(String),
}

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The certificate is not signed by a known authority, which the policy requires.
    #[error(
        "certificate is not signed by a known authority ({0}); pin it, or use trust = \"tofu\""
    )]
    NoAuthority(String),
    /// The same as `NoAuthority`, for a signer, a discovery endpoint or a broker.
    #[error(
        "certificate is not signed by a known authority ({0}); set services.pins or services.ca-file (broker: mqtt.pin, mqtt.ca-file)"
    )]
    NoService(String),
    /// Another certificate is pinned.
    #[error("certificate {seen} is not the pinned one {wanted}")]
    Pinned {
        /// The pinned certificate.
        wanted: Fingerprint,
        /// The certificate that the peer showed.
        seen: Fingerprint,
    },
    /// The peer's last certificate was signed by a known authority, and this one is not.
    #[error(
        "certificate {seen} is not signed by a known authority ({reason}), but the peer's previous one was; if the change is expected, use `livepeer-edge trust forget`"
    )]
    VouchedBefore {
        /// The certificate that the peer showed.
        seen: Fingerprint,
        /// Why the certificate is not signed by a known authority.
        reason: String,
    },
    /// The policy accepts pinned certificates only, and none is pinned for this peer.
    #[error("no certificate is pinned for this peer; it shows {seen}")]
    NotPinned {
        /// The certificate that the peer showed.
        seen: Fingerprint,
    },
    /// The certificate is not valid by this computer's clock, which may be wrong.
    #[error("certificate is not valid now ({0}); check this computer's clock")]
    WrongTime(String),
    /// The same as `WrongTime`, for a signer or discovery endpoint, which is never trusted while the clock is wrong.
    #[error(
        "certificate is not valid now ({0}); check this computer's clock, or pin the certificate in services.pins (a broker's in mqtt.pin), which needs no clock"
    )]
    WrongTimeOfService(String),
}

/// A trust policy: decides whether to accept a certificate.
pub trait TrustPolicy: fmt::Debug + Send + Sync {
    /// Accepts or refuses the certificate `seen` of `peer`. `under` is the orchestrator that named `peer`, if `peer` is
    /// not an orchestrator itself; `ca` is the result of checking the chain.
    fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Result<(), Distrust>;
}

/// The maximum number of times at which a chain is checked: one for each certificate in it.
const TIMES: usize = 4;

/// Checks a chain at `now`, or at `newest` if `now` is earlier. If the chain is not valid then, it is checked at later
/// times, from `newest` on. So a wrong clock does not hide another fault, or a chain that expired before `newest`.
fn verdict(
    verify: impl Fn(UnixTime) -> Result<(), rustls::Error>,
    now: UnixTime,
    newest: UnixTime,
) -> CaVerdict {
    let shown = |error: &rustls::Error| sanitize::message(&error.to_string());
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

/// The start of the certificate's validity, if the error says that it is not valid yet.
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
    judge: Arc<dyn TrustPolicy>,
    clock: Arc<WallClock>,
    ca: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl TlsPeer {
    /// A verifier for connections to `url`: checks the chain by `ca` (`None` if the computer has no authorities), then
    /// asks `judge`.
    pub(crate) fn new(
        url: &Url,
        judge: Arc<dyn TrustPolicy>,
        clock: Arc<WallClock>,
        ca: Option<Arc<WebPkiServerVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let (peer, under) = (url.authority().clone(), url.under().cloned());
        Self { peer, under, judge, clock, ca, provider }
    }
}

impl TlsPeer {
    /// Checks the chain, and records what the result shows about the clock.
    fn ask_authorities(
        &self,
        verify: impl Fn(UnixTime) -> Result<(), rustls::Error>,
        now: UnixTime,
    ) -> CaVerdict {
        let newest = self.clock.newest();
        let mut verdict = verdict(&verify, now, newest);
        if let CaVerdict::WrongTime(reason) = &verdict
            && self.clock.is_doubted(&self.peer)
        {
            verdict = CaVerdict::Doubtful(reason.clone());
        }
        if verdict == CaVerdict::Valid && now >= newest {
            self.clock.settle(&self.peer);
        }
        if let CaVerdict::Valid | CaVerdict::Doubtful(_) = verdict {
            // Check at 1970: the error then contains the start of the certificate's validity, which is when it was
            // signed.
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
            None => CaVerdict::Invalid("this computer has no list of authorities".to_owned()),
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

    /// A chain of certificates, each with the start and end of its validity, checked in order as webpki does.
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

    /// Checks a chain at `now`, with `newest` at 1000.
    #[track_caller]
    fn check(certificates: &'static [(u64, u64)], now: u64, expected: &str) {
        let said = |is_good| match verdict(chain(certificates, is_good), at(now), at(1000)) {
            CaVerdict::Valid => "valid",
            CaVerdict::Invalid(_) => "invalid",
            CaVerdict::WrongTime(_) => "wrong time",
            CaVerdict::Doubtful(_) => "doubtful",
        };
        assert_eq!(said(true), expected, "{certificates:?} at {now}");
        assert_eq!(said(false), "invalid", "a bad chain is valid at no time");
    }

    #[test]
    fn a_chain_is_judged_at_times_that_can_be_the_present() {
        check(&[(900, 2000), (500, 5000)], 1500, "valid");
        // The clock is earlier than `newest`.
        check(&[(900, 2000), (500, 5000)], 5, "valid");
        check(&[(1100, 2000), (500, 5000)], 5, "wrong time");
        check(&[(1100, 2000), (1200, 5000)], 1050, "wrong time");
        // The clock may be fast, and the chain still valid.
        check(&[(900, 2000), (500, 5000)], 9999, "wrong time");
        // A chain that expired before `newest` is invalid by any clock.
        for now in [5, 700, 1500, 9999] {
            check(&[(500, 950), (400, 5000)], now, "invalid");
            check(&[(900, 2000), (400, 950)], now, "invalid");
        }
        check(&[(1100, 1200), (1300, 5000)], 1150, "invalid");
    }
}
