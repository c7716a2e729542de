//! Connections for streams, and calls with short bodies.
//!
//! Does not: retry; the callers decide.

mod agents;
mod authorities;
mod call;
mod congestion;
mod connect;
mod connect_error;
mod gauge;
mod guarded;
mod http1;
mod lookup;
mod origin;
mod pace;
mod reach;
mod tls_link;
mod tls_settings;
mod traffic;
mod tuning;

pub use authorities::{CaFileError, service_client, service_client_by, service_connector};
pub use call::{CallError, Client, HttpAnswer, HttpRequest};
pub use congestion::Congestion;
pub use connect::{Alpn, Connector, MaybeTlsStream};
pub use connect_error::ConnectError;
pub use gauge::ConnectionStats;
pub(crate) use gauge::{Gauge, Gauges};
pub(crate) use guarded::{Allowance, GuardedStream};
pub(crate) use http1::{Http1, http1_request};
pub use traffic::Traffic;

/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("livepeer-edge/", env!("CARGO_PKG_VERSION"));
