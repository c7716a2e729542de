//! Compares options of a camera, and derives those of its slate.
//!
//! Does not: open a camera.

use media::{Options, Source, Video};

/// Whether a camera opened with `old` can run on with `new`: they differ only in options that can be changed while it
/// runs.
pub(super) fn is_same_camera(old: &Options, new: &Options) -> bool {
    let changed = Options {
        bitrates: new.bitrates,
        max_latency: new.max_latency,
        on_camera_loss: new.on_camera_loss,
        store: new.store.clone(),
        records: new.records,
        motion: new.motion,
        ..old.clone()
    };
    changed == *new
}

/// The options of a slate: a black picture of the same size, without sound.
pub(super) fn slate(options: &Options) -> Options {
    let Video { width, height, fps, .. } = options.video;
    let fragment = format!(
        "videotestsrc is-live=true pattern=black ! video/x-raw,format=I420,width={width},height={height},\
         framerate={fps}/1"
    );
    Options { source: Source::Pipeline { fragment }, audio: None, ..options.clone() }
}
