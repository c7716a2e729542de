//! Collects the facts that the checks judge.
//!
//! Does not: judge the facts.

pub(super) mod agent;
pub(super) mod device;
pub(super) mod machine;
pub(super) mod network;
