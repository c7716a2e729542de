//! Orchestrators: discovery, the `OrchestratorInfo`, capabilities, and trust in certificates.
//!
//! Does not: start jobs or choose among orchestrators.

mod capabilities;
mod discovery;
pub mod io;
mod pins;
pub mod proto;
mod token;
mod trust;

pub use capabilities::{Capability, CapabilityError, Fit, Pipeline};
pub use discovery::{
    DiscoveryEntry, DiscoveryList, DiscoveryQuery, Gpu, ListError, Runner, RunnerMode, list_url,
};
pub use pins::{Pin, Pins, TrustBasis};
pub use token::{DiscoveryStrategy, Endpoints, Headers, TokenError};
pub use trust::{Judgement, OnChange, Trust, TrustOptions};
