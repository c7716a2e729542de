//! Measures a camera's H.264 before it is used, to decide whether it may pass through, and checks the H.264 that
//! passes through.
//!
//! A result is kept for an hour, so that a camera that comes back is not measured again; it is dropped earlier if the
//! H.264 turns out not to be fit.
//!
//! Does not: configure a camera; the caller sets its address and format.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use heapless::Deque;

use crate::gop::{Fitness, Gop, GopWatch, UnitFacts, Wanted, has_b_slices};
use crate::io::running::{self, End, Ending, RunningPipeline};
use crate::limits::{CAMERA_TIME, CAMERAS_MEASURED};
use crate::pipeline::{PARSER, UNITS};
use crate::sps::Shape;
use crate::{MediaError, Options, Source};
use mpegts::nal;

/// How long the result of a measurement is valid.
const HOLDS: Duration = Duration::from_secs(3600);

/// The last line logged about each camera, the oldest first. This and [`KEPT`] are statics, because they must outlive a
/// capture: the agent opens a new one each time a camera returns.
static LOGGED: Mutex<Deque<(Source, String), CAMERAS_MEASURED>> = Mutex::new(Deque::new());

/// The results of earlier measurements, the oldest first.
static KEPT: Mutex<Deque<KeptMeasurement, CAMERAS_MEASURED>> = Mutex::new(Deque::new());

struct KeptMeasurement {
    description: String,
    source: Source,
    wanted: Wanted,
    fitness: Option<Fitness>,
    since: Instant,
}

/// The result of a measurement.
pub(super) struct Measured {
    /// Whether the camera's H.264 is fit to pass through; `None` if the camera does not send H.264.
    pub(super) fitness: Option<Fitness>,
    /// Whether it was measured just now; false for a result that was kept.
    is_new: bool,
}

impl Measured {
    /// Logs `what` was found about `source`, if it was measured just now and differs from the last line logged.
    pub(super) fn log(&self, source: &Source, what: &str) {
        if self.is_new && is_news(source, what) {
            log::info!("{what}");
        }
    }
}

/// The limits that H.264 must keep to in order to pass through.
pub(super) fn wanted(options: &Options) -> Wanted {
    let video = &options.video;
    let max_bitrate = options.bitrates.bounds(video.bitrate).max;
    Wanted { width: video.width, height: video.height, max_bitrate }
}

/// A pipeline that receives a camera's H.264 in order to measure it.
pub(super) struct Measurement {
    description: String,
    wanted: Wanted,
    pipeline: gst::Pipeline,
    answers: Sender<MeasurementAnswer>,
    answer_queue: Receiver<MeasurementAnswer>,
    units: Arc<AtomicU64>,
    ending: Ending,
}

enum MeasurementAnswer {
    Fitness(Fitness),
    NoH264,
    Ended,
}

impl Measurement {
    /// Measures the H.264 that comes to the sink [`UNITS`] of the pipeline in `description`. Call `run` for
    /// the result.
    pub(super) fn new(
        description: &str,
        source: &Source,
        wanted: Wanted,
    ) -> Result<Self, MediaError> {
        let pipeline = running::parse(description, source)?;
        let (answers, answer_queue) = mpsc::channel();
        let units = Arc::new(AtomicU64::new(0));
        if let Some(pad) = pipeline.by_name(UNITS).and_then(|sink| sink.static_pad("sink")) {
            let (judge, counted) = (answers.clone(), Arc::clone(&units));
            let gop = Mutex::new(Gop::new(wanted));
            each_unit(&pad, move |unit| {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut gop = gop.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(fitness) = gop.on_unit(unit) {
                    let _ = judge.send(MeasurementAnswer::Fitness(fitness));
                }
                gst::PadProbeReturn::Ok
            });
        }
        let description = description.to_owned();
        Ok(Self {
            description,
            wanted,
            pipeline,
            answers,
            answer_queue,
            units,
            ending: Ending::new(),
        })
    }

    /// The end of the pipeline, to be set by a caller that notices a failure.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// The pipeline, for the caller to set the camera's address before it calls `run`.
    pub(super) fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    /// A function to call when the camera turns out not to send H.264: it ends the measurement.
    pub(super) fn no_h264(&self) -> impl Fn() + Send + Sync + use<> {
        let answers = self.answers.clone();
        move || {
            let _ = answers.send(MeasurementAnswer::NoH264);
        }
    }

    /// Measures for at most [`CAMERA_TIME`], which blocks, unless a result is kept already.
    pub(super) fn run(self, source: &Source) -> Result<Measured, MediaError> {
        let now = Instant::now();
        let holds = |kept: &&KeptMeasurement| {
            let is_it = (&kept.description, &kept.source, kept.wanted)
                == (&self.description, source, self.wanted);
            is_it && now < kept.since + HOLDS
        };
        let kept = kept().iter().rev().find(holds).map(|kept| kept.fitness);
        if let Some(fitness) = kept {
            return Ok(Measured { fitness, is_new: false });
        }
        let (description, wanted) = (self.description.clone(), self.wanted);
        let fitness = self.listen(source)?;
        let mut kept = self::kept();
        if kept.is_full() {
            kept.pop_front();
        }
        let source = source.clone();
        let _ =
            kept.push_back(KeptMeasurement { description, source, wanted, fitness, since: now });
        Ok(Measured { fitness, is_new: true })
    }

