//! The scripted failures of a sandbox: each happens once, or every time until the script is cleared.
//!
//! Does not: carry out a failure; each part takes its next failure from the script and carries it out.

use std::time::Duration;

/// Maximum number of failures in the script.
const FAILURES: usize = 64;

/// An HTTP call with a short answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The signer's `POST /sign-orchestrator-info`.
    SignInfo,
    /// The signer's `POST /generate-live-payment`.
    MakePayment,
    /// The signer's `GET /discover-orchestrators`.
    Discover,
    /// `POST /live-video-to-video`.
    Start,
    /// `POST /payment`.
    Payment,
    /// `POST /refresh-payment`.
    Refresh,
    /// `POST /scope`.
    Scope,
    /// The orchestrator's `GET /discovery`.
    Discovery,
    /// `POST /apps/…/session`.
    Reserve,
    /// `POST /apps/…/session/…/stop`.
    Stop,
    /// `POST /apps/…/session/…/payment`.
    SessionPayment,
    /// `POST /apps/…/session/…/app/…`.
    App,
    /// `POST /apps/…/app/…`, of a single-shot runner.
    Single,
}

/// The purpose of a job's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Media from the gateway. A channel without a job has this role.
    Publish,
    /// Media to the gateway.
    Output,
    /// Parameters from the gateway.
    Control,
    /// Events to the gateway.
    Events,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Output, Self::Control, Self::Events];

    /// The end of the channel's name, after the job's manifest id.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Publish => "",
            Self::Output => "-out",
            Self::Control => "-control",
            Self::Events => "-events",
        }
    }

    /// The role of a channel by its name.
    pub(crate) fn of(name: &str) -> Self {
        [Self::Output, Self::Control, Self::Events]
            .into_iter()
            .find(|role| name.ends_with(role.suffix()))
            .unwrap_or(Self::Publish)
    }
}

/// A scripted failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// `GetOrchestrator`.
    Info(InfoFailure),
    /// `POST /live-video-to-video`.
    Start(StartFailure),
    /// Any other call.
    Call(Endpoint, CallFailure),
    /// The POST of a segment.
    Post {
        /// The channel.
        role: Role,
        /// The number of bytes of the segment before the failure; 0 fails before the first byte.
        after: u64,
        /// The failure.
        then: Break,
    },
    /// The GET of a segment.
    Get {
        /// The channel.
        role: Role,
        /// The number of bytes of the segment before the failure; 0 fails in place of an answer.
        after: u64,
        /// The failure.
        then: Break,
    },
    /// The DELETE of a job's publish channel is answered with this status, and nothing is deleted.
    Delete(u16),
    /// The app does not write one segment of this channel (output or events).
    Mute(Role),
    /// The price of live video rises by this many wei per pixel before each quote, which is an answer to
    /// `GetOrchestrator` or to a payment. If the failure repeats, the price drifts like a price that is set in USD or
    /// adjusted to the gas price.
    Drift(u32),
}

/// A failure of `GetOrchestrator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoFailure {
    /// A gRPC status.
    Refuse {
        /// The status code.
        code: u32,
        /// The status message.
        message: String,
    },
    /// A message that is not protobuf.
    Garbage,
    /// An info without an auth token.
    NoToken,
    /// An info with expired ticket parameters. This failure has no effect if the sandbox has no price.
    OldTerms,
    /// An info with an expired auth token.
    OldToken,
    /// The answer is delayed.
    Delay(Duration),
    /// The connection is reset.
    Reset,
}

/// A failure of the start of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFailure {
    /// This answer in place of the real one.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The worker fails with this text after the capacity was checked and the payment taken. go-livepeer's
    /// `server/ai_http.go` passes the text on with status 500.
    Worker(String),
    /// The answer is delayed.
    Delay(Duration),
    /// The connection is reset.
    Reset,
}

impl StartFailure {
    /// The answer to parameters that the pipeline rejects: the real runner's text (ai-runner
    /// `pipelines/live_video_to_video.py`), as go-livepeer passes it on (`ai/worker/worker.go`).
    pub fn refused_params() -> Self {
        let text = "live-video-to-video container returned 400: Error during model execution.";
        Self::Worker(text.to_owned())
    }
}

