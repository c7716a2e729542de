//! Brings the video of a job from its publish channel to its output channel, unchanged or through an effect.
//!
//! ```text
//! unchanged  publish ── bytes as they arrive ───────────────▶ output
//! effect     publish ──▶ Transform ──▶ EffectOutput (written by `outputs`) ──▶ output
//! ```
//!
//! The effect changes between two segments: what is in the old one comes out before the next begins. An
//! effect that fails is told in the next event, and the video goes on unchanged. Unchanged bytes are
//! checked after they are handed on, so that the check costs no latency.
//!
//! AfterRequest a frame whose time went back nothing is handed on, as the network's runner drops all such frames. What
//! it drops above 24 frames/s is only counted: without them, unchanged video could not be decoded.
//!
//! Does not: choose effects or judge segments; `echo` and `check` do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::check::{Checker, Violation};
use crate::echo::Effect;
use crate::io::app::{App, follow};
use crate::script::Role;
use crate::trickle::{Index, Segment, SegmentEnd, SharedChannel};
use livepeer_gateway::limits::SEGMENT_BODY;
use media::io::{End, SegmentPieces, Transform};
use media::{Piece, Place};
use mpegts::Joiner;

/// How long an effect may take to give out what is in it.
const DRAIN: Duration = Duration::from_secs(1);

/// The pieces of an effect that has started; `done` is dropped when all are written.
pub(super) struct EffectOutput {
    pieces: SegmentPieces,
    done: oneshot::Sender<()>,
}

/// An effect that runs.
struct Running {
    transform: Transform,
    /// Ends when all its pieces are written.
    done: oneshot::Receiver<()>,
}

/// The video of one job.
pub(super) struct Video<'a> {
    app: &'a App,
    output: SharedChannel,
    checker: Checker,
    effect: Effect,
    running: Option<Running>,
    changed: mpsc::Sender<EffectOutput>,
}

impl<'a> Video<'a> {
    /// The video of `app`; effects that start are announced to `changed`.
    pub(super) fn new(
        app: &'a App,
        output: SharedChannel,
        changed: mpsc::Sender<EffectOutput>,
    ) -> Self {
        let (checker, effect) = (Checker::new(), Effect::None);
        Self { app, output, checker, effect, running: None, changed }
    }

    /// Follows the publish channel to its end.
    pub(super) async fn run(mut self, publish: &SharedChannel) {
        let mut seq = 0;
        while let Some(segment) = follow(publish, seq) {
            self.segment(&segment).await;
            seq = segment.seq.saturating_add(1);
        }
        self.stop().await;
    }

    /// One segment, as its bytes arrive.
    async fn segment(&mut self, segment: &Segment) {
        let mut copy: Option<OutputSegment> = None;
        let mut at = 0;
        let end = loop {
            let part = segment.after(at).await;
            if !part.bytes.is_empty() {
                if at == 0 {
                    self.checker.begin(segment.seq);
                    self.choose().await;
                    let copies = self.running.is_none() && !self.checker.is_behind();
                    copy = copies.then(|| self.app.begin_output(&self.output)).flatten();
                }
                self.hand_on(&part.bytes, at == 0, copy.as_mut()).await;
                at += part.bytes.len();
            }
            if let Some(end) = part.end {
                break end;
            }
        };
        if let Some(copy) = copy {
            copy.end(self.app);
        }
        if at > 0 {
            self.check(|checker, found| checker.end(end == SegmentEnd::Complete, found));
            self.app.count_segment(at as u64, end);
        }
    }

    async fn hand_on(&mut self, bytes: &[u8], begins: bool, mut copy: Option<&mut OutputSegment>) {
        match (&mut self.running, &mut copy) {
            _ if self.checker.is_behind() => {}
            (Some(running), _) => running.transform.push(Bytes::copy_from_slice(bytes), begins),
            (None, Some(copy)) => copy.write(bytes),
            (None, None) => {}
        }
        // Who waits for these bytes gets them before they are checked.
        tokio::task::yield_now().await;
        let taken = self.check(|checker, found| checker.push(bytes, found));
        if copy.is_some() {
            self.app.count_frames(taken);
        }
    }

