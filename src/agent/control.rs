//! Steers a running agent: other parameters, a new job, a job or none.
//!
//! Does not: apply what is asked for; the agent's loop does.

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::agent::Change;
use crate::agent::wanted::{Hold, JobWish};

/// The longest parameters, in bytes of JSON. All parameters go in one message on the control channel.
pub const PARAMS_BYTES: usize = 64 << 10;

/// A handle to a running agent. Make it with [`Control::new`] from the sender of [`Agent::with_changes`].
///
/// [`Agent::with_changes`]: crate::agent::Agent::with_changes
#[derive(Debug, Clone)]
pub struct Control(mpsc::Sender<Change>);

/// How new parameters change the present ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// The new ones are merged into the present ones: objects key by key, `null` removes a key (RFC 7396).
    Merge,
    /// The new ones replace all the present ones.
    Replace,
}

/// The parameters of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// All parameters, not only those that the last change set.
    pub params: Map<String, Value>,
    /// The number of the last change, which the events about it carry too; 0 before the first change.
    pub change: u64,
    /// How far these parameters have come on the way to the model.
    pub state: ParamsState,
}

impl Parameters {
    /// The parameters as they are shown: `params`, `change`, `state`, and `why` they were refused.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let (state, why) = match &self.state {
            ParamsState::Waiting => ("waiting", None),
            ParamsState::Sending => ("sending", None),
            ParamsState::Sent => ("sent", None),
            ParamsState::Applied => ("applied", None),
            ParamsState::Refused(why) => ("refused", Some(why.as_str())),
            ParamsState::NotConfirmed => ("not-confirmed", None),
        };
        let fields = [
            ("params", self.params.clone().into()),
            ("change", self.change.into()),
            ("state", state.into()),
            ("why", why.into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Where the parameters of the job are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamsState {
    /// No job has the parameters yet; the next job is started with them.
    Waiting,
    /// The parameters are being sent to the job.
    Sending,
    /// The parameters were sent; the model has not reported them yet.
    Sent,
    /// The model reports the parameters, or the app has accepted them.
    Applied,
    /// The model or the app has refused the parameters; the text is the reason that it gave.
    Refused(String),
    /// The parameters were sent, and the time in which the model should report or refuse them is over.
    NotConfirmed,
}

/// Why a request to the agent has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The parameters are too long.
    #[error("parameters of {0} bytes: at most {PARAMS_BYTES} bytes of JSON can be sent")]
    TooLong(usize),
    /// The agent has ended.
    #[error("the agent has ended")]
    Ended,
}

/// A request of a [`Control`].
#[derive(Debug)]
pub(super) enum Request {
    /// Change the parameters, and answer with all parameters.
    Params(Map<String, Value>, Edit, oneshot::Sender<Result<Parameters, ControlError>>),
    /// Answer with the present parameters.
    Parameters(oneshot::Sender<Parameters>),
    /// Close the job and start another one.
    Restart,
    /// Start or stop the job, and answer whether a job is wanted then.
    Job(JobWish, oneshot::Sender<JobAnswer>),
    /// Set or lift a hold.
    Hold(Hold, Option<String>),
}

/// Whether a job is wanted after a wish of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAnswer {
    /// Whether a job is wanted now.
    pub is_wanted: bool,
    /// Why, in one line.
    pub why: String,
}

impl Control {
    /// A handle to the agent that receives changes from `changes`.
    pub fn new(changes: mpsc::Sender<Change>) -> Self {
        Self(changes)
    }

    /// Changes the parameters of the job and keeps them. Returns all parameters with the number of this change; events
    /// with the same number report whether the model takes them.
    pub async fn params(
        &self,
        params: Map<String, Value>,
        edit: Edit,
    ) -> Result<Parameters, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Params(params, edit, reply)).await?;
        answer.await.unwrap_or(Err(ControlError::Ended))
    }

    /// The present parameters.
    pub async fn parameters(&self) -> Result<Parameters, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Parameters(reply)).await?;
        answer.await.map_err(|_| ControlError::Ended)
    }

    /// Closes the job and starts another one. The camera goes on.
    pub async fn restart(&self) -> Result<(), ControlError> {
        self.request(Request::Restart).await
    }

    /// Starts or stops the job as the owner wishes, and keeps the wish. Returns whether a job is wanted then: a hold
    /// may forbid a job that the owner starts. The camera goes on.
    pub async fn job(&self, wish: JobWish) -> Result<JobAnswer, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Job(wish, reply)).await?;
        answer.await.map_err(|_| ControlError::Ended)
    }

    /// Forbids a job for this reason, which the status shows: one line, without a time that counts up or down. `None`
    /// lifts the hold.
    pub async fn hold(&self, hold: Hold, reason: Option<String>) -> Result<(), ControlError> {
        self.request(Request::Hold(hold, reason)).await
    }

    async fn request(&self, request: Request) -> Result<(), ControlError> {
        let sent = self.0.send(Change::Control(Asked(request))).await;
        sent.map_err(|_| ControlError::Ended)
    }
}

