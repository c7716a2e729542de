//! Forwards the video of a job from its publish channel to its output channel, unchanged or through an effect.
//!
//! ```text
//! unchanged  publish ── bytes as they arrive ───────────────▶ output
//! effect     publish ──▶ Transform ──▶ EffectOutput (written by `write_effects`) ──▶ output
//! ```
//!
//! The effect changes between two segments, after the old effect has written its last frame. The failure of an effect
//! is reported in an event, and the video continues unchanged. Unchanged bytes are checked after they are
//! forwarded, so that the check adds no latency.
//!
//! After the time of a frame has gone back, no video is forwarded, because the network's runner drops all later frames.
//! Frames above 24 frames/s are forwarded although the runner drops them: unchanged video cannot be decoded without
//! these frames.
//!
//! Does not: choose effects or check segments; `echo` and `check` do.

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
use media::{TsPiece, TsPiecePlace};
use mpegts::Joiner;

/// How long a stopping effect may take to write its last frames.
const DRAIN: Duration = Duration::from_secs(1);

/// The output of a started effect. The writer drops `done` when all pieces are written.
pub(super) struct EffectOutput {
    pieces: SegmentPieces,
    done: oneshot::Sender<()>,
}

/// A running effect.
struct RunningEffect {
    transform: Transform,
    /// Resolves when all pieces of the effect are written.
    done: oneshot::Receiver<()>,
}

/// The video of one job.
pub(super) struct Video<'a> {
    app: &'a App,
    output: SharedChannel,
    checker: Checker,
    effect: Effect,
    running: Option<RunningEffect>,
    started: mpsc::Sender<EffectOutput>,
}

impl<'a> Video<'a> {
    /// The video of `app`. The output of each effect that starts is sent to `started`.
    pub(super) fn new(
        app: &'a App,
        output: SharedChannel,
        started: mpsc::Sender<EffectOutput>,
    ) -> Self {
        let (checker, effect) = (Checker::new(), Effect::None);
        Self { app, output, checker, effect, running: None, started }
    }

    /// Reads the publish channel until it is closed.
    pub(super) async fn run(mut self, publish: &SharedChannel) {
        let mut seq = 0;
        while let Some(segment) = follow(publish, seq) {
            self.segment(&segment).await;
            seq = segment.seq.saturating_add(1);
        }
        self.stop().await;
    }

    /// Forwards one segment as its bytes arrive.
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
                self.forward(&part.bytes, at == 0, copy.as_mut()).await;
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

    async fn forward(&mut self, bytes: &[u8], begins: bool, mut copy: Option<&mut OutputSegment>) {
        match (&mut self.running, &mut copy) {
            _ if self.checker.is_behind() => {}
            (Some(running), _) => running.transform.push(Bytes::copy_from_slice(bytes), begins),
            (None, Some(copy)) => copy.write(bytes),
            (None, None) => {}
        }
        // Yield, so that waiting readers get the bytes before the check.
        tokio::task::yield_now().await;
        let taken = self.check(|checker, found| checker.push(bytes, found));
        if copy.is_some() {
            self.app.count_frames(taken);
        }
    }

    /// Runs the checker. Returns how many new access units the runner accepts.
    fn check(&mut self, run: impl FnOnce(&mut Checker, &mut dyn FnMut(Violation))) -> u64 {
        let (app, before) = (self.app, (self.checker.units(), self.checker.dropped()));
        run(&mut self.checker, &mut |violation| app.found(violation));
        let units = self.checker.units() - before.0;
        let dropped = self.checker.dropped() - before.1;
        app.count_units(units, dropped, self.checker.newest());
        units - dropped
    }

    /// Starts or stops an effect if the parameters request another one or the present one has failed.
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
                let output = EffectOutput { pieces: transform.pieces(), done };
                // The queue is empty: the effect before this one has ended.
                let _sent = self.started.try_send(output).is_ok();
                self.running = Some(RunningEffect { transform, done: is_done });
            }
            Err(error) => {
                self.app.effect_failed(error.to_string());
                self.effect = Effect::None;
            }
        }
    }

    /// The reason why the running effect has ended by itself, if it has.
    async fn failure(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        tokio::select! {
            biased;
            end = running.transform.ended() => Some(match end {
                End::Failed(error) => error.to_string(),
                End::EndOfStream => "the effect has ended".to_owned(),
            }),
            () = std::future::ready(()) => None,
        }
    }

    /// Stops the effect after it has written its last frames.
    async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.transform.finish();
        let drained = timeout(DRAIN, running.transform.ended()).await;
        if drained.is_err() {
            log::debug!("sandbox: an effect did not end within {} s", DRAIN.as_secs());
        }
        running.transform.stop().await;
        // This wait ends with an error when the writer drops its sender, which is expected.
        let _written = timeout(DRAIN, running.done).await;
    }
}

/// A segment of the output channel that is being written.
struct OutputSegment {
    segment: Arc<Segment>,
    /// Restarts the continuity counters at 0; `None` keeps them.
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

/// Writes the output of effects to the output channel, one effect after the other. Never returns.
pub(super) async fn write_effects(
    app: &App,
    output: &SharedChannel,
    mut started: mpsc::Receiver<EffectOutput>,
) {
    while let Some(EffectOutput { mut pieces, done }) = started.recv().await {
        let mut segment: Option<OutputSegment> = None;
        while let Some(TsPiece { place, bytes }) = pieces.next().await {
            if place != TsPiecePlace::Continue {
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

/// Begins the next segment of a channel; `None` if the channel is closed.
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
    /// Begins the next segment of the output channel; `None` if the script suppresses it.
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
