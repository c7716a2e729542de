//! Pictures of both streams for other parts of the program, made only when they are asked for.
//!
//! Does not: share its reading of a stream with the viewers of the API.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::live::Live;
use crate::agent::Outputs;
use crate::api::{Times, Which};
use media::io::AccessUnits;

/// Makes pictures. Clones share them.
#[derive(Clone)]
pub struct Pictures(Arc<Live>);

impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pictures")
    }
}

impl Pictures {
    /// Pictures of the input that comes through `units`, and of the output that `outputs` get.
    pub fn new(units: AccessUnits, outputs: Outputs) -> Self {
        Self(Arc::new(Live::new(units, outputs, Times::default().first_key)))
    }

    /// The newest picture of a stream as JPEG, once it has a key frame. The error is one line that says why there is none.
    pub async fn snapshot(&self, which: Which) -> Result<Bytes, String> {
        self.0.snapshot(which).await.map_err(|refusal| refusal.message())
    }
}
