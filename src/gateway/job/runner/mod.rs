//! Jobs on Live Runners: an application on an orchestrator, reserved, started, paid and stopped over HTTP.
//!
//! ```text
//!  lists ──choice──▶ runner ──reservation──▶ session ──app start──▶ channels ──▶ StartedJob
//!            │ unfit     │ next runner           │ fails                │ payments, updates
//!            ▼           ▼                       ▼                      ▼
//!         rejected ◀─────┴───────────────────── stop ◀──────────────── stop
//! ```
//!
//! A session that may exist is always stopped, because it costs capacity and money: its guard (`RunnerSession`)
//! requests the stop when it is dropped, if nothing else has requested it.
//!
//! Does not: move media, or know any application beyond its [`AppApi`].

mod api;
mod choice;
mod error;
mod io;
mod moved;
mod reservation;
mod wire;

pub use api::{ApiError, AppApi, JsonPointer, UpdateTarget};
pub use api::{call_path, path};
pub use choice::{ListedRunner, RunnerOptions, RunnerSelection, known_runners};
pub use error::{RunnerError, Step};
pub use io::{CallOptions, RunnerJob, SingleShotCall, find_runners};
pub use moved::RedirectError;
pub(crate) use reservation::{Reservation, ReservationStep};

pub(in crate::job) use io::{
    AppUpdate, GrantedRequest, PaidReply, PaidRequest, RunnerPayments, RunnerSession, open,
};
