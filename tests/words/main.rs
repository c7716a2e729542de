//! Checks that every error and every warning of the agent has a test that raises it.
//!
//! `causes` and `variants` list every variant of every error, and every warning in the sources, with the test that
//! raises it, or the reason why none does. The tests of this program are named `row_`; they cause the errors for real,
//! with files, pipelines, sockets and the built program.
//!
//! Does not: depend on the file that contains a text, so texts can move.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod camera;
mod causes;
#[cfg(feature = "sandbox")]
#[path = "../edge/mod.rs"]
mod edge;
mod gateway;
mod input;
#[cfg(feature = "sandbox")]
mod program;
mod sources;
mod variants;
