//! Notifies the service manager: ready, status, watchdog, stopping (`sd_notify(3)`).
//!
//! The watchdog is fed while frames move, or during a wait with a limit. A process that only exists does not feed it, and
//! systemd restarts it.
//!
//! ```text
//!  agent ──ready, status, stopping──────────────▶ io::Service ──▶ $NOTIFY_SOCKET
//!  agent ──progress, wait, tick──▶ Watchdog ─Feed─▶┘
//! ```
//!
//! Without a service manager all calls do nothing.
//!
//! Does not: observe the agent; the agent reports what happens.

mod io;
mod message;
mod watchdog;

pub use io::{Service, is_service};
pub use watchdog::{Feed, Watchdog};
