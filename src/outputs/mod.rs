//! The outputs of the configuration: opens them, gives them to the agent, and reports the state of each.
//!
//! Every output has a thread and a queue of its own (`media::io::Output`), so that a slow or dead one costs the others
//! nothing. Outputs whose options stay the same go on when the configuration changes.
//!
//! Does not: write video; `media::io` does.

mod changes;
mod io;

pub(crate) use io::check;
pub use io::{Outlets, OutputError};
pub use media::{Health, OutputState};
