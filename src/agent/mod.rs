//! The running program: builds the parts, owns their queues and their end, and turns what happens into
//! what `job::Machine` wants done.
//!
//! ```text
//!  opening, starting ─┐                    ┌─▶ open, start        (tasks)
//!  publisher, output ─┤                    ├─▶ run, close         (parts)
//!  events, control   ─┼─▶ Event ─▶ Machine ┤
//!  capture, signals  ─┤                    └─▶ finish
//!  time              ─┘
//! ```
//!
//! Every task is in one set, so a panic is an event and leaving the loop ends them all.
//!
//! Does not: decide when to go on or give up; the machine does.

mod error;
mod event;
mod fanout;
mod parts;
mod run;

pub use error::AgentError;
pub use fanout::{Fanout, OutputSink};
pub use run::{Agent, Options};
