//! Runs the app of one job: video, parameters, and events.
//!
//! When the publish channel is closed, the app closes the other channels and ends.
//!
//! Does not: process the video (`video` does), or interpret messages (`echo` does).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::Role;
use crate::check::Violation;
use crate::echo::{self, ControlMessage, Effect, FrameRate, StatusEvent};
use crate::io::video::{self, Video};
use crate::pipeline::RefusedParams;
use crate::record::NewestFrame;
use crate::start::Job;
use crate::trickle::{Index, Readable, Segment, SegmentEnd, SharedChannel};
use crate::world::{AppLaunch, World};
use livepeer_gateway::limits::EVENT_BODY;
use mpegts::Ticks;

/// The state that the parts of an app share.
#[derive(Debug, Default)]
struct AppState {
    params: Map<String, Value>,
    /// The arrival of the parameters, as time since 1970.
    params_at: Duration,
    effect: Effect,
    /// The last error and its time since 1970.
    error: Option<(String, Duration)>,
    input_frames: u64,
    output_frames: u64,
}

/// The app of one job.
pub(super) struct App {
    job: Job,
    world: Arc<World>,
    /// The start of the app, as time since 1970.
    began: Duration,
    state: Mutex<AppState>,
}

/// Runs the app of a job until its publish channel is closed.
pub(super) async fn run(launch: AppLaunch, world: Arc<World>) {
    let AppLaunch { job, updates } = launch;
    let params = job.params.as_object().cloned().unwrap_or_default();
    let app = App { job, world, began: since_1970(), state: Mutex::default() };
    app.update(params);
    log::info!("sandbox: job {} runs", app.job.manifest);
    tokio::select! {
        () = app.media() => {}
        () = app.control() => {}
        () = app.events() => {}
        () = app.updates(updates) => {}
    }
    for role in Role::ALL {
        app.world.delete(&app.job.channel(role));
    }
    app.world.app_ended(&app.job.manifest);
    log::info!("sandbox: job {} has ended", app.job.manifest);
}

impl App {
    fn lock(&self) -> MutexGuard<'_, AppState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the script suppresses one segment on a channel of this role.
    pub(super) fn is_muted(&self, role: Role) -> bool {
        self.world.lock().script.is_muted(role)
    }

    fn channel(&self, role: Role) -> Option<SharedChannel> {
        self.world.channel(&self.job.channel(role))
    }

    /// Applies parameters, from the start or from a control message.
    fn update(&self, params: Map<String, Value>) {
        self.lock().params_at = since_1970();
        if let Err(RefusedParams(reason)) = self.world.set(&self.job.manifest, &params) {
            return self.report(reason);
        }
        match echo::wanted(&params) {
            Ok(Some(effect)) => self.lock().effect = effect,
            Ok(None) => {}
            Err(echo::BadEffect(reason)) => self.report(reason),
        }
        self.lock().params.extend(params);
    }

    /// Sends an error event now, and names the error in later status events.
    fn report(&self, reason: String) {
        log::warn!("sandbox: job {}: {reason}", self.job.manifest);
        let now = since_1970();
        let event = echo::error(&reason, now);
        self.lock().error = Some((reason, now));
        if let Some(channel) = self.channel(Role::Events).filter(|_| !self.is_muted(Role::Events)) {
            self.send_event(&channel, &event);
        }
    }

    /// Forwards video from the publish channel to the output channel, until the publish channel is closed.
    async fn media(&self) {
        let (Some(publish), Some(output)) =
            (self.channel(Role::Publish), self.channel(Role::Output))
        else {
            return;
        };
        let (started, effect_outputs) = mpsc::channel(1);
        tokio::select! {
            () = Video::new(self, output.clone(), started).run(&publish) => {}
            () = video::write_effects(self, &output, effect_outputs) => {}
        }
    }

    /// The effect that the parameters request.
    pub(super) fn effect(&self) -> Effect {
        self.lock().effect.clone()
    }

    /// The format of video that an effect returns.
    pub(super) fn video(&self) -> media::Video {
        self.world.options.effect_video.clone()
    }

    /// Whether continuity counters restart at 0 in each output segment.
    pub(super) fn restarts_counters(&self) -> bool {
        self.world.options.restarts_counters
    }

    /// Reports that the effect failed; the video continues without it.
    pub(super) fn effect_failed(&self, reason: String) {
        self.lock().effect = Effect::None;
        self.report(format!("effect failed: {reason}"));
    }

    /// Records a violation by the gateway.
    pub(super) fn found(&self, violation: Violation) {
        self.world.lock().violations.add(violation);
        self.world.note();
    }

    /// Counts output frames.
    pub(super) fn count_frames(&self, frames: u64) {
        self.lock().output_frames += frames;
    }

