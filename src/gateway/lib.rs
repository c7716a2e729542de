//! A Livepeer client for any Rust program.
//!
//! Does not: know video, GStreamer or the agent.

pub mod clock;
pub mod endings;
pub mod http;
pub mod job;
pub mod limits;
pub mod orchestrator;
pub mod payment;
pub mod price;
pub mod segment;
pub mod session;
pub mod trickle;
