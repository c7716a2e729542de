//! The returned video on its way to the file or to standard output that the user named.
//!
//! Does not: write by itself; `media::io::Output` has a thread for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Error;
use crate::agent::OutputSink;
use crate::config::Output as Choice;
use crate::media::io::{Output, Target};

/// How long what is left may take to be written at the end.
const CLOSE_TIME: Duration = Duration::from_millis(300);

/// The user's output, if there is one.
pub(super) struct Outlet(Option<Arc<Mutex<Output>>>);

impl Outlet {
    /// Opens what the configuration names.
    pub(super) fn open(choice: &Choice) -> Result<Self, Error> {
        let target = match choice {
            Choice::None => return Ok(Self(None)),
            Choice::Stdout => Target::Stdout,
            Choice::File(path) => Target::File(path.clone()),
        };
        let output = Output::open(&target).map_err(Error::Output)?;
        Ok(Self(Some(Arc::new(Mutex::new(output)))))
    }

    /// What the agent hands its bytes to.
    pub(super) fn sinks(&self) -> Vec<Box<dyn OutputSink>> {
        let sink = |output: &Arc<Mutex<Output>>| -> Box<dyn OutputSink> {
            Box::new(Sink { output: Arc::clone(output), begins: false })
        };
        self.0.iter().map(sink).collect()
    }

    /// Waits until all is written, a short time; an error of the disk shows here at the latest.
    pub(super) async fn close(self) -> Result<(), Error> {
        match self.0.and_then(Arc::into_inner) {
            Some(output) => {
                let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
                if output.dropped() > 0 {
                    log::warn!(
                        "output: {} chunks of returned video were dropped",
                        output.dropped()
                    );
                }
                output.close(CLOSE_TIME).await.map_err(Error::Output)
            }
            None => Ok(()),
        }
    }
}

struct Sink {
    output: Arc<Mutex<Output>>,
    begins: bool,
}

impl OutputSink for Sink {
    fn begin(&mut self) {
        self.begins = true;
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let begins = std::mem::take(&mut self.begins);
        self.output.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.clone(), begins);
    }

    fn end(&mut self, _complete: bool) {}
}
