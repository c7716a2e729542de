//! Keeps a microphone open: opens it again when it has failed, has sent no audio for a while, or was missing.
//!
//! ```text
//!         ┌───────── failed, or no sound for 2 s ─────────┐
//!         ▼                                               │
//!       away ──pause──▶ opening ──▶ hears ────────────────┘
//!         ▲                │
//!         └── it fails ────┘──▶ given up: a failure that does not pass
//! ```
//!
//! Pictures are never delayed by the microphone.
//!
//! Does not: build or run the microphone's pipeline; `microphone` does.

use std::convert::Infallible;
use std::future::pending;
use std::mem::replace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::Notify;

use crate::io::access_units::AccessUnits;
use crate::io::bounded::within;
use crate::io::diagnosis::init;
use crate::io::microphone::{OpenMicrophone, clock};
use crate::io::running::{End, Ending};
use crate::stall::StallJudgement;
use crate::{Audio, MediaError};
use resilience::backoff::Backoff;
use resilience::fault::Fault;

/// The time limit for opening a microphone. It is short, because a sound server answers at once or not at all.
const MICROPHONE_TIME: Duration = Duration::from_secs(2);

/// A trial waits this long for audio. A sound server gives some within 0.2 s.
const SOUND_TIME: Duration = Duration::from_secs(3);
/// The pause between two looks of a trial.
const SOUND_TURN: Duration = Duration::from_millis(20);

/// The first pause before opening again: a microphone that is plugged in again is usable after about a second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After a microphone has worked for this long, the pauses start again with the shortest.
const STEADY: Duration = Duration::from_secs(60);

/// Keeps one microphone open, and waits for it while it is missing.
#[derive(Debug)]
pub(super) struct MicrophoneKeeper {
    audio: Audio,
    units: AccessUnits,
    state: Arc<Mutex<MicrophoneState>>,
    backoff: Mutex<Backoff>,
    opened: Arc<Notify>,
}

#[derive(Debug)]
enum MicrophoneState {
    Hears(OpenMicrophone),
    Away { until: Instant },
    Opening,
    GivenUp,
}

enum MicrophoneStep {
    Hear(Ending, Instant),
    Wait(Instant),
    Open,
    Opened,
    Never,
}

