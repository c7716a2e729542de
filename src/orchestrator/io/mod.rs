//! Sockets and files of the orchestrator floor: gRPC, and the file of pins.
//!
//! Does not: decide; the pure files beside it do.

mod grpc;
mod pins;

pub use grpc::{InfoError, fetch_info};
pub use pins::PinFile;