    fn listen(self, source: &Source) -> Result<Option<Fitness>, MediaError> {
        let Self { pipeline, answers, answer_queue, units, ending, .. } = self;
        let on_end = move || {
            let _ = answers.send(MeasurementAnswer::Ended);
        };
        let watch = running::Watch {
            source: source.clone(),
            had_media: || true,
            on_end,
            ending: ending.clone(),
            spares: None,
        };
        let running = RunningPipeline::open(pipeline, watch)?;
        running.play(&ending);
        let answer = answer_queue.recv_timeout(CAMERA_TIME);
        drop(running);
        match (answer, ending.known()) {
            (Ok(MeasurementAnswer::Fitness(fitness)), _) => Ok(Some(fitness)),
            (Ok(MeasurementAnswer::NoH264), _) => Ok(None),
            (_, Some(End::Failed(error))) => Err(error),
            // Pictures came, but too few key frames to measure within the time.
            (Err(_), _) if units.load(Ordering::Relaxed) > 0 => Ok(Some(Fitness::LongGop)),
            (Err(RecvTimeoutError::Timeout), _) => Err(MediaError::Stalled(CAMERA_TIME)),
            (Ok(MeasurementAnswer::Ended) | Err(RecvTimeoutError::Disconnected), _) => {
                Err(MediaError::StreamEnded)
            }
        }
    }
}

/// Warns, once, when the H.264 that passes through `bin` breaks a limit. A camera may lengthen its GOP when nothing
/// moves, and H.264 that the user required was not measured before.
pub(super) fn watch(bin: &gst::Bin, source: &Source, wanted: Wanted) {
    let Some(pad) = bin.by_name(PARSER).and_then(|parser| parser.static_pad("src")) else { return };
    let (watch, source) = (Mutex::new(GopWatch::new(wanted)), source.clone());
    each_unit(&pad, move |unit| {
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_over() {
            return gst::PadProbeReturn::Remove;
        }
        if let Some(unfit) = watch.on_unit(unit) {
            forget(&source);
            let remedy = if let Source::Pipeline { .. } = source {
                "decode it in source.fragment"
            } else {
                "change this in the camera, or set source.format = \"raw\""
            };
            let what = format!("H.264 passes through, but {unfit}: {remedy}");
            if is_news(&source, &what) {
                log::warn!("{what}");
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// Whether `what` differs from the last line logged about `source`, so that a camera that comes and goes is not logged
/// each time.
fn is_news(source: &Source, what: &str) -> bool {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_news = !logged.iter().any(|(of, last)| of == source && last == what);
    for _ in 0..logged.len() {
        if let Some(other) = logged.pop_front().filter(|(of, _)| of != source) {
            let _ = logged.push_back(other);
        }
    }
    if logged.is_full() {
        logged.pop_front();
    }
    let _ = logged.push_back((source.clone(), what.to_owned()));
    is_news
}

/// Drops the kept results of a camera, so that it is measured again.
fn forget(source: &Source) {
    let mut kept = kept();
    for _ in 0..kept.len() {
        if let Some(other) = kept.pop_front().filter(|kept| kept.source != *source) {
            let _ = kept.push_back(other);
        }
    }
}

fn kept() -> MutexGuard<'static, Deque<KeptMeasurement, CAMERAS_MEASURED>> {
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `look` with each access unit that passes `pad`.
fn each_unit(
    pad: &gst::Pad,
    look: impl Fn(UnitFacts) -> gst::PadProbeReturn + Send + Sync + 'static,
) {
    let shape = Mutex::new(None);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some((buffer, pts)) = info.buffer().and_then(|b| Some((b, b.pts()?))) else {
            return gst::PadProbeReturn::Ok;
        };
        // The parser marks every picture of I slices as a key frame, not only IDR pictures.
        let may_be_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let Ok(map) = buffer.map_readable() else { return gst::PadProbeReturn::Ok };
        let mut shape = shape.lock().unwrap_or_else(PoisonError::into_inner);
        if may_be_key {
            *shape = Shape::of_access_unit(&map).or(*shape);
        }
        look(UnitFacts {
            is_key: may_be_key && nal::is_idr(&map),
            has_b: has_b_slices(&map),
            shown: Duration::from(pts),
            bytes: map.len(),
            shape: *shape,
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_comes_and_goes_is_logged_once() {
        let camera = |url: &str| Source::Pipeline { fragment: url.to_owned() };
        let (one, other) = (camera("one"), camera("other"));
        assert!(is_news(&one, "it passes") && is_news(&other, "it passes"));
        for _ in 0..82 {
            assert!(!is_news(&one, "it passes") && !is_news(&other, "it passes"));
        }
        assert!(is_news(&one, "it does not") && is_news(&one, "it passes"));
    }
}