/// A request of a [`Control`], as a [`Change`].
#[derive(Debug)]
pub struct Asked(pub(super) Request);

/// The parameters after an edit; `Err` with their length if they are too long.
pub(super) fn edited(
    present: &Map<String, Value>,
    new: Map<String, Value>,
    edit: Edit,
) -> Result<Map<String, Value>, ControlError> {
    let params = match edit {
        Edit::Replace => new,
        Edit::Merge => {
            let mut merged = present.clone();
            merge(&mut merged, new);
            merged
        }
    };
    // A map of JSON values always serialises.
    let length = serde_json::to_vec(&params).unwrap_or_default().len();
    if length > PARAMS_BYTES { Err(ControlError::TooLong(length)) } else { Ok(params) }
}

/// JSON Merge Patch. The depth is bounded by that of the parser.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(&key)),
            Value::Object(patch) => {
                let mut object = match target.remove(&key) {
                    Some(Value::Object(object)) => object,
                    Some(_) | None => Map::new(),
                };
                merge(&mut object, patch);
                target.insert(key, Value::Object(object));
            }
            plain @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                target.insert(key, plain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(edit: Edit, new: Value, expected: Value) {
        let object = |value: &Value| value.as_object().cloned().unwrap();
        let present = json!({ "prompt": "a cat", "steps": [1, 2], "net": { "a": 1, "b": 2 } });
        let params = edited(&object(&present), object(&new), edit).unwrap();
        assert_eq!(Value::Object(params), expected);
    }

    #[test]
    fn a_merge_changes_what_it_names_and_null_removes() {
        check(
            Edit::Merge,
            json!({ "prompt": "a dog", "steps": null, "net": { "b": null, "c": { "d": 3, "e": null } } }),
            json!({ "prompt": "a dog", "net": { "a": 1, "c": { "d": 3 } } }),
        );
        check(
            Edit::Merge,
            json!({ "net": 7, "prompt": { "a": 1 }, "nothing": null }),
            json!({ "net": 7, "prompt": { "a": 1 }, "steps": [1, 2] }),
        );
        let present = json!({ "prompt": "a cat", "steps": [1, 2], "net": { "a": 1, "b": 2 } });
        check(Edit::Merge, json!({}), present);
    }

    #[test]
    fn a_replacement_leaves_nothing_of_the_old_ones() {
        check(Edit::Replace, json!({ "prompt": "a dog" }), json!({ "prompt": "a dog" }));
        check(Edit::Replace, json!({}), json!({}));
    }

    #[test]
    fn parameters_that_are_too_long_are_refused() {
        let long = json!({ "prompt": "x".repeat(PARAMS_BYTES) });
        let edited = edited(&Map::new(), long.as_object().cloned().unwrap(), Edit::Merge);
        assert_eq!(edited, Err(ControlError::TooLong(PARAMS_BYTES + 13)));
    }

    #[tokio::test]
    async fn an_agent_that_has_ended_is_named() {
        let (changes, receiver) = mpsc::channel(1);
        drop(receiver);
        let control = Control::new(changes);
        assert_eq!(control.params(Map::new(), Edit::Merge).await, Err(ControlError::Ended));
        assert_eq!(control.parameters().await, Err(ControlError::Ended));
        assert_eq!(control.restart().await, Err(ControlError::Ended));
        assert_eq!(control.job(JobWish::Stop).await, Err(ControlError::Ended));
        assert_eq!(control.hold(Hold::Budget, None).await, Err(ControlError::Ended));
    }
}
