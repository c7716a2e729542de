//! Owns the camera, the slate (a black picture) that replaces a lost camera, and the encoder's bitrate.
//!
//! Tasks stop and open captures; the end of each task is an event. The slate feeds the same channel as the camera, until
//! the camera delivers its first frame.
//!
//! Does not: decide when to open a lost camera ([`CameraRecovery`] does), or what a lost camera means for the job.

mod bitrate;
mod facts;
mod opening;
mod options;
mod recovery;

pub(super) use opening::open;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::agent::event::CameraEvent;
use crate::agent::wait::{began, ended, joined};
use crate::events::{Bus, Kind};
use livepeer_gateway::job;
use livepeer_gateway::job::Recovery;
use livepeer_gateway::trickle::io::PublisherCounters;
use media::io::{AccessUnits, Capture, End as CaptureEnd};
use media::{MediaError, OnCameraLoss, Options, Source};
use resilience::backoff::jitter;
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;
use resilience::wait::sleep_until;

use bitrate::Bitrate;
use opening::open_slate;
use options::{is_same_camera, slate};
use recovery::CameraRecovery;

/// The time limit for opening a camera: Argus takes 3 s, a network camera 10 s. After this time the watchdog is not
/// fed, because only a restart helps against a driver that hangs.
const OPEN_TIME: Duration = Duration::from_secs(20);
/// How long a job is held without a camera: the runner closes a stream after 60 s without media.
const CAMERA_HOLD: Duration = Duration::from_secs(60);

/// The camera and its slate. At most one of them delivers frames to `units`.
pub(super) struct Cameras {
    options: Options,
    on_loss: Recovery,
    units: AccessUnits,
    capture: Option<Capture>,
    recovery: CameraRecovery,
    /// The slate, while the camera is lost.
    slate: Option<Capture>,
    is_opening_slate: bool,
    bitrate: Bitrate,
    /// Captures being opened or stopped.
    tasks: JoinSet<CameraEvent>,
    /// Captures being stopped for the end of the program.
    last_stops: JoinSet<()>,
    /// [`Cameras::stop`] was called: no camera is opened any more.
    is_stopped: bool,
    failures: ThrottledLog,
    /// Why the camera was lost the last time.
    reason: String,
    /// Whether the encoder had failed when the camera was lost the last time.
    is_encoder: bool,
    bus: Bus,
    /// When the camera was lost, until it gives video again.
    lost_at: Option<Instant>,
    /// The time limit of the last attempt to open the camera.
    opening_until: Option<Instant>,
    /// The error that ended capture, for the error chain.
    failure: Option<MediaError>,
}

