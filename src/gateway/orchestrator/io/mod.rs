//! Calls to orchestrators and files about them: gRPC, discovery, the cached list, and the pin file.
//!
//! Does not: decide; the pure files of the parent module do.

mod cache;
mod discovery;
mod grpc;
mod pins;

pub use discovery::{FindError, Finder, FoundList, ListSource};
pub use grpc::{FetchedInfo, InfoError, fetch_info, unframe};
pub use pins::PinFile;
