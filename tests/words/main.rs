//! What the agent says when something goes wrong, each text with the cause that raises it.
//!
//! `causes` and `variants` list every variant of every error and every warning in the sources, with the row or test
//! that raises it, or the reason why none does. The rows raise real causes: files, pipelines, sockets, and the built
//! program.
//!
//! Does not: know in which file a text is; texts are found wherever they move.
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