    /// Counts an output segment.
    pub(super) fn count_output(&self) {
        self.world.lock().record.counters.outputs += 1;
        self.world.note();
    }

    /// Counts received access units, and those of them that the network's runner would drop. `newest` is the PTS of the
    /// last one.
    pub(super) fn count_units(&self, units: u64, dropped: u64, newest: Option<Ticks>) {
        if units == 0 {
            return;
        }
        self.lock().input_frames += units;
        let mut world = self.world.lock();
        world.jobs.on_video(&self.job.manifest, Instant::now());
        let record = &mut world.record;
        record.counters.access_units += units;
        record.counters.dropped += dropped;
        if let Some(pts) = newest {
            record.newest = Some(NewestFrame { at: Instant::now(), pts: pts.value() });
        }
    }

    /// Counts a received segment.
    pub(super) fn count_segment(&self, bytes: u64, end: SegmentEnd) {
        let counters = &mut self.world.lock().record.counters;
        counters.bytes += bytes;
        match end {
            SegmentEnd::Complete => counters.segments += 1,
            SegmentEnd::Closed => counters.truncated += 1,
        }
        self.world.note();
    }

    /// Reads parameters and keep-alives. Never returns: the job does not end with its control channel.
    async fn control(&self) {
        let mut seq = 0;
        while let Some(segment) = self.channel(Role::Control).and_then(|c| follow(&c, seq)) {
            seq = segment.seq.saturating_add(1);
            let Some(message) = whole(&segment).await else { continue };
            let control = ControlMessage::parse(&message);
            {
                let mut world = self.world.lock();
                world.record.add_control(String::from_utf8_lossy(&message).into_owned());
                world.jobs.on_control(&self.job.manifest);
                match &control {
                    Some(ControlMessage::KeepAlive) => world.record.counters.keep_alives += 1,
                    Some(ControlMessage::Update(_)) => world.record.counters.updates += 1,
                    None => world.violations.add(Violation::BadControl { seq: segment.seq }),
                }
            }
            if let Some(ControlMessage::Update(params)) = control {
                self.update(params);
            }
            self.world.note();
        }
        std::future::pending().await
    }

    /// Applies parameters that come with a call. Never returns.
    async fn updates(&self, mut updates: mpsc::Receiver<Map<String, Value>>) {
        while let Some(params) = updates.recv().await {
            self.update(params);
            self.world.lock().record.counters.updates += 1;
            self.world.note();
        }
        std::future::pending().await
    }

    /// Sends the job's announcement, then a status event at once and at each interval. Never returns.
    async fn events(&self) {
        let (mut input, mut output) = (FrameRate::default(), FrameRate::default());
        let mut ticks = tokio::time::interval(self.world.options.timings.status_every);
        let mut last = Instant::now();
        if let (Some(channel), Some(event)) = (self.channel(Role::Events), &self.job.announce) {
            self.send_event(&channel, &event.to_string());
        }
        while let Some(channel) = self.channel(Role::Events) {
            ticks.tick().await;
            let now = Instant::now();
            let elapsed = now.duration_since(last);
            last = now;
            let event = {
                let state = self.lock();
                StatusEvent {
                    now: since_1970(),
                    began: self.began,
                    input_fps: input.sample(state.input_frames, elapsed),
                    output_fps: output.sample(state.output_frames, elapsed),
                    params: &Value::Object(state.params.clone()),
                    params_at: state.params_at,
                    error: state.error.as_ref().map(|(error, at)| (error.as_str(), *at)),
                }
                .to_json()
            };
            if self.is_muted(Role::Events) {
                continue;
            }
            self.send_event(&channel, &event);
        }
        std::future::pending().await
    }

    fn send_event(&self, channel: &SharedChannel, event: &str) {
        if let Some(segment) = video::begin(channel) {
            segment.write(event.as_bytes(), EVENT_BODY as u64);
            segment.complete();
            self.world.lock().record.counters.events += 1;
            self.world.note();
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The segment `seq` of a channel, or the newest one if that was dropped. `None` if the channel is closed.
pub(super) fn follow(channel: &SharedChannel, seq: u64) -> Option<Arc<Segment>> {
    let mut channel = channel.lock();
    if channel.is_closed() {
        return None;
    }
    for index in [Index::Seq(seq), Index::Next] {
        if let Some(Readable::Segment(segment)) = channel.read(index) {
            return Some(segment);
        }
    }
    None
}

/// Reads a whole message; `None` if the message is empty, too long or incomplete.
async fn whole(segment: &Segment) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let part = segment.after(message.len()).await;
        message.extend_from_slice(&part.bytes);
        match part.end {
            Some(SegmentEnd::Complete) if !message.is_empty() => return Some(message),
            Some(_) => return None,
            None if message.len() > EVENT_BODY => return None,
            None => {}
        }
    }
}