    /// Lets the checker look: how many access units it has seen that the runner takes.
    fn check(&mut self, look: impl FnOnce(&mut Checker, &mut dyn FnMut(Violation))) -> u64 {
        let (app, before) = (self.app, (self.checker.units(), self.checker.dropped()));
        look(&mut self.checker, &mut |violation| app.found(violation));
        let units = self.checker.units() - before.0;
        let dropped = self.checker.dropped() - before.1;
        app.count_units(units, dropped, self.checker.newest());
        units - dropped
    }

    /// Starts or stops an effect, when the parameters ask for another one or it has failed.
    async fn choose(&mut self) {
        if let Some(reason) = self.failure().await {
            self.app.effect_failed(reason);
        }
        let wanted = self.app.effect();
        if wanted == self.effect {
            return;
        }
        self.stop().await;
        self.effect = wanted;
        let Effect::Fragment(fragment) = &self.effect else { return };
        let options = media::Options { video: self.app.video(), ..media::Options::default() };
        match Transform::start(fragment, &options) {
            Ok(transform) => {
                let (done, is_done) = oneshot::channel();
                let changed = EffectOutput { pieces: transform.pieces(), done };
                // There is room: the effect before it has ended.
                let _announced = self.changed.try_send(changed).is_ok();
                self.running = Some(Running { transform, done: is_done });
            }
            Err(error) => {
                self.app.effect_failed(error.to_string());
                self.effect = Effect::None;
            }
        }
    }

    /// Why the effect does not run any more, if it should.
    async fn failure(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        tokio::select! {
            biased;
            end = running.transform.ended() => Some(match end {
                End::Failed(error) => error.to_string(),
                End::EndOfStream => "the effect has ended by itself".to_owned(),
            }),
            () = std::future::ready(()) => None,
        }
    }

    /// Lets the effect give out what is in it, and stops it.
    async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.transform.finish();
        let drained = timeout(DRAIN, running.transform.ended()).await;
        if drained.is_err() {
            log::debug!("sandbox: an effect does not end within {} s", DRAIN.as_secs());
        }
        running.transform.stop().await;
        // An error is what ends this: the writer drops its end.
        let _written = timeout(DRAIN, running.done).await;
    }
}

/// A segment of the output channel under way.
struct OutputSegment {
    segment: Arc<Segment>,
    /// Lets its counters begin at 0.
    joiner: Option<Joiner>,
}

impl OutputSegment {
    fn write(&mut self, bytes: &[u8]) {
        match &mut self.joiner {
            None => self.segment.write(bytes, SEGMENT_BODY),
            Some(joiner) => {
                let bytes = joiner.push(&Bytes::copy_from_slice(bytes));
                self.segment.write(&bytes, SEGMENT_BODY)
            }
        };
    }

    fn end(mut self, app: &App) {
        if let Some(joiner) = &mut self.joiner {
            self.segment.write(&joiner.end(true), SEGMENT_BODY);
        }
        self.segment.complete();
        app.count_output();
    }
}

/// Writes what comes out of effects to the output channel, one effect after the other. Goes on for ever.
pub(super) async fn outputs(
    app: &App,
    output: &SharedChannel,
    mut changed: mpsc::Receiver<EffectOutput>,
) {
    while let Some(EffectOutput { mut pieces, done }) = changed.recv().await {
        let mut segment: Option<OutputSegment> = None;
        while let Some(Piece { place, bytes }) = pieces.next().await {
            if place != Place::Continue {
                if let Some(segment) = segment.take() {
                    segment.end(app);
                }
                segment = app.begin_output(output);
            }
            if let Some(segment) = &mut segment {
                segment.write(&bytes);
                app.count_frames(1);
            }
        }
        if let Some(segment) = segment {
            segment.end(app);
        }
        drop(done);
    }
    std::future::pending().await
}

/// The next segment of a channel to write.
pub(super) fn begin(channel: &SharedChannel) -> Option<Arc<Segment>> {
    let mut channel = channel.lock();
    if channel.is_closed() {
        return None;
    }
    let segment = channel.write(Index::Next, false)?;
    channel.advance(segment.seq, Instant::now());
    Some(segment)
}

impl App {
    /// The next segment of the output channel, unless the script wants silence.
    fn begin_output(&self, output: &SharedChannel) -> Option<OutputSegment> {
        let segment = if self.is_muted(Role::Output) { None } else { begin(output) }?;
        let joiner = self.restarts_counters().then(|| {
            let mut joiner = Joiner::new();
            joiner.begin();
            joiner
        });
        Some(OutputSegment { segment, joiner })
    }
}
