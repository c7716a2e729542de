//! How a sandbox is set up.
//!
//! Does not: read arguments; `cli` does.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::RunnerOptions;
use livepeer_gateway::http::Fingerprint;
use media::Video;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host that its URLs and its certificate name; `None` is the address it listens on.
    pub host: Option<String>,
    /// The certificate that it shows until it changes; `None` is a fresh self-signed one.
    pub certificate: Option<Certificate>,
    /// Plain HTTP is answered too, on the same port, with plain URLs.
    pub plain_http: bool,
    /// A POST to a channel that is not there makes it. Orchestrators do not do that.
    pub autocreate: bool,
    /// The models it offers; none means every model.
    pub models: Vec<String>,
    /// Jobs at a time; more are refused with 503.
    pub capacity: u32,
    /// How long the start of a job takes, as while a model loads.
    pub start_delay: Duration,
    /// The shape of video that comes out of an effect.
    pub effect_video: Video,
    /// The continuity counters of returned video begin at 0 in each segment, as the network's runner writes them.
    pub restarts_counters: bool,
    /// Its models are loaded.
    pub warm: bool,
    /// What live video costs, in wei per pixel. `None` is free, and asks for no signature.
    pub price: Option<u32>,
    /// The time that one ticket pays for. A ticket worth more than a payment makes signers answer 482.
    pub ticket: Duration,
    /// A signer on a port of its own.
    pub signer: Option<SignerOptions>,
    /// Live runners.
    pub runners: Vec<RunnerOptions>,
    /// More entries of the list of orchestrators that the signer serves, each a JSON text, sound or not.
    pub listed: Vec<String>,
    /// Its clocks.
    pub timings: Timings,
    /// The clock of tokens, tickets and debits stands still until it is put forward.
    pub is_frozen: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            host: None,
            certificate: None,
            plain_http: false,
            autocreate: false,
            models: Vec::new(),
            capacity: 4,
            start_delay: Duration::ZERO,
            effect_video: Video::default(),
            restarts_counters: false,
            warm: true,
            price: None,
            ticket: Duration::from_secs(5),
            signer: None,
            runners: Vec::new(),
            listed: Vec::new(),
            timings: Timings::default(),
            is_frozen: false,
        }
    }
}

/// A certificate, as an authority signs one.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// In DER form.
    pub der: Vec<u8>,
    /// Its private key, in PKCS #8 DER form.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &Fingerprint::of(&self.der))
            .finish_non_exhaustive()
    }
}

/// How its signer is set up. It answers TLS and plain HTTP on the same port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The header that every call needs, such as `Authorization`.
    pub header: Option<String>,
    /// The values that it may have.
    pub credentials: Vec<Credential>,
}

impl Default for SignerOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            header: None,
            credentials: Vec::new(),
        }
    }
}

/// A credential that the signer knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The header's value.
    pub value: String,
    /// Whose it is. A session goes on under another value only if it is the same owner's.
    pub owner: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// The clocks of a sandbox. The defaults are the real server's; tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Between two `100 Continue` to a publisher that has sent no byte.
    pub continue_every: Duration,
    /// A channel without a new segment for longer is closed.
    pub idle: Duration,
    /// Between two looks for idle channels.
    pub sweep: Duration,
    /// From the end of our side of a connection to the end of the whole (Go's `net/http`).
    pub linger: Duration,
    /// Between two status events of a job.
    pub status_every: Duration,
    /// How long an auth token is valid. Signers want a fresh one in its last tenth.
    pub token: Duration,
    /// How long ticket parameters are good: 40 blocks of 12 s (go-livepeer `pm/recipient.go:28`).
    pub terms: Duration,
    /// Between two debits of a job that costs something.
    pub debit: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            continue_every: Duration::from_secs(10),
            idle: Duration::from_secs(5 * 60),
            sweep: Duration::from_secs(60),
            linger: Duration::from_millis(500),
            status_every: Duration::from_secs(5),
            token: Duration::from_secs(30 * 60),
            terms: Duration::from_secs(8 * 60),
            debit: Duration::from_secs(5),
        }
    }
}
