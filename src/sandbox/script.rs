//! What goes wrong on purpose: a list of failures, each for once or for good.
//!
//! Does not: carry them out; the part that is troubled asks for its failure.

use std::time::Duration;

/// The most failures that wait.
const FAILURES: usize = 64;

/// A call over HTTP that is answered whole.
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

/// What a job's channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Media from the gateway; a channel without a job counts as one.
    Publish,
    /// Media to the gateway.
    Output,
    /// Parameters from the gateway.
    Control,
    /// Events to the gateway.
    Events,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Output, Self::Control, Self::Events];

    /// What the name of a job's channel ends in.
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

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// `GetOrchestrator`.
    Info(InfoFailure),
    /// `POST /live-video-to-video`.
    Start(StartFailure),
    /// Any other call.
    Call(Endpoint, CallFailure),
    /// A segment that the gateway writes.
    Post {
        /// On which channel.
        role: Role,
        /// AfterRequest so many bytes of the segment; 0 is before the first.
        after: u64,
        /// What happens then.
        then: Break,
    },
    /// A segment that the gateway reads.
    Get {
        /// On which channel.
        role: Role,
        /// AfterRequest so many bytes of the segment; 0 is instead of an answer.
        after: u64,
        /// What happens then.
        then: Break,
    },
    /// The DELETE of a job's publish channel is answered with this status, and nothing is deleted.
    Delete(u16),
    /// The app leaves out one segment of this channel (output or events); for good, all of them.
    Mute(Role),
    /// Live video costs so many wei per pixel more before somebody is told its price: by `GetOrchestrator`, or in
    /// the answer to a payment. For good, it drifts, as a price in USD or adjusted to gas does.
    Drift(u32),
}

/// What goes wrong with `GetOrchestrator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoFailure {
    /// A gRPC status.
    Refuse {
        /// Its code.
        code: u32,
        /// Its message.
        message: String,
    },
    /// A message that is no protobuf.
    Garbage,
    /// An info without an auth token.
    NoToken,
    /// An info whose ticket parameters have expired already. (Nothing where no price is asked.)
    OldTerms,
    /// An info whose auth token has expired already.
    OldToken,
    /// The answer comes late.
    Delay(Duration),
    /// The connection is reset.
    Reset,
}

/// What goes wrong with the start of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFailure {
    /// This answer instead: a refusal, or with 200 one that is no JSON.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The capacity is checked and the payment taken; then the worker fails, with these words as go-livepeer's
    /// `server/ai_http.go` passes them on (500).
    Worker(String),
    /// The answer comes late.
    Delay(Duration),
    /// The connection is reset.
    Reset,
}

impl StartFailure {
    /// What the real runner makes of parameters that its pipeline does not take (ai-runner
    /// `pipelines/live_video_to_video.py`), and go-livepeer of that (`ai/worker/worker.go`).
    pub fn refused_params() -> Self {
        let words = "live-video-to-video container returned 400: Error during model execution.";
        Self::Worker(words.to_owned())
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// This answer instead, with its reason as JSON.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-AfterRequest`.
        retry_after: Option<String>,
    },
    /// The answer comes late.
    Delay(Duration),
    /// The call is carried out, and the connection is reset instead of an answer.
    Lost,
    /// The connection is reset before anything is done.
    Reset,
    /// Status 200 with a body that is neither JSON nor protobuf.
    Garbage,
    /// Status 200 with a JSON body of so many bytes.
    Huge(usize),
}

impl CallFailure {
    /// A status without more.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, retry_after: None }
    }
}

/// What happens to a segment under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection is reset.
    Reset,
    /// The server ends the connection without a word.
    Close,
    /// The server neither reads nor writes any more.
    Stall,
    /// The channel is deleted; the request goes on as it does then.
    DeleteChannel,
    /// The server answers with this status, before the body ends. (Nothing on a GET that has begun.)
    Answer(u16),
}

/// The failures to come.
#[derive(Debug, Default)]
pub(crate) struct Script {
    failures: Vec<(Failure, bool)>,
}

impl Script {
    /// Adds a failure: for the next time only, or for good. False if there are too many.
    pub(crate) fn add(&mut self, failure: Failure, for_good: bool) -> bool {
        let fits = self.failures.len() < FAILURES;
        if fits {
            self.failures.push((failure, for_good));
        }
        fits
    }

    /// All is well from now on.
    pub(crate) fn clear(&mut self) {
        self.failures.clear();
    }

    /// The first failure that `fits`; it is gone unless it is there for good.
    pub(crate) fn take<T>(&mut self, fits: impl Fn(&Failure) -> Option<T>) -> Option<T> {
        let (at, found) =
            self.failures.iter().enumerate().find_map(|(at, (t, _))| Some((at, fits(t)?)))?;
        if self.failures.get(at).is_some_and(|(_, for_good)| !for_good) {
            self.failures.remove(at);
        }
        Some(found)
    }

    /// The status that the DELETE of a channel of this role is refused with.
    pub(crate) fn delete(&mut self, role: Role) -> Option<u16> {
        self.take(|failure| {
            let Failure::Delete(status) = failure else { return None };
            (role == Role::Publish).then_some(*status)
        })
    }

    /// The failure of a POST to a channel of this role.
    pub(crate) fn post(&mut self, role: Role) -> Option<(u64, Break)> {
        self.take(|failure| {
            let Failure::Post { role: on, after, then } = failure else { return None };
            (*on == role).then_some((*after, *then))
        })
    }

    /// The failure of a GET on a channel of this role.
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

    /// By how much the price rises.
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
    fn names_tell_roles() {
        for role in Role::ALL {
            assert_eq!(Role::of(&format!("abc{}", role.suffix())), role);
        }
    }

    #[test]
    fn troubles_come_in_order_and_stay_if_told() {
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
