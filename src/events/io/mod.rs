//! The bus, and the sinks that write events to files, programs and web servers.
//!
//! Does not: decide what is published; the agent does.

mod bus;
mod file;
mod hook;
mod sinks;
mod stdout;
mod webhook;

pub use bus::{Bus, Subscription};
pub use sinks::Sinks;
