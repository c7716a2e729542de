//! Runs the app of one job: follows its publish and control channels, writes output and events.
//!
//! Bytes go to the output channel as they arrive, and are checked after that, so that the check costs no
//! latency. When the publish channel is closed, the app closes the others and ends.
//!
//! Does not: decide what an effect or a violation is; `echo` and `check` do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::capacity::{EVENT_BODY, SEGMENT_BODY};
use crate::sandbox::Role;
use crate::sandbox::check::{Checker, Violation};
use crate::sandbox::echo::{self, Control, Effect, Rate, Status};
use crate::sandbox::start::Job;
use crate::sandbox::trickle::{End, Index, Readable, Segment, Shared};
use crate::sandbox::world::World;

/// What the parts of an app share.
#[derive(Debug, Default)]
struct State {
    params: Map<String, Value>,
    effect: Effect,
    error: Option<String>,
    input_frames: u64,
    output_frames: u64,
}

/// The app of one job.
struct App {
    job: Job,
    world: Arc<World>,
    state: Mutex<State>,
}

/// Runs the app of `job` until its publish channel is closed.
pub(super) async fn run(job: Job, world: Arc<World>) {
    let params = job.params.as_object().cloned().unwrap_or_default();
    let app = App { job, world, state: Mutex::default() };
    app.update(params);
    log::info!("sandbox: job {} runs", app.job.manifest);
    tokio::select! {
        () = app.media() => {}
        () = app.control() => {}
        () = app.events() => {}
    }
    for role in Role::ALL {
        app.world.delete(&app.job.channel(role));
    }
    app.world.lock().jobs.retain(|manifest| *manifest != app.job.manifest);
    app.world.note();
    log::info!("sandbox: job {} has ended", app.job.manifest);
}

impl App {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_muted(&self, role: Role) -> bool {
        self.world.lock().script.is_muted(role)
    }

    fn channel(&self, role: Role) -> Option<Shared> {
        self.world.channel(&self.job.channel(role))
    }

    /// New parameters, at the start or from the control channel.
    fn update(&self, params: Map<String, Value>) {
        let mut state = self.lock();
        match echo::wanted(&params) {
            Ok(Some(effect)) => state.effect = effect,
            Ok(None) => {}
            Err(echo::BadEffect(reason)) => {
                log::warn!("sandbox: job {}: {reason}", self.job.manifest);
                state.error = Some(reason);
            }
        }
        state.params.extend(params);
    }

    /// Video: from the publish channel to the output channel. Ends with the publish channel.
    async fn media(&self) {
        let (Some(publish), Some(output)) =
            (self.channel(Role::Publish), self.channel(Role::Output))
        else {
            return;
        };
        let mut checker = Checker::new();
        let mut seq = 0;
        while let Some(segment) = follow(&publish, seq) {
            self.segment(&segment, &output, &mut checker).await;
            seq = segment.seq.saturating_add(1);
        }
    }

    /// One segment, as its bytes arrive.
    async fn segment(&self, segment: &Segment, output: &Shared, checker: &mut Checker) {
        let mut found = |violation: Violation| {
            self.world.lock().violations.add(violation);
            self.world.note();
        };
        let mut copy: Option<Arc<Segment>> = None;
        let mut at = 0;
        let end = loop {
            let part = segment.after(at).await;
            if !part.bytes.is_empty() {
                if at == 0 {
                    checker.begin(segment.seq);
                    copy = (!self.is_muted(Role::Output)).then(|| begin(output)).flatten();
                }
                if let Some(copy) = &copy {
                    copy.write(&part.bytes, SEGMENT_BODY);
                    // Subscribers take it before it is checked.
                    tokio::task::yield_now().await;
                }
                checker.push(&part.bytes, &mut found);
                at += part.bytes.len();
            }
            if let Some(end) = part.end {
                break end;
            }
        };
        if let Some(copy) = copy {
            copy.complete();
            self.world.lock().record.counters.outputs += 1;
        }
        if at > 0 {
            checker.end(end == End::Complete, &mut found);
            self.count(checker.units(), at as u64, end);
        }
    }

    fn count(&self, units: u64, bytes: u64, end: End) {
        let new = {
            let mut state = self.lock();
            let new = units - state.input_frames;
            state.input_frames = units;
            state.output_frames = units;
            new
        };
        let counters = &mut self.world.lock().record.counters;
        counters.access_units += new;
        counters.bytes += bytes;
        match end {
            End::Complete => counters.segments += 1,
            End::Closed => counters.truncated += 1,
        }
        self.world.note();
    }

    /// Parameters and keep-alives. Goes on for ever: the end of control is not the end of the job.
    async fn control(&self) {
        let mut seq = 0;
        while let Some(segment) = self.channel(Role::Control).and_then(|c| follow(&c, seq)) {
            seq = segment.seq.saturating_add(1);
            let Some(message) = whole(&segment).await else { continue };
            let control = Control::parse(&message);
            {
                let mut world = self.world.lock();
                world.record.add_control(String::from_utf8_lossy(&message).into_owned());
                match &control {
                    Some(Control::KeepAlive) => world.record.counters.keep_alives += 1,
                    Some(Control::Update(_)) => world.record.counters.updates += 1,
                    None => world.violations.add(Violation::BadControl { seq: segment.seq }),
                }
            }
            if let Some(Control::Update(params)) = control {
                self.update(params);
            }
            self.world.note();
        }
        std::future::pending().await
    }

    /// A status event at once and then from time to time.
    async fn events(&self) {
        let (mut input, mut output) = (Rate::default(), Rate::default());
        let mut ticks = tokio::time::interval(self.world.options.timings.status_every);
        let mut last = Instant::now();
        while let Some(channel) = self.channel(Role::Events) {
            ticks.tick().await;
            let now = Instant::now();
            let elapsed = now.duration_since(last);
            last = now;
            let event = {
                let state = self.lock();
                Status {
                    now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                    input_fps: input.look(state.input_frames, elapsed),
                    output_fps: output.look(state.output_frames, elapsed),
                    params: &Value::Object(state.params.clone()),
                    error: state.error.as_deref(),
                }
                .to_json()
            };
            if self.is_muted(Role::Events) {
                continue;
            }
            if let Some(segment) = begin(&channel) {
                segment.write(event.as_bytes(), EVENT_BODY as u64);
                segment.complete();
                self.world.lock().record.counters.events += 1;
                self.world.note();
            }
        }
        std::future::pending().await
    }
}

/// The next segment of a channel to read, from `seq` on: jumps to the newest when that is gone. `None` at
/// the channel's end.
fn follow(channel: &Shared, seq: u64) -> Option<Arc<Segment>> {
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

/// The next segment of a channel to write.
fn begin(channel: &Shared) -> Option<Arc<Segment>> {
    let mut channel = channel.lock();
    if channel.is_closed() {
        return None;
    }
    let segment = channel.write(Index::Next, false)?;
    channel.advance(segment.seq, Instant::now());
    Some(segment)
}

/// A whole message; `None` for one that is empty, too long, or broke off.
async fn whole(segment: &Segment) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let part = segment.after(message.len()).await;
        message.extend_from_slice(&part.bytes);
        match part.end {
            Some(End::Complete) if !message.is_empty() => return Some(message),
            Some(_) => return None,
            None if message.len() > EVENT_BODY => return None,
            None => {}
        }
    }
}
