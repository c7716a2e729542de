//! Calls to runners: lists, reservations, applications, payments, and the stop of a session.
//!
//! Does not: decide what follows an answer; the files of `runner` outside `io` do.

mod call;
mod find;
mod job;
mod open;
mod payments;
mod session;

pub use call::{CallOptions, SingleShotCall};
pub use find::find_runners;
pub use job::RunnerJob;

pub(in crate::job) use job::AppUpdate;
pub(in crate::job) use open::{GrantedRequest, PaidReply, PaidRequest, open};
pub(in crate::job) use payments::RunnerPayments;
pub(in crate::job) use session::RunnerSession;
