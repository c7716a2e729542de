//! An orchestrator in one process on loopback that behaves as the real one, for `demo`, for `sandbox`, and for tests.
//!
//! ```text
//!             one port, TLS (plain HTTP if allowed), one thread
//!   ALPN h2 ──▶ io::grpc ──▶ GetOrchestrator
//!   http/1.1 ─▶ io::server ─▶ route ─┬─▶ io::start: POST /live-video-to-video makes channels
//!                                    └─▶ trickle::io: POST and GET of segments
//!                                            │ ▲
//!                            publish, control ▼ │ output, events
//!                                         io::app, the echo app of a job ──▶ check
//! ```
//!
//! It listens with a fresh self-signed certificate, hands out auth tokens and wants them back, answers trickle as
//! the Go server does, returns the video of a job unchanged or transformed, and lists what a gateway does
//! wrong. On the script of a test it does wrong itself. All of it is bounded.
//!
//! Does not: take payments yet, and does not trust or verify its clients.

mod check;
mod echo;
mod http1;
mod io;
mod offer;
mod options;
mod record;
mod route;
mod script;
mod start;
mod token;
mod trickle;
mod world;

pub use check::{Violation, Violations};
pub use io::{Handle, Sandbox, StartError};
pub use options::{Options, Timings};
pub use record::{Counters, Record, Request, Target};
pub use script::{Break, InfoTrouble, Role, StartTrouble, Trouble};
