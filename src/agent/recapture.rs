//! Keeps pictures coming: opens a lost camera again, and shows a slate meanwhile where that is wanted.
//!
//! A camera is stopped, opened and tried off the loop; each step is an event. The slate goes on until the camera
//! has given its first frame, and feeds the same channel.
//!
//! Does not: decide when to try ([`Camera`](super::camera::Camera) does), or what that means for the job.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use crate::agent::event::Event;
use crate::agent::pace::Pace;
use crate::agent::run::Loop;
use crate::agent::wait::{hold, jitter};
use livepeer_gateway::job;
use livepeer_gateway::job::Recovery;
use media::io::{AccessUnits, Capture, End as CaptureEnd};
use media::{MediaError, OnCameraLoss, Options, Source, Video};
use resilience::fault::chain;

/// A try to open a camera may take so long: Argus takes 3 s, a camera of the network 10 s. Then the watchdog is
/// not fed any more, for a driver that hangs is left by a restart only.
pub(super) const OPEN_TIME: Duration = Duration::from_secs(20);

impl Loop {
    /// Capture has ended by itself.
    pub(super) fn on_capture_ended<T>(&mut self, end: CaptureEnd) -> Option<job::Event<T>> {
        let error = match end {
            // A file has an end. So has a pipeline, but in the field it is a camera, and is wanted again.
            CaptureEnd::EndOfStream if self.ends_with_its_source() => {
                self.stop_capture();
                return Some(job::Event::CaptureDone);
            }
            CaptureEnd::EndOfStream => MediaError::StreamEnded,
            CaptureEnd::Failed(error) => error,
        };
        let reason = chain(&error);
        if self.options.recovery == Recovery::Exit {
            self.stop_capture();
            self.capture_failure = Some(error);
            return Some(job::Event::CaptureFailed(reason));
        }
        let now = Instant::now();
        self.on_no_camera(&reason, now);
        let gave_frames = self.camera.on_lost(now);
        self.release_camera();
        if !gave_frames {
            self.show_slate();
        }
        None
    }

    /// What the machine does not know yet of the camera. Called after every event, so that no path can forget
    /// to report a lost camera.
    pub(super) fn camera_event<T>(&self) -> Option<job::Event<T>> {
        match (self.camera.is_lost(), self.machine.is_without_camera()) {
            (true, false) => Some(job::Event::CameraLost),
            (false, true) => Some(job::Event::CameraBack),
            (true, true) | (false, false) => None,
        }
    }

    /// There are no pictures, for this reason.
    pub(super) fn on_no_camera(&mut self, reason: &str, now: Instant) {
        self.camera_trouble.on_failure(&format!("the camera is lost: {reason}"), now);
        self.watch.on_camera(reason);
    }

    fn ends_with_its_source(&self) -> bool {
        self.options.recovery == Recovery::Exit
            || matches!(self.options.media.source, Source::File { .. })
    }

    /// The camera could not be opened at the start. The agent waits for it, and starts no job before.
    pub(super) fn begin_without_camera(&mut self, reason: &str, now: Instant) {
        self.on_no_camera(reason, now);
        self.camera.on_lost(now);
        self.camera.on_stopped(now, jitter());
    }

    /// Other options: the camera is opened anew with them, if it has to be.
    pub(super) fn set_media<T>(&mut self, new: Options) -> job::Event<T> {
        let units = &self.units;
        units.set_max_latency(new.max_latency.0);
        units.set_store(new.store.as_ref());
        let is_same = is_same_camera(&self.options.media, &new);
        self.options.media = new;
        self.pace.restart(&self.options.media);
        self.network.connector.set_send_buffer(Pace::send_buffer(&self.options.media));
        if !is_same && self.capture.is_some() {
            log::info!("the camera is opened again, with its new configuration");
            self.camera.reopen();
            self.release_camera();
        }
        if let Some(capture) = &self.capture {
            play_for_the_store(capture, &self.options.media);
        }
        job::Event::Hold(hold(&self.options.media))
    }

    fn release_camera(&mut self) {
        let capture = self.capture.take();
        self.lens.spawn(async move {
            if let Some(capture) = capture {
                capture.stop().await;
            }
            Event::CameraStopped
        });
    }

