//! Live runners: their settings, their reserved sessions, and their answers.
//!
//! ```text
//!                 402 challenge          payment, capacity              stop, unpaid, lost
//!   reserve ────────────────────▶ paid ───────────────▶ Session(id) ───────────────────────▶ gone: 404
//!                                                            │ call of `echo`: the app runs
//! ```
//!
//! A single-shot runner has a session while it answers. The checks have go-livepeer's order (`server/ai_http.go`):
//! runner (404), challenge (402), payment (402), credentials (403), capacity (503), tickets (400).
//!
//! Does not: use channels or sockets.

pub(crate) mod answers;
mod options;
mod sessions;

pub use options::{RunnerOptions, SingleShot};
pub(crate) use sessions::{RunnerSessionError, Sessions};