/// A failure of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// An answer with this status and a reason as JSON, in place of the real one.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-After`.
        retry_after: Option<String>,
    },
    /// The answer is delayed.
    Delay(Duration),
    /// The call is carried out, then the connection is reset without an answer.
    Lost,
    /// The connection is reset, and the call is not carried out.
    Reset,
    /// Status 200 with a body that is neither JSON nor protobuf.
    Garbage,
    /// Status 200 with a JSON body of this many bytes.
    Huge(usize),
}

impl CallFailure {
    /// An answer with this status and without `Retry-After`.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, retry_after: None }
    }
}

/// A failure of the transfer of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection is reset.
    Reset,
    /// The server closes the connection without an answer.
    Close,
    /// The server stops reading and writing.
    Stall,
    /// The channel is deleted; the request continues on the deleted channel.
    DeleteChannel,
    /// The server answers with this status before the body ends. On a GET that has begun, the connection is closed.
    Answer(u16),
}

/// The failures that are still to happen, and whether each repeats.
#[derive(Debug, Default)]
pub(crate) struct Script {
    failures: Vec<(Failure, bool)>,
}

impl Script {
    /// Adds a failure that happens once or repeats. Returns false if the script is full.
    pub(crate) fn add(&mut self, failure: Failure, repeats: bool) -> bool {
        let fits = self.failures.len() < FAILURES;
        if fits {
            self.failures.push((failure, repeats));
        }
        fits
    }

    /// Removes all failures.
    pub(crate) fn clear(&mut self) {
        self.failures.clear();
    }

    /// Takes the first failure for which `fits` returns a value. A failure that repeats stays in the script.
    pub(crate) fn take<T>(&mut self, fits: impl Fn(&Failure) -> Option<T>) -> Option<T> {
        let (at, found) =
            self.failures.iter().enumerate().find_map(|(at, (t, _))| Some((at, fits(t)?)))?;
        if self.failures.get(at).is_some_and(|(_, repeats)| !repeats) {
            self.failures.remove(at);
        }
        Some(found)
    }

    /// The status with which to refuse the DELETE of a channel of this role.
    pub(crate) fn delete(&mut self, role: Role) -> Option<u16> {
        self.take(|failure| {
            let Failure::Delete(status) = failure else { return None };
            (role == Role::Publish).then_some(*status)
        })
    }

    /// The failure of a POST to a channel of this role: the number of bytes before it, and its kind.
    pub(crate) fn post(&mut self, role: Role) -> Option<(u64, Break)> {
        self.take(|failure| {
            let Failure::Post { role: on, after, then } = failure else { return None };
            (*on == role).then_some((*after, *then))
        })
    }

    /// The failure of a GET on a channel of this role: the number of bytes before it, and its kind.
    pub(crate) fn read(&mut self, role: Role) -> Option<(u64, Break)> {
        self.take(|failure| {
            let Failure::Get { role: on, after, then } = failure else { return None };
            (*on == role).then_some((*after, *then))
        })
    }

    /// The failure of a call.
    pub(crate) fn call(&mut self, endpoint: Endpoint) -> Option<CallFailure> {
        self.take(|failure| {
            let Failure::Call(on, failure) = failure else { return None };
            (*on == endpoint).then(|| failure.clone())
        })
    }

    /// The number of wei per pixel by which the price rises.
    pub(crate) fn drift(&mut self) -> Option<u32> {
        self.take(|failure| if let Failure::Drift(by) = failure { Some(*by) } else { None })
    }

    /// Whether the app is silent on channels of this role.
    pub(crate) fn is_muted(&mut self, role: Role) -> bool {
        self.take(|t| (*t == Failure::Mute(role)).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_role_is_read_from_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::of(&format!("abc{}", role.suffix())), role);
        }
    }

    #[test]
    fn failures_happen_in_order_and_repeating_ones_stay() {
        let mut script = Script::default();
        let post = |after| Failure::Post { role: Role::Publish, after, then: Break::Reset };
        assert!(script.add(post(1), false) && script.add(post(2), true));
        assert_eq!(script.post(Role::Control), None);
        assert_eq!(script.read(Role::Publish), None);
        for after in [1, 2, 2] {
            assert_eq!(script.post(Role::Publish), Some((after, Break::Reset)));
        }
        script.clear();
        assert_eq!(script.post(Role::Publish), None);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut script = Script::default();
        let added = (0..FAILURES + 5).filter(|_| script.add(Failure::Mute(Role::Events), true));
        assert_eq!(added.count(), FAILURES);
    }
}
