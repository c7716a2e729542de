//! Live runners: which there are, who has reserved them, and what is answered.
//!
//! ```text
//!                 402 challenge          payment, room                  stop, unpaid, lost
//!   reserve ────────────────────▶ paid ───────────────▶ Session(id) ───────────────────────▶ gone: 404
//!                                                            │ echo: its app runs
//! ```
//!
//! A single-shot runner holds a session for the time of its answer. The order of the checks is go-livepeer's
//! (`server/ai_http.go`): runner (404), challenge (402), payment (402), credentials (403), room (503),
//! tickets (400).
//!
//! Does not: touch channels or sockets.

pub(crate) mod answers;
mod options;
mod sessions;

pub use options::{RunnerOptions, SingleShot};
pub(crate) use sessions::{SessionError, Sessions};
