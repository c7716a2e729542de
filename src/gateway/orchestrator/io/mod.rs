//! Sockets and files for orchestrators: gRPC, discovery, the cached list, and the pin file.
//!
//! Does not: decide; the pure files beside it do.

mod cache;
mod discovery;
mod grpc;
mod pins;

pub use discovery::{FindError, Finder, FoundList, ListSource};
pub use grpc::{FetchedInfo, InfoError, fetch_info, unframe};
pub use pins::PinFile;