    /// It is time to open the camera.
    pub(super) fn open_camera(&mut self) {
        let now = Instant::now();
        if !self.is_leaving && self.camera.opens(now) {
            self.watch.wait(now + OPEN_TIME, now);
            let (options, units) = (self.options.media.clone(), self.units.clone());
            self.lens.spawn(async move { Event::CameraOpened(open(options, units).await) });
        }
    }

    /// The camera was opened, or not.
    pub(super) fn on_camera_opened(&mut self, opened: Result<Capture, MediaError>) {
        match opened {
            Ok(capture) if self.is_leaving => self.stop_off_the_loop(Some(capture)),
            Ok(capture) if !is_same_camera(capture.options(), &self.options.media) => {
                // The configuration has changed while it was opened.
                self.camera.reopen();
                self.capture = Some(capture);
                self.release_camera();
            }
            Ok(capture) => {
                capture.play();
                self.camera.on_opened();
                self.pace.apply(&capture);
                self.capture = Some(capture);
            }
            Err(error) => {
                let now = Instant::now();
                self.on_no_camera(&chain(&error), now);
                self.camera.on_not_opened(now, jitter());
                self.show_slate();
            }
        }
    }

    /// The camera gives frames again.
    pub(super) fn on_camera_frame(&mut self) {
        let now = Instant::now();
        let lost = self.camera.on_frame(now);
        if !self.camera_trouble.on_success(now) {
            log::debug!("the camera is back after {} ms", lost.as_millis());
        }
        let slate = self.slate.take();
        self.stop_off_the_loop(slate);
    }

    /// Shows a black picture in place of the camera, if a job is live and that is wanted.
    fn show_slate(&mut self) {
        let wants = self.options.media.on_camera_loss == OnCameraLoss::Slate;
        if !wants || self.slate.is_some() || self.is_opening_slate || self.held.is_none() {
            return;
        }
        self.is_opening_slate = true;
        let (options, units) = (slate(&self.options.media), self.units.clone());
        self.lens.spawn(async move { Event::SlateOpened(open(options, units).await) });
    }

    /// The slate was opened, or not.
    pub(super) fn on_slate_opened(&mut self, opened: Result<Capture, MediaError>) {
        self.is_opening_slate = false;
        match opened {
            Ok(slate) if self.camera.is_lost() && self.held.is_some() && !self.is_leaving => {
                slate.play();
                self.pace.apply(&slate);
                self.slate = Some(slate);
            }
            Ok(slate) => self.stop_off_the_loop(Some(slate)),
            Err(error) => log::warn!("no slate: {}", chain(&error)),
        }
    }

    pub(super) fn stop_off_the_loop(&mut self, capture: Option<Capture>) {
        if let Some(capture) = capture {
            self.lens.spawn(async move {
                capture.stop().await;
                Event::CaptureStopped
            });
        }
    }
}

/// Opens a source off this thread: a driver may take its time.
pub(super) async fn open(options: Options, units: AccessUnits) -> Result<Capture, MediaError> {
    spawn_blocking(move || Capture::open(&options, units))
        .await
        .unwrap_or_else(|error| Err(MediaError::Gstreamer(error.to_string())))
}

/// Lets frames come before there is a job, if they are stored. A file is there anyway, and is for the job.
pub(super) fn play_for_the_store(capture: &Capture, options: &Options) {
    if options.store.is_some() && !matches!(options.source, Source::File { .. }) {
        capture.play();
    }
}

/// Whether `new` asks for nothing that a camera opened with `old` does not do already, or can be told.
fn is_same_camera(old: &Options, new: &Options) -> bool {
    let told = Options {
        bitrates: new.bitrates,
        max_latency: new.max_latency,
        on_camera_loss: new.on_camera_loss,
        store: new.store.clone(),
        ..old.clone()
    };
    told == *new
}

/// A black picture of the same shape, without sound.
fn slate(options: &Options) -> Options {
    let Video { width, height, fps, .. } = options.video;
    let fragment = format!(
        "videotestsrc is-live=true pattern=black ! video/x-raw,format=I420,width={width},height={height},\
         framerate={fps}/1"
    );
    Options { source: Source::Pipeline { fragment }, audio: None, ..options.clone() }
}
