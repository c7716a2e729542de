//! HTTP for all features: URLs, one trust policy for every TLS connection, and two kinds of clients.
//! [`io::Connector`] makes connections for streams (hyper, h2); [`io::Client`] makes calls with short bodies (ureq).
//!
//! Does not: know the endpoints of the network; features do.

mod follow;
pub mod io;
mod service;
mod sock_diag;
mod tls;
mod url;
mod wall_clock;
mod zone;

pub use follow::{AnsweringPeer, RefusedUrl, follow, follow_text, within_reach};
pub use resilience::fingerprint::Fingerprint;
pub use service::ServiceTrust;
pub use tls::{CaVerdict, Distrust, TlsPeer, TrustPolicy};
pub use url::{Authority, Scheme, Url, UrlError};
pub use wall_clock::{TimeRefusal, WallClock};
pub use zone::Zone;
