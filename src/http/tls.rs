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
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use crate::http::{Authority, Url};
use crate::words;

/// The SHA-256 of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect::<Option<_>>()?;
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the certificate authorities of the system say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaVerdict {
    /// The chain ends at a known authority and the name fits.
    Valid,
    /// It does not; the reason as rustls words it.
    Invalid(String),
    /// It does, but a certificate is not valid at this machine's time.
    WrongTime(String),
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

/// This machine's clock, as far as certificates are concerned: there is one, whoever asks.
pub static WALL_CLOCK: WallClock =
    WallClock { is_disbelieved: AtomicBool::new(false), has_refused: AtomicBool::new(false) };

/// Whether the time of day is believed. Nothing but certificates needs it.
#[derive(Debug)]
pub struct WallClock {
    is_disbelieved: AtomicBool,
    has_refused: AtomicBool,
}

impl WallClock {
    /// Whether what a certificate says of its time counts for nothing now.
    pub fn is_disbelieved(&self) -> bool {
        self.is_disbelieved.load(Ordering::Relaxed)
    }

    /// From now on, a chain that is good but for its time is good, or not.
    pub fn disbelieve(&self, is_disbelieved: bool) {
        self.is_disbelieved.store(is_disbelieved, Ordering::Relaxed);
    }

    /// Whether a certificate was refused for its time since this was asked last.
    pub fn take_refusal(&self) -> bool {
        self.has_refused.swap(false, Ordering::Relaxed)
    }
}

/// Times that are tried until a chain that is good but for its time is known as such: one for each certificate.
const TIMES: usize = 4;

/// What authorities say. A certificate whose time is wrong is looked at again at a time that it names, so that
/// a wrong clock excuses nothing else.
fn verdict<T>(
    verify: impl Fn(UnixTime) -> Result<T, rustls::Error>,
    mut now: UnixTime,
) -> CaVerdict {
    let mut wrong_time = None;
    for _ in 0..TIMES {
        let error = match (verify(now), wrong_time) {
            (Ok(_), None) => return CaVerdict::Valid,
            (Ok(_), Some(reason)) => return CaVerdict::WrongTime(reason),
            (Err(error), before) => {
                let reason = words::shown(&error.to_string());
                let Some(time) = valid_time(&error) else { return CaVerdict::Invalid(reason) };
                now = time;
                before.unwrap_or(reason)
            }
        };
        wrong_time = Some(error);
    }
    CaVerdict::Invalid("its certificates are not valid at the same time".to_owned())
}

/// A time at which the certificate that this error is about is valid, if it is about time.
fn valid_time(error: &rustls::Error) -> Option<UnixTime> {
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    if let CertificateError::NotValidYetContext { not_before, .. } = error {
        return Some(*not_before);
    }
    if let CertificateError::ExpiredContext { not_after, .. } = error {
        return Some(*not_after);
    }
    None
}

/// A rustls verifier for one peer.
#[derive(Debug)]
pub struct TlsPeer {
    peer: Authority,
    under: Option<Authority>,
    judge: Arc<dyn Judge>,
    ca: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl TlsPeer {
    /// A verifier for connections to `url` that asks `ca` (the system's authorities; `None` where there are none), then `judge`.
    pub fn new(
        url: &Url,
        judge: Arc<dyn Judge>,
        ca: Option<Arc<WebPkiServerVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let (peer, under) = (url.authority().clone(), url.under().cloned());
        Self { peer, under, judge, ca, provider }
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
                let at = |now| {
                    let name = server_name;
                    ca.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
                };
                let verdict = verdict(at, now);
                let is_about_time = matches!(verdict, CaVerdict::WrongTime(_));
                if is_about_time && WALL_CLOCK.is_disbelieved() {
                    CaVerdict::Valid
                } else {
                    verdict
                }
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
                if let Distrust::WrongTime(_) = distrust {
                    WALL_CLOCK.has_refused.store(true, Ordering::Relaxed);
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

    #[test]
    fn a_fingerprint_is_the_sha256_and_reads_back() {
        let print = Fingerprint::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(print.to_string(), hex);
        assert_eq!(Fingerprint::parse(hex), Some(print));
        assert_eq!(Fingerprint::parse(&hex.to_uppercase()), Some(print));
        assert_eq!(Fingerprint::parse(&hex[1..]), None);
        assert_eq!(Fingerprint::parse(&hex.replace('b', "g")), None);
    }
}
