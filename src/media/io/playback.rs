//! Writes returned video to a file or to standard output, on a thread of its own.
//!
//! A disk or a pipe that stalls never holds up the network: when the queue is full, what comes is
//! dropped up to the next segment, and counted.
//!
//! Does not: decode or show video; a player reads the transport stream.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::capacity::OUTPUT_CHUNKS;
use crate::media::MediaError;

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, written anew.
    File(PathBuf),
    /// Standard output, written `-`.
    Stdout,
}

impl Target {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Stdout => "-".into(),
        }
    }

    fn waits_for_its_reader(&self) -> bool {
        match self {
            Self::File(path) => fs::metadata(path).is_ok_and(|known| known.file_type().is_fifo()),
            Self::Stdout => false,
        }
    }

    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::File(path) => Box::new(File::create(path)?),
            // Not through `io::stdout()`, which keeps back what follows the last line break.
            Self::Stdout => Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        })
    }
}

/// An output that is being written.
#[derive(Debug)]
pub struct Output {
    queue: SyncSender<Bytes>,
    state: watch::Receiver<Writing>,
    drops: bool,
    dropped: u64,
    written: Arc<AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Writing {
    Open,
    Flushed,
    Failed(MediaError),
}

impl Output {
    /// Opens the output and starts its thread.
    pub fn open(target: &Target) -> Result<Self, MediaError> {
        let path = target.path();
        let failed =
            |error: io::Error| MediaError::Write { path: path.clone(), detail: error.to_string() };
        // A named pipe opens when its reader comes: that is for the thread to wait for.
        let sink =
            if target.waits_for_its_reader() { None } else { Some(target.open().map_err(failed)?) };
        let (queue, chunks) = mpsc::sync_channel::<Bytes>(OUTPUT_CHUNKS);
        let (report, state) = watch::channel(Writing::Open);
        let written = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&written);
        let (path, target) = (target.path(), target.clone());
        let write = move || {
            let result = sink.map_or_else(|| target.open(), Ok).and_then(|mut sink| {
                for chunk in &chunks {
                    sink.write_all(&chunk)?;
                    counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
                sink.flush()
            });
            // The queue closes here, so that what still comes is counted as dropped.
            drop(chunks);
            let _ = report.send(match result {
                Ok(()) => Writing::Flushed,
                Err(error) => {
                    let error = MediaError::Write { path, detail: error.to_string() };
                    log::warn!("{error}; returned video is dropped from here on");
                    Writing::Failed(error)
                }
            });
        };
        thread::Builder::new()
            .name("output".into())
            .spawn(write)
            .map_err(|_| MediaError::Thread("output".into()))?;
        Ok(Self { queue, state, drops: false, dropped: 0, written })
    }

    /// Hands over the next bytes; `begins` says that a segment begins with them. Never blocks.
    pub fn push(&mut self, bytes: Bytes, begins: bool) {
        self.drops &= !begins;
        if !self.drops {
            match self.queue.try_send(bytes) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) if self.dropped == 0 => {
                    log::warn!(
                        "the output is too slow; returned video is dropped to the next segment"
                    );
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
            self.drops = true;
        }
        self.dropped += 1;
    }

    /// Chunks dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits until writing fails; for ever if it does not. Cancel safe.
    pub async fn failed(&self) -> MediaError {
        let mut state = self.state.clone();
        match state.wait_for(|state| matches!(state, Writing::Failed(_))).await.as_deref() {
            Ok(Writing::Failed(error)) => error.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Ends the output: waits until all is written, for at most `limit`.
    pub async fn close(self, limit: Duration) -> Result<(), MediaError> {
        let Self { queue, mut state, .. } = self;
        drop(queue);
        let ended = state.wait_for(|state| *state != Writing::Open);
        match tokio::time::timeout(limit, ended).await {
            Ok(Ok(state)) => match &*state {
                Writing::Failed(error) => Err(error.clone()),
                Writing::Open | Writing::Flushed => Ok(()),
            },
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                log::warn!("the output does not take the rest within {limit:?}");
                Ok(())
            }
        }
    }
}
