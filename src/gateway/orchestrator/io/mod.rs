//! Sockets and files of the orchestrator floor: gRPC, discovery, and the file of pins.
//!
//! Does not: decide; the pure files beside it do.

mod discovery;
mod grpc;
mod kept;
mod pins;

pub use discovery::{FindError, Finder, FoundList, ListSource};
pub use grpc::{FetchedInfo, InfoError, fetch_info, unframe};
pub use pins::PinFile;