impl Cameras {
    /// The owner of a camera that was `opened` with `options`; if that failed, the camera is opened again later.
    pub(super) fn new(
        opened: Result<Capture, MediaError>,
        options: Options,
        on_loss: Recovery,
        (units, bus): (AccessUnits, Bus),
        now: Instant,
    ) -> Self {
        let mut cameras = Self {
            on_loss,
            units,
            capture: None,
            recovery: CameraRecovery::playing(now),
            slate: None,
            is_opening_slate: false,
            bitrate: Bitrate::new(&options, now),
            options,
            tasks: JoinSet::new(),
            last_stops: JoinSet::new(),
            is_stopped: false,
            failures: ThrottledLog::new(module_path!(), "the source gives video again"),
            reason: String::new(),
            is_encoder: false,
            bus,
            lost_at: None,
            opening_until: None,
            failure: None,
        };
        match opened {
            Ok(capture) => {
                play_for_the_store(&capture, &cameras.options);
                cameras.capture = Some(capture);
            }
            Err(error) => {
                cameras.report_lost(&error, now);
                cameras.recovery = CameraRecovery::missing(now, jitter());
            }
        }
        cameras
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> CameraEvent {
        let capture = self.capture.as_ref();
        tokio::select! {
            done = joined(&mut self.tasks) => done.unwrap_or(CameraEvent::Stopped),
            _ = joined(&mut self.last_stops) => CameraEvent::StoppedForGood,
            end = ended(capture) => CameraEvent::Ended(end),
            () = began(capture), if self.recovery.is_proving() => CameraEvent::Frame,
            () = sleep_until(self.recovery.poll_timeout()), if !self.is_stopped => CameraEvent::Due,
        }
    }

    /// Handles `event`. Returns the event to report to the machine, if any. A slate is opened only if a job `is_live`.
    pub(super) fn on<T>(
        &mut self,
        event: CameraEvent,
        is_live: bool,
        now: Instant,
    ) -> Option<job::MachineEvent<T>> {
        match event {
            CameraEvent::Ended(end) => return self.on_ended(end, is_live, now),
            CameraEvent::Frame => self.on_frame(now),
            CameraEvent::Stopped => self.recovery.on_stopped(now, jitter()),
            CameraEvent::Due => self.open_camera(now),
            CameraEvent::Opened(opened) => self.on_opened(opened, is_live, now),
            CameraEvent::SlateOpened(opened) => self.on_slate_opened(opened, is_live),
            CameraEvent::SlateStopped | CameraEvent::StoppedForGood => {}
        }
        None
    }

    /// Whether the camera is lost. False while it is opened again for new options.
    pub(super) fn are_lost(&self) -> bool {
        self.recovery.is_lost()
    }

    /// Whether all captures that [`Cameras::stop`] stops have ended.
    pub(super) fn have_stopped(&self) -> bool {
        self.last_stops.is_empty()
    }

    /// The time limit of the last attempt to open the camera.
    pub(super) fn opening_until(&self) -> Option<Instant> {
        self.opening_until
    }

    /// Takes the error that ended capture.
    pub(super) fn take_failure(&mut self) -> Option<MediaError> {
        self.failure.take()
    }

    /// How long a job is held without a camera.
    pub(super) fn hold(&self) -> Duration {
        match self.options.on_camera_loss {
            OnCameraLoss::Hold | OnCameraLoss::Slate => CAMERA_HOLD,
            OnCameraLoss::Stop => Duration::ZERO,
        }
    }

    /// The size for the send buffer; see [`Bitrate::send_buffer`].
    pub(super) fn send_buffer(&self) -> usize {
        Bitrate::send_buffer(&self.options)
    }

    /// Starts the flow of frames. Call it when a job is live and a new publication begins.
    pub(super) fn play(&mut self) {
        self.bitrate.on_new_publication();
        if let Some(capture) = &self.capture {
            capture.play();
        }
    }

    /// Starts the flow of frames without a job. A file source waits for the job.
    pub(super) fn play_without_job(&self) {
        if let Some(capture) = self.capture.as_ref().filter(|_| !self.is_file()) {
            capture.play();
        }
    }

    fn is_file(&self) -> bool {
        matches!(self.options.source, Source::File { .. })
    }

    /// When the next reading of the network is due, while a job is live.
    pub(super) fn next_reading(&self) -> Instant {
        self.bitrate.poll_timeout()
    }

    /// Takes a reading of the network, and adapts the encoder.
    pub(super) fn read_network(&mut self, publishing: &Arc<PublisherCounters>, now: Instant) {
        let capture = self.capture.as_ref().or(self.slate.as_ref());
        self.bitrate.read(&self.units, publishing, capture, now);
    }

    /// Sets what happens when the camera is lost: open it again, or end.
    pub(super) fn set_recovery(&mut self, on_loss: Recovery) {
        self.on_loss = on_loss;
        self.units.await_next(on_loss == Recovery::Retry);
    }

    /// Sets new options. The camera is opened again if the new options need that.
    pub(super) fn set_options(&mut self, new: Options, now: Instant) {
        self.units.set_max_latency(new.max_latency.0);
        self.units.set_store(new.store.as_ref());
        let is_same = is_same_camera(&self.options, &new);
        self.options = new;
        self.bitrate = Bitrate::new(&self.options, now).limited_as(&self.bitrate);
        if !is_same && self.capture.is_some() {
            log::info!("the source is opened again, with its new configuration");
            self.recovery.reopen();
            self.release_camera();
        }
        if let Some(capture) = &self.capture {
            play_for_the_store(capture, &self.options);
        }
    }

    /// Stops capture for the end of the program; [`Cameras::have_stopped`] is true when that is done.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        self.units.await_next(false);
        let captures = [self.capture.take(), self.slate.take()];
        if captures.iter().all(Option::is_none) {
            self.units.end();
        }
        for capture in captures.into_iter().flatten() {
            self.last_stops.spawn(capture.stop());
        }
    }

    /// Stops the slate, if one runs.
    pub(super) fn stop_slate(&mut self) {
        if let Some(slate) = self.slate.take() {
            self.stop_beside(slate);
        }
    }

