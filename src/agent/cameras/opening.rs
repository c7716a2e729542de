//! Opens sources on a blocking thread, because a driver may be slow.
//!
//! Does not: decide when a source is opened.

use tokio::task::spawn_blocking;

use media::io::{AccessUnits, Capture};
use media::{MediaError, Options};

/// Opens a source.
pub(in crate::agent) async fn open(
    options: Options,
    units: AccessUnits,
) -> Result<Capture, MediaError> {
    on_thread(move || Capture::open(&options, units)).await
}

/// Opens a picture that stands in for a lost camera.
pub(super) async fn open_slate(
    options: Options,
    units: AccessUnits,
) -> Result<Capture, MediaError> {
    on_thread(move || Capture::open_slate(&options, units)).await
}

async fn on_thread(
    open: impl FnOnce() -> Result<Capture, MediaError> + Send + 'static,
) -> Result<Capture, MediaError> {
    spawn_blocking(open).await.unwrap_or_else(|error| Err(MediaError::Gstreamer(error.to_string())))
}
