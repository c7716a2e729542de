//! A pipeline that runs: opened, played, watched over its bus, and stopped within a bounded time.
//!
//! ```text
//! open ──▶ ready ──play──▶ running ──▶ ended (end of stream, or the first error)
//!                            │ end of stream, and it repeats: READY, PLAYING
//!                            └──◀──┘
//! ```
//!
//! The pipeline runs without a main loop. The bus's sync handler gets each message on the thread that posts it, stores
//! the first message that ends the pipeline, and drops all messages.
//!
//! Does not: depend on the purpose of the pipeline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::{oneshot, watch};

use crate::io::bounded::within;
use crate::io::clues::{self, Clues};
use crate::io::diagnosis;
use crate::launch_line::launch_line;
use crate::limits::{CAMERA_TIME, PIPELINE_STOP_TIME};
use crate::{MediaError, Source};

/// How a pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The pipeline's input ended.
    EndOfStream,
    /// The pipeline failed.
    Failed(MediaError),
}

/// The end of a pipeline: set once, and then returned to all that wait for it.
#[derive(Debug, Clone)]
pub(super) struct Ending(watch::Sender<Option<End>>);

impl Ending {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Sets the pipeline's end; ignored if it was set before.
    pub(super) fn set(&self, end: End) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(end);
            is_first
        });
    }

    /// The end, if the pipeline has ended.
    pub(super) fn known(&self) -> Option<End> {
        self.0.borrow().clone()
    }

    /// Waits for the end. Cancel safe.
    pub(super) async fn wait(&self) -> End {
        let mut watched = self.0.subscribe();
        let end = watched.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        // This cannot fail, because the sender lives as long as `self`.
        end.unwrap_or(End::EndOfStream)
    }
}

/// A pipeline that was opened; dropping it stops it.
#[derive(Debug)]
pub(super) struct RunningPipeline {
    pipeline: gst::Pipeline,
    stopped: Arc<Mutex<bool>>,
}

/// How to handle the messages of a pipeline.
pub(super) struct Watch<I, E> {
    /// What the pipeline reads, for its error messages.
    pub(super) source: Source,
    /// Returns whether media came since the last call.
    pub(super) had_media: I,
    /// Called at the pipeline's end, perhaps more than once.
    pub(super) on_end: E,
    /// Set at the pipeline's end.
    pub(super) ending: Ending,
    /// Decides whether the pipeline goes on after an error; `None` if it ends at each error.
    pub(super) spares: Option<Spares>,
}

/// Decides whether a pipeline goes on after an error, and takes out the part that failed.
pub(super) type Spares = Box<dyn Fn(&gst::message::Error) -> bool + Send + Sync>;

/// Parses a description. Paths of files and devices are not in the description; set them on the elements afterwards.
pub(super) fn parse(description: &str, source: &Source) -> Result<gst::Pipeline, MediaError> {
    log::debug!("pipeline: {}", launch_line(description, source));
    let mut context = gst::ParseContext::new();
    let flags = gst::ParseFlags::FATAL_ERRORS;
    let element = gst::parse::launch_full(description, Some(&mut context), flags)
        .map_err(|error| diagnosis::of_description(&error, &context.missing_elements(), source))?;
    // For a description of a single element, GStreamer returns that element instead of a pipeline.
    element.downcast::<gst::Pipeline>().or_else(|element| {
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element).map_err(|error| MediaError::Gstreamer(error.to_string()))?;
        Ok(pipeline)
    })
}

impl RunningPipeline {
    /// Opens the devices of `pipeline`, which blocks, for cameras at most [`CAMERA_TIME`]. Media flow only after
    /// [`play`](Self::play).
    pub(super) fn open<I, E>(
        pipeline: gst::Pipeline,
        watch: Watch<I, E>,
    ) -> Result<Self, MediaError>
    where
        I: Fn() -> bool + Send + Sync + 'static,
        E: Fn() + Send + Sync + 'static,
    {
        let running = Self { pipeline, stopped: Arc::default() };
        let (ending, source) = (watch.ending.clone(), watch.source.clone());
        running.watch(watch);
        let pipeline = running.pipeline.clone();
        let ready = move || pipeline.set_state(gst::State::Ready);
        let opened = match source.is_camera() {
            true => within(&format!("{source:?}"), CAMERA_TIME, ready),
            false => Some(ready()),
        };
        match (opened, ending.known()) {
            (Some(Ok(_)), _) => Ok(running),
            (_, Some(End::Failed(error))) => Err(error),
            (None, _) => Err(MediaError::NotOpened("camera", CAMERA_TIME)),
            (Some(Err(_)), Some(End::EndOfStream) | None) => Err(does_not_start()),
        }
    }