    fn on_ended<T>(
        &mut self,
        end: CaptureEnd,
        is_live: bool,
        now: Instant,
    ) -> Option<job::MachineEvent<T>> {
        let error = match end {
            // Only a file is expected to end. A user's pipeline that ends is treated as a camera, and is opened again.
            CaptureEnd::EndOfStream if self.ends_with_its_source() => {
                self.stop();
                return Some(job::MachineEvent::CaptureDone);
            }
            CaptureEnd::EndOfStream => MediaError::StreamEnded,
            CaptureEnd::Failed(error) => error,
        };
        let reason = chain(&error);
        if self.on_loss == Recovery::Exit {
            self.stop();
            self.failure = Some(error);
            return Some(job::MachineEvent::CaptureFailed(reason));
        }
        self.report_lost(&error, now);
        let gave_frames = self.recovery.on_lost(now);
        self.release_camera();
        if !gave_frames {
            self.show_slate(is_live);
        }
        None
    }

    fn ends_with_its_source(&self) -> bool {
        self.on_loss == Recovery::Exit || self.is_file()
    }

    /// Reports that the camera is lost, and keeps the reason for the status.
    fn report_lost(&mut self, error: &MediaError, now: Instant) {
        let reason = chain(error);
        self.failures.on_failure(&format!("the source gives no video: {reason}"), now);
        if self.lost_at.is_none() {
            self.lost_at = Some(now);
            self.bus.publish(|| Kind::CameraLost { reason: reason.clone() });
        }
        self.reason = reason;
        self.is_encoder = matches!(error, MediaError::Encoder { .. });
    }

    fn release_camera(&mut self) {
        let capture = self.capture.take();
        self.tasks.spawn(async move {
            if let Some(capture) = capture {
                capture.stop().await;
            }
            CameraEvent::Stopped
        });
    }

    fn open_camera(&mut self, now: Instant) {
        if !self.is_stopped && self.recovery.opens(now) {
            self.opening_until = Some(now + OPEN_TIME);
            let (options, units) = (self.options.clone(), self.units.clone());
            self.tasks.spawn(async move { CameraEvent::Opened(open(options, units).await) });
        }
    }

    fn on_opened(&mut self, opened: Result<Capture, MediaError>, is_live: bool, now: Instant) {
        match opened {
            Ok(capture) if self.is_stopped => self.stop_beside(capture),
            Ok(capture) if !is_same_camera(capture.options(), &self.options) => {
                // The options have changed while the camera was opened.
                self.recovery.reopen();
                self.capture = Some(capture);
                self.release_camera();
            }
            Ok(capture) => {
                capture.play();
                self.recovery.on_opened();
                self.bitrate.apply(&capture);
                self.capture = Some(capture);
            }
            Err(error) => {
                self.report_lost(&error, now);
                self.recovery.on_not_opened(now, jitter());
                self.show_slate(is_live);
            }
        }
    }

    fn on_frame(&mut self, now: Instant) {
        let lost = self.recovery.on_frame(now);
        if !self.failures.on_success(now) {
            log::debug!("the source gives video again after {} ms", lost.as_millis());
        }
        if let Some(lost) = self.lost_at.take() {
            let after = now.saturating_duration_since(lost).as_millis();
            let after_ms = u64::try_from(after).unwrap_or(u64::MAX);
            self.bus.publish(|| Kind::CameraBack { after_ms });
        }
        self.stop_slate();
    }

    /// Opens a slate, if the options want one and a job is live.
    fn show_slate(&mut self, is_live: bool) {
        let wants = self.options.on_camera_loss == OnCameraLoss::Slate;
        if !wants || self.slate.is_some() || self.is_opening_slate || !is_live {
            return;
        }
        self.is_opening_slate = true;
        let (options, units) = (slate(&self.options), self.units.clone());
        self.tasks.spawn(async move { CameraEvent::SlateOpened(open_slate(options, units).await) });
    }

    fn on_slate_opened(&mut self, opened: Result<Capture, MediaError>, is_live: bool) {
        self.is_opening_slate = false;
        match opened {
            Ok(slate) if self.are_lost() && is_live && !self.is_stopped => {
                slate.play();
                self.bitrate.apply(&slate);
                self.slate = Some(slate);
            }
            Ok(slate) => self.stop_beside(slate),
            Err(error) => log::warn!("the slate could not be opened: {}", chain(&error)),
        }
    }

    /// Stops a capture in a task; nothing depends on its end.
    fn stop_beside(&mut self, capture: Capture) {
        self.tasks.spawn(async move {
            capture.stop().await;
            CameraEvent::SlateStopped
        });
    }
}

/// Starts the flow of frames before a job is live, if input is stored. A file source waits for the job.
fn play_for_the_store(capture: &Capture, options: &Options) {
    let is_written = options.store.is_some() || options.records;
    if is_written && !matches!(options.source, Source::File { .. }) {
        capture.play();
    }
}
