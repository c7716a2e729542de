//! What the service manager is told: ready, what is going on, still alive, stopping (`sd_notify(3)`).
//!
//! "Alive" means that frames move, or that the agent waits for something it can name; a process that is
//! merely up starves the watchdog, and systemd restarts it.
//!
//! ```text
//!  agent ──ready, status, stopping──────────────▶ io::Service ──▶ $NOTIFY_SOCKET
//!  agent ──progress, wait, tick──▶ Watchdog ─Feed─▶┘
//! ```
//!
//! Without a service manager all of it does nothing.
//!
//! Does not: watch anything by itself; the agent says what happens.

mod io;
mod message;
mod watchdog;

pub use io::{Service, is_service};
pub use watchdog::{Feed, Watchdog};