    /// Starts the flow of media. Does not block; a failure becomes the pipeline's end.
    pub(super) fn play(&self, ending: &Ending) {
        let (stopped, ending) = (Arc::clone(&self.stopped), ending.clone());
        self.pipeline.call_async(move |pipeline| {
            let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            if !*stopped && pipeline.set_state(gst::State::Playing).is_err() {
                // In most cases an error message came before and has already set the end.
                ending.set(End::Failed(does_not_start()));
            }
        });
    }

    /// The GStreamer pipeline.
    pub(super) fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn watch<I, E>(&self, watch: Watch<I, E>)
    where
        I: Fn() -> bool + Send + Sync + 'static,
        E: Fn() + Send + Sync + 'static,
    {
        let Some(bus) = self.pipeline.bus() else { return };
        let pipeline = self.pipeline.downgrade();
        let stopped = Arc::clone(&self.stopped);
        let repeats = matches!(watch.source, Source::File { repeat: true, .. });
        let has_ended = AtomicBool::new(false);
        clues::watch_decoders(&self.pipeline);
        let clues = Clues::default();
        bus.set_sync_handler(move |_, message| {
            clues.note(message);
            let end = if let gst::MessageView::Error(error) = message.view() {
                match watch.spares.as_ref().is_some_and(|spares| spares(error)) {
                    true => None,
                    false => Some(End::Failed(diagnosis::of_message(error, &watch.source, &clues))),
                }
            } else if message.type_() != gst::MessageType::Eos {
                None
            } else if !(watch.had_media)() {
                Some(End::Failed(MediaError::NoFrames))
            } else if repeats {
                start_over(&pipeline, &stopped);
                None
            } else if watch.source.is_camera() {
                // A camera's stream does not end, so this camera was removed or has failed.
                Some(End::Failed(MediaError::StreamEnded))
            } else {
                Some(End::EndOfStream)
            };
            if let Some(end) = end {
                watch.ending.set(end);
                if !has_ended.swap(true, Ordering::Relaxed) {
                    (watch.on_end)();
                }
            }
            gst::BusSyncReply::Drop
        });
    }

    /// Stops the pipeline, and waits a bounded time for it.
    pub(super) async fn stop(self) {
        let (tell, told) = oneshot::channel();
        if self.halt(move || {
            let _ = tell.send(());
        }) && tokio::time::timeout(PIPELINE_STOP_TIME, told).await.is_err()
        {
            left_behind();
        }
    }

    /// Sets the pipeline to NULL on its own thread, because a driver that hangs must not block the process. False if
    /// that was done before.
    fn halt(&self, then: impl FnOnce() + Send + 'static) -> bool {
        let pipeline = self.pipeline.clone();
        let stopped = Arc::clone(&self.stopped);
        let halt = move || {
            let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            *stopped = true;
            // Nothing more can be done after a failure.
            let _ = pipeline.set_state(gst::State::Null);
            then();
        };
        if self.stopped.try_lock().is_ok_and(|stopped| *stopped) {
            return false;
        }
        thread::Builder::new().name("media-stop".into()).spawn(halt).is_ok()
    }
}

impl Drop for RunningPipeline {
    fn drop(&mut self) {
        let (tell, told) = mpsc::channel();
        if self.halt(move || {
            let _ = tell.send(());
        }) && told.recv_timeout(PIPELINE_STOP_TIME).is_err()
        {
            left_behind();
        }
    }
}

fn does_not_start() -> MediaError {
    MediaError::Gstreamer("the pipeline does not start".into())
}

fn left_behind() {
    log::warn!(
        "the pipeline does not stop within {PIPELINE_STOP_TIME:?}; it ends with the process"
    );
}

/// Plays from the start again. Changes the state instead of seeking, because some formats cannot seek. Does so on
/// another thread, because the caller's thread belongs to the pipeline.
fn start_over(pipeline: &gst::glib::WeakRef<gst::Pipeline>, stopped: &Arc<Mutex<bool>>) {
    let Some(pipeline) = pipeline.upgrade() else { return };
    let stopped = Arc::clone(stopped);
    pipeline.call_async(move |pipeline| {
        let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*stopped {
            // A failure posts an error message, which ends the pipeline.
            let _ = pipeline.set_state(gst::State::Ready);
            let _ = pipeline.set_state(gst::State::Playing);
        }
    });
}
