//! Slows sources that can be read faster than real time down to the pipeline's clock.
//!
//! | source | what it lacks | what this does |
//! |---|---|---|
//! | GIF | times of its pictures, and an end of stream | pushes the pictures, with the times in the file |
//! | file | a wait after its last picture, because the end of stream follows at once | delays the end of stream until that picture was shown |
//! | pipeline | a wait for the time of each frame, unless it is live | adds the element that waits |
//!
//! Does not: sleep; `identity` waits, and is interruptible.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::io::diagnosis;
use crate::limits::GIF_BYTES;
use crate::picture::{GifPicture, parts};
use crate::source::{Decided, PACED, SOURCE};
use crate::{MediaError, Source};

/// Elements that output data as another program or a peer sends it, but do not report that they are live.
const ARRIVING: [&str; 4] = ["fdsrc", "tcpclientsrc", "tcpserversrc", "shmsrc"];

/// The element to put after a source that is not live: it delays each frame until its time.
pub(super) const WAIT: &str = "identity sync=true ! ";

/// Whether frames come to `pad` at the pace at which they are captured, so that they need no delay.
pub(super) fn is_live(pipeline: &gst::Pipeline, pad: &gst::Pad) -> bool {
    let mut latency = gst::query::Latency::new();
    if pad.query(&mut latency) && latency.result().0 {
        return true;
    }
    pipeline.iterate_recurse().into_iter().flatten().any(|element| arrives(&element))
}

/// Whether `element` reads data while another program writes them.
fn arrives(element: &gst::Element) -> bool {
    let Some(factory) = element.factory() else { return false };
    let is_pipe = || {
        let path = element.property::<Option<String>>("location");
        let file = path.and_then(|path| std::fs::metadata(path).ok());
        file.is_some_and(|file| file.file_type().is_fifo() || file.file_type().is_char_device())
    };
    let name = factory.name();
    ARRIVING.contains(&name.as_str()) || (name == "filesrc" && is_pipe())
}

/// Sets up the pacing of a file, and pushes the pictures of a GIF. Has no effect on other sources.
pub(super) fn prepare(
    pipeline: &gst::Pipeline,
    source: &Source,
    decided: &Decided,
    fps: u32,
) -> Result<(), MediaError> {
    let Source::File { path, .. } = source else { return Ok(()) };
    let lengths = match decided {
        Decided::Gif { .. } => push_pictures(pipeline, path)?,
        Decided::Nothing | Decided::Still { .. } | Decided::Mode(_) | Decided::PassThrough(_) => {
            Vec::new()
        }
    };
    time_pictures(pipeline, lengths, gst::ClockTime::SECOND / u64::from(fps.max(1)));
    Ok(())
}

/// Pushes the pictures of the GIF at `path`, each time that the pipeline plays from the start. Returns their lengths.
fn push_pictures(pipeline: &gst::Pipeline, path: &Path) -> Result<Vec<gst::ClockTime>, MediaError> {
    let input = pipeline.by_name(SOURCE).and_then(|input| input.downcast::<gst_app::AppSrc>().ok());
    let input =
        input.ok_or_else(|| MediaError::Gstreamer(format!("the pipeline lacks {SOURCE}")))?;
    let absent = || MediaError::NoSuchFile(path.to_owned());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(GIF_BYTES).read_to_end(&mut bytes))
        .map_err(|error| diagnosis::of_open(&error, path, absent))?;
    let parts = parts(&bytes);
    let lengths = parts.iter().filter_map(|part| part.length.try_into().ok()).collect();
    let (bytes, mut next) = (gst::Buffer::from_slice(bytes), 0);
    let push = move |input: &gst_app::AppSrc, _| {
        let Some(GifPicture { bytes: range, .. }) = parts.get(next) else {
            next = 0;
            let _ = input.end_of_stream();
            return;
        };
        next += 1;
        let picture = bytes.copy_region(gst::BufferCopyFlags::MEMORY, range.start..range.end);
        if let Ok(picture) = picture {
            let _ = input.push_buffer(picture);
        }
    };
    input.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(push).build());
    Ok(lengths)
}

/// Delays the end of the file of `pipeline` until its last picture was shown. The pictures get the durations in
/// `lengths`, in order, if there are any.
///
/// A last picture that is shown for longer than a `frame` is sent once more at its end, so that the element for the
/// frame rate repeats it.
fn time_pictures(pipeline: &gst::Pipeline, lengths: Vec<gst::ClockTime>, frame: gst::ClockTime) {
    let Some(pad) = pipeline.by_name(PACED).and_then(|paced| paced.static_pad("sink")) else {
        return;
    };
    let shown = Mutex::new(FileProgress::default());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |pad, info| {
        // A poisoned lock is safe to use: a panic cannot leave the data half changed.
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = info.buffer_mut() {
            if !shown.is_over {
                shown.place(buffer, &lengths, frame);
            }
            return gst::PadProbeReturn::Ok;
        }
        match info.event().map(|event| event.type_()) {
            // A file that repeats sends this event at each start.
            Some(gst::EventType::Segment) => *shown = FileProgress::default(),
            Some(gst::EventType::Eos) => {
                shown.is_over = true;
                let (last, until) = (shown.last.take(), shown.until.take());
                drop(shown);
                if let Some(last) = last {
                    let _ = pad.chain(last);
                }
                if let Some(until) = until {
                    // The element waits for the time of a gap event, as it does for the time of a picture.
                    let _ = pad.send_event(gst::event::Gap::new(until, gst::ClockTime::ZERO));
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// The position up to which a file was shown.
#[derive(Default)]
struct FileProgress {
    pictures: usize,
    until: Option<gst::ClockTime>,
    is_over: bool,
    /// The last picture, to be sent once more.
    last: Option<gst::Buffer>,
}

impl FileProgress {
    fn place(
        &mut self,
        buffer: &mut gst::Buffer,
        lengths: &[gst::ClockTime],
        frame: gst::ClockTime,
    ) {
        if let Some(length) = lengths.get(self.pictures).or(lengths.last()) {
            let buffer = buffer.make_mut();
            buffer.set_pts(self.until.unwrap_or_default());
            buffer.set_duration(*length);
        }
        self.pictures += 1;
        let end = buffer.pts().zip(buffer.duration());
        self.until = end.and_then(|(at, length)| at.checked_add(length));
        let again = end.filter(|(_, length)| *length > frame).and(self.until);
        self.last = again.and_then(|end| end.checked_sub(frame)).map(|at| {
            let mut last = buffer.copy();
            let again = last.make_mut();
            again.set_pts(at);
            again.set_duration(frame);
            last
        });
    }
}