impl MicrophoneKeeper {
    /// Opens the microphone, if it is present; its audio is sent with the pictures in `units`. If it cannot be opened,
    /// `keep` tries again. Blocks for at most [`MICROPHONE_TIME`].
    pub(super) fn open(audio: &Audio, units: &AccessUnits) -> Self {
        let listening = Self {
            audio: audio.clone(),
            units: units.clone(),
            state: Arc::new(Mutex::new(MicrophoneState::Opening)),
            backoff: Mutex::new(Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)),
            opened: Arc::default(),
        };
        let state = match hearing(audio, units) {
            Ok(hearing) => MicrophoneState::Hears(hearing),
            // This is not an error for the caller, because pictures can be sent without audio.
            Err(error) => {
                log::warn!("no sound: {error}");
                away(&error, listening.pause())
            }
        };
        *lock(&listening.state) = state;
        listening
    }

    /// Starts audio and `pictures` at the same time of the same clock, so that what they capture at one moment has the
    /// same running time. Call it before the pictures play.
    pub(super) fn play_with(&self, pictures: &gst::Pipeline) {
        let now = clock(pictures);
        if let MicrophoneState::Hears(hearing) = &*lock(&self.state) {
            hearing.play(now);
        }
    }

    /// Keeps the microphone open beside `pictures`. Keep polling the future. Cancel safe.
    pub(super) async fn keep(&self, pictures: &gst::Pipeline) -> Infallible {
        loop {
            // Register before the check, so that no notification is lost.
            let opened = self.opened.notified();
            match self.next(Instant::now()) {
                MicrophoneStep::Hear(ending, until) => {
                    tokio::select! {
                        _ = ending.wait() => {}
                        () = tokio::time::sleep_until(until.into()) => {}
                    }
                }
                MicrophoneStep::Wait(until) => tokio::time::sleep_until(until.into()).await,
                MicrophoneStep::Open => {
                    self.open_again(pictures.base_time());
                    opened.await;
                }
                MicrophoneStep::Opened => opened.await,
                MicrophoneStep::Never => return pending().await,
            }
        }
    }

    fn next(&self, now: Instant) -> MicrophoneStep {
        let mut state = lock(&self.state);
        let error = match &*state {
            MicrophoneState::Hears(hearing) => {
                let lost = match (hearing.ending().known(), hearing.judge(now)) {
                    (Some(End::Failed(error)), _) => error,
                    (Some(End::EndOfStream), _) => MediaError::StreamEnded,
                    (None, StallJudgement::Wait(until)) => {
                        return MicrophoneStep::Hear(hearing.ending().clone(), until);
                    }
                    (None, StallJudgement::Stalled { after, .. }) => {
                        self.units.end_audio();
                        log::warn!("no sound: the microphone has sent no audio for {after:?}");
                        MediaError::Stalled(after)
                    }
                };
                if hearing.worked(now) >= STEADY {
                    lock(&self.backoff).on_success();
                }
                lost
            }
            MicrophoneState::Away { until } if now < *until => return MicrophoneStep::Wait(*until),
            MicrophoneState::Away { .. } => {
                *state = MicrophoneState::Opening;
                return MicrophoneStep::Open;
            }
            MicrophoneState::Opening => return MicrophoneStep::Opened,
            MicrophoneState::GivenUp => return MicrophoneStep::Never,
        };
        let lost = replace(&mut *state, away(&error, self.pause()));
        // Close the microphone on another thread, because a driver that hangs may block.
        let _ = aside(move || drop(lost));
        MicrophoneStep::Wait(now)
    }

    /// Opens the microphone on another thread, and plays it with `base` as the start of its running time.
    fn open_again(&self, base: Option<gst::ClockTime>) {
        let (audio, units, state) = (self.audio.clone(), self.units.clone(), self.state.clone());
        let (opened, pause) = (Arc::clone(&self.opened), self.pause());
        let open = move || {
            let next = match hearing(&audio, &units) {
                Ok(hearing) => {
                    log::info!("sound again");
                    hearing.play(base);
                    MicrophoneState::Hears(hearing)
                }
                Err(error) => {
                    log::debug!("still no sound: {error}");
                    away(&error, pause)
                }
            };
            *lock(&state) = next;
            opened.notify_waiters();
        };
        if !aside(open) {
            *lock(&self.state) = MicrophoneState::Away { until: Instant::now() + pause };
            self.opened.notify_waiters();
        }
    }

    fn pause(&self) -> Duration {
        // Use no jitter, because no other client uses this microphone.
        lock(&self.backoff).on_failure(1.0)
    }

    /// Stops the microphone, in a bounded time.
    pub(super) async fn stop(self) {
        let state = replace(&mut *lock(&self.state), MicrophoneState::GivenUp);
        if let MicrophoneState::Hears(hearing) = state {
            hearing.stop().await;
        }
    }
}

/// Opens the microphone, waits until audio comes, and closes it. Blocks for at most `MICROPHONE_TIME` and
/// `SOUND_TIME`.
pub fn try_microphone(audio: &Audio) -> Result<(), MediaError> {
    init()?;
    let microphone = opened(audio)?;
    microphone.play(Some(gst::SystemClock::obtain().time()));
    let until = Instant::now() + SOUND_TIME;
    while Instant::now() < until {
        match microphone.ending().known() {
            _ if microphone.has_sound() => return Ok(()),
            Some(End::Failed(error)) => return Err(error),
            Some(End::EndOfStream) => return Err(MediaError::StreamEnded),
            None => thread::sleep(SOUND_TURN),
        }
    }
    Err(MediaError::Stalled(SOUND_TIME))
}

fn hearing(audio: &Audio, units: &AccessUnits) -> Result<OpenMicrophone, MediaError> {
    let hearing = opened(audio)?;
    hearing.attach(units)?;
    Ok(hearing)
}

fn opened(audio: &Audio) -> Result<OpenMicrophone, MediaError> {
    let asked = audio.clone();
    within(&format!("{audio:?}"), MICROPHONE_TIME, move || OpenMicrophone::open(&asked))
        .unwrap_or(Err(MediaError::NotOpened("microphone", MICROPHONE_TIME)))
}

/// Runs `work` on a new thread, because the runtime has few threads. False if the thread cannot be started.
fn aside(work: impl FnOnce() + Send + 'static) -> bool {
    thread::Builder::new().name("microphone".into()).spawn(work).is_ok()
}

fn away(error: &MediaError, pause: Duration) -> MicrophoneState {
    match error.fault() {
        Fault::GiveUp => MicrophoneState::GivenUp,
        Fault::Retry | Fault::Refresh | Fault::NextPeer => {
            MicrophoneState::Away { until: Instant::now() + pause }
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
