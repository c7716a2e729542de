//! The local HTTP API of a running agent: its state, live video, snapshots, parameters, events and the page.
//!
//! ```text
//!  socket ─▶ hyper ─▶ Gate: Host, Origin, token ─▶ Route ─▶ answer
//!                                                     └────▶ viewers of the input and the output
//! ```
//!
//! | listens on | who may ask |
//! |---|---|
//! | a loopback address (the default) | every program of this computer; no page of another site |
//! | a Unix socket | every program that may open the socket's file |
//! | another address | every client that sends the token of `api.token`; without a token, such a configuration is refused |
//!
//! Everything that a client can make grow has a bound in [`limits`]. Video is read from the agent only while a
//! client reads it.
//!
//! Does not: speak TLS. For other networks than your own, put a proxy with TLS in front of it.

mod answer;
mod fan;
mod gate;
mod io;
pub mod limits;
mod listen;
mod page;
mod refusal;
mod route;
mod seat;

pub use io::{Api, Pictures, Sources};
pub(crate) use io::{KeptAddress, kept_address, try_to_listen};
pub use limits::Times;
pub use listen::Listen;
pub use route::Which;

use resilience::secret::SecretSource;

/// Where the API listens, and who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Where the API listens.
    pub listen: Listen,
    /// Where the token is kept that every request must carry.
    pub token: Option<SecretSource>,
}
