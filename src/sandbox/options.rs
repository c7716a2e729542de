//! The settings of a sandbox.
//!
//! Does not: read arguments; `cli` does.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::RunnerOptions;
use livepeer_gateway::http::Fingerprint;
use media::Video;

/// The settings of a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host in URLs and in the certificate; `None` uses the listening address.
    pub host: Option<String>,
    /// The first TLS certificate; `None` makes a self-signed one.
    pub certificate: Option<Certificate>,
    /// Whether to accept plain HTTP too, on the same port. Answers to plain requests then contain `http` URLs.
    pub plain_http: bool,
    /// Whether a POST to an unknown channel creates the channel. Orchestrators do not do that.
    pub autocreate: bool,
    /// The offered models; an empty list offers every model.
    pub models: Vec<String>,
    /// Maximum number of jobs at a time; more are refused with 503.
    pub capacity: u32,
    /// How long the start of a job takes, to simulate the loading of a model.
    pub start_delay: Duration,
    /// The format of video that an effect returns.
    pub effect_video: Video,
    /// Whether the continuity counters restart at 0 in each returned segment, as the network's runner writes them.
    pub restarts_counters: bool,
    /// Whether the models are announced as loaded.
    pub warm: bool,
    /// The price of live video, in wei per pixel. `None` is free and needs no signature.
    pub price: Option<u32>,
    /// The time that one ticket pays for. While the amount due is less than the value of a ticket, the signer answers
    /// 482.
    pub ticket: Duration,
    /// The signer, on another port; `None` starts no signer.
    pub signer: Option<SignerOptions>,
    /// The live runners.
    pub runners: Vec<RunnerOptions>,
    /// Additional entries of the signer's list of orchestrators, each a JSON text. Invalid JSON is served unchanged.
    pub listed: Vec<String>,
    /// The intervals and lifetimes.
    pub timings: Timings,
    /// Whether the clock of tokens, tickets and debits stands still between calls of [`crate::Handle::advance`].
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

/// A TLS certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate in DER form.
    pub der: Vec<u8>,
    /// The private key in PKCS #8 DER form.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &Fingerprint::of(&self.der))
            .finish_non_exhaustive()
    }
}

/// The settings of the signer, which accepts TLS and plain HTTP on the same port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerOptions {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The header that every call must have, such as `Authorization`; `None` requires no header.
    pub header: Option<String>,
    /// The accepted values of this header.
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

/// A credential that the signer accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The value of the header.
    pub value: String,
    /// The owner of the credential. A session can continue with another credential only if the owner is the same.
    pub owner: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// The intervals and lifetimes of a sandbox. The defaults are those of the real server; tests use shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// The interval of `100 Continue` to a publisher that has not sent a byte.
    pub continue_every: Duration,
    /// A channel is closed after this long without a new segment.
    pub idle: Duration,
    /// The interval of checks for idle channels.
    pub sweep: Duration,
    /// How long a connection stays half open after its last answer (Go's `net/http`).
    pub linger: Duration,
    /// The interval of a job's status events.
    pub status_every: Duration,
    /// The lifetime of an auth token. In the last tenth of it, signers require a new token.
    pub token: Duration,
    /// The lifetime of ticket parameters: 40 blocks of 12 s (go-livepeer `pm/recipient.go:28`).
    pub terms: Duration,
    /// The interval of a paid job's debits.
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
