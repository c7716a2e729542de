//! Follows the parameters of the job: sent, reported by the model, refused, or never confirmed.
//!
//! ```text
//!            sent                 reported, no error follows
//! Waiting ──▶ Sending ──▶ Sent ────────────────────────────▶ Applied
//!    ▲                     ├── an error of the model, a refusal of the app ──▶ Refused
//!    │ the job ends        └── CONFIRM_TIME without either ──▶ NotConfirmed ──reported──▶ Applied
//! ```
//!
//! One change is on its way at a time, so that a flood of changes fills no queue and none overtakes another. Those that
//! come meanwhile wait, and only the newest of them is sent.
//!
//! Does not: send parameters, or read the clock.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::agent::control::{Parameters, ParamsState};
use crate::events::{Kind, bounded};
use livepeer_gateway::job::{JobEvent, ParamsReport};

/// The time for a confirmation: the runner reports its parameters every 10 s.
const CONFIRM_TIME: Duration = Duration::from_secs(30);

/// The parameters of the job and the progress of their delivery.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    params: Map<String, Value>,
    change: u64,
    state: DeliveryState,
    /// The sending that is on its way, and its change.
    on_way: Option<(Sending, u64)>,
    next: Sending,
}

/// The number of one sending of parameters: a change may be sent to several jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::agent) struct Sending(u64);

#[derive(Debug, Default)]
enum DeliveryState {
    #[default]
    Waiting,
    Sending,
    /// Sent at the first of these times. At the second, which is set once the model has reported the parameters, they
    /// count as applied, if no error came before.
    Sent(Instant, Option<Instant>),
    /// Not confirmed in time.
    NotConfirmed,
    Applied,
    Refused(String),
}

impl Delivery {
    /// Call it when the parameters change.
    pub(super) fn change(&mut self, params: &Map<String, Value>) {
        self.params.clone_from(params);
        self.change += 1;
        self.state = DeliveryState::Waiting;
    }

    /// Call it to send the present parameters to the job. Returns the number of the sending, for [`Delivery::on_sent`] or
    /// [`Delivery::on_answer`]; `None` if they have to wait for those on the way.
    pub(super) fn send(&mut self) -> Option<Sending> {
        self.state = DeliveryState::Sending;
        if self.on_way.is_some() {
            return None;
        }
        self.next.0 += 1;
        self.on_way = Some((self.next, self.change));
        Some(self.next)
    }

    /// Whether parameters have waited and must be sent now.
    pub(super) fn are_due(&self) -> bool {
        matches!(self.state, DeliveryState::Sending) && self.on_way.is_none()
    }

    /// Ends a sending. Returns whether it had the present parameters, and the job still awaits them.
    fn arrive(&mut self, sending: Sending) -> bool {
        let arrived = self.on_way.take_if(|(on_way, _)| *on_way == sending);
        let is_present = arrived.is_some_and(|(_, change)| change == self.change);
        is_present && matches!(self.state, DeliveryState::Sending)
    }

    /// Call it when parameters have been sent.
    pub(super) fn on_sent(&mut self, sending: Sending, now: Instant) -> Option<Kind> {
        self.arrive(sending).then(|| self.sent(now))
    }

    /// Call it when the control channel ended before parameters were sent.
    pub(super) fn on_unsent(&mut self, sending: Sending) {
        if self.on_way.is_some_and(|(on_way, _)| on_way == sending) {
            self.on_no_job();
        }
    }

    /// Call it when another job takes the place of the one before it, whose answers do not count any more.
    pub(super) fn on_other_job(&mut self) {
        self.on_way = None;
    }

    /// Call it when a job was started with `params`.
    pub(super) fn on_started(&mut self, params: &Map<String, Value>, now: Instant) -> Option<Kind> {
        self.params.clone_from(params);
        if params.is_empty() {
            // Nothing was sent, so nothing can be reported.
            self.state = DeliveryState::Applied;
            return None;
        }
        Some(self.sent(now))
    }

    fn sent(&mut self, now: Instant) -> Kind {
        self.state = DeliveryState::Sent(now, None);
        Kind::ParametersSent { change: self.change, parameters: bounded(&self.params) }
    }

    /// Call it when the app has answered the call with parameters; an error is the app's message.
    pub(super) fn on_answer(&mut self, sending: Sending, answer: Result<(), String>) -> Vec<Kind> {
        if !self.arrive(sending) {
            return Vec::new();
        }
        let parameters = bounded(&self.params);
        let sent = Kind::ParametersSent { change: self.change, parameters };
        let result = match answer {
            Ok(()) => self.apply(),
            Err(reason) => self.refuse(reason),
        };
        vec![sent, result]
    }

    /// Call it when the parameters could not be sent to the job, or when the job ends: the next job gets them.
    pub(super) fn on_no_job(&mut self) {
        self.state = DeliveryState::Waiting;
        self.on_way = None;
    }

    /// Call it for each event of the job.
    pub(super) fn on_job_event(&mut self, event: &JobEvent, now: Instant) -> Option<Kind> {
        let since = match self.state {
            DeliveryState::Sent(since, _) => since,
            // A confirmation after the time limit counts too.
            DeliveryState::NotConfirmed => now,
            DeliveryState::Waiting
            | DeliveryState::Sending
            | DeliveryState::Applied
            | DeliveryState::Refused(_) => return None,
        };
        match ParamsReport::of(event, &self.params)? {
            ParamsReport::Refused(words) => Some(self.refuse(words)),
            ParamsReport::Reported(Duration::ZERO) => Some(self.apply()),
            ParamsReport::Reported(left) => {
                self.state = DeliveryState::Sent(since, Some(now + left));
                None
            }
        }
    }

    /// When to call [`Delivery::on_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            DeliveryState::Sent(_, Some(settled)) => Some(settled),
            DeliveryState::Sent(since, None) => Some(since + CONFIRM_TIME),
            DeliveryState::Waiting
            | DeliveryState::Sending
            | DeliveryState::NotConfirmed
            | DeliveryState::Applied
            | DeliveryState::Refused(_) => None,
        }
    }

    /// Call it at the time of [`Delivery::poll_timeout`].
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Kind> {
        match self.state {
            DeliveryState::Sent(_, Some(settled)) => (settled <= now).then(|| self.apply()),
            DeliveryState::Sent(since, None) if since + CONFIRM_TIME <= now => {
                self.state = DeliveryState::NotConfirmed;
                let after_s = now.saturating_duration_since(since).as_secs();
                Some(Kind::ParametersNotConfirmed { change: self.change, after_s })
            }
            DeliveryState::Sent(..)
            | DeliveryState::Waiting
            | DeliveryState::Sending
            | DeliveryState::NotConfirmed
            | DeliveryState::Applied
            | DeliveryState::Refused(_) => None,
        }
    }

    /// The parameters of the next start, `params`, with the progress of their delivery.
    pub(super) fn parameters(&self, params: Map<String, Value>) -> Parameters {
        let state = match &self.state {
            DeliveryState::Waiting => ParamsState::Waiting,
            DeliveryState::Sending => ParamsState::Sending,
            DeliveryState::Sent(..) => ParamsState::Sent,
            DeliveryState::NotConfirmed => ParamsState::NotConfirmed,
            DeliveryState::Applied => ParamsState::Applied,
            DeliveryState::Refused(words) => ParamsState::Refused(words.clone()),
        };
        Parameters { params, change: self.change, state }
    }

    fn apply(&mut self) -> Kind {
        self.state = DeliveryState::Applied;
        Kind::ParametersApplied { change: self.change }
    }

    fn refuse(&mut self, reason: String) -> Kind {
        self.state = DeliveryState::Refused(reason.clone());
        Kind::ParametersRefused { change: self.change, reason }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(prompt: &str) -> Map<String, Value> {
        json!({ "prompt": prompt }).as_object().cloned().unwrap()
    }

    fn event(body: &Value) -> JobEvent {
        JobEvent::parse(body.to_string().as_bytes()).unwrap()
    }

    fn status(prompt: &str, age_ms: u64) -> JobEvent {
        event(&json!({ "type": "status", "timestamp": 9000 + age_ms, "inference_status": {
            "last_params": { "prompt": prompt }, "last_params_update_time": 9000 } }))
    }

    fn error(words: &str) -> JobEvent {
        event(&json!({ "type": "error", "message": words }))
    }

    fn name(kind: Option<Kind>) -> &'static str {
        kind.map_or("", |kind| kind.name())
    }

    /// Parameters that were sent at the returned time.
    fn sent(prompt: &str) -> (Delivery, Instant) {
        let (mut delivery, now) = (Delivery::default(), Instant::now());
        delivery.change(&params(prompt));
        let sending = delivery.send().unwrap();
        assert_eq!(name(delivery.on_sent(sending, now)), "parameters_sent");
        (delivery, now)
    }

    fn state(delivery: &Delivery) -> ParamsState {
        delivery.parameters(Map::new()).state
    }

    #[test]
    fn parameters_are_sent_only_when_the_peer_has_them() {
        let (mut delivery, now) = (Delivery::default(), Instant::now());
        assert_eq!(state(&delivery), ParamsState::Waiting);
        delivery.change(&params("a"));
        assert_eq!(delivery.on_sent(Sending(1), now), None, "they were never sent");
        let first = delivery.send().unwrap();
        assert_eq!(state(&delivery), ParamsState::Sending);
        assert_eq!(delivery.on_job_event(&status("a", 5000), now), None);
        delivery.change(&params("b"));
        assert_eq!(delivery.send(), None, "the first are on the way");
        assert!(!delivery.are_due());
        assert_eq!(delivery.on_sent(first, now), None, "others have taken their place");
        assert!(delivery.are_due());
        let second = delivery.send().unwrap();
        let Some(Kind::ParametersSent { change: 2, parameters }) = delivery.on_sent(second, now)
        else {
            panic!()
        };
        assert_eq!(parameters, params("b"));
        assert!(!delivery.are_due());
    }

    #[test]
    fn an_answer_for_an_earlier_job_does_not_count() {
        let (mut delivery, now) = (Delivery::default(), Instant::now());
        delivery.change(&params("a"));
        let earlier = delivery.send().unwrap();
        delivery.on_other_job();
        let own = delivery.send().unwrap();
        assert_eq!(delivery.on_sent(earlier, now), None);
        assert_eq!(delivery.on_answer(earlier, Ok(())), []);
        assert_eq!(name(delivery.on_sent(own, now)), "parameters_sent");
        // Neither does one after the end of the job.
        delivery.change(&params("b"));
        let late = delivery.send().unwrap();
        delivery.on_no_job();
        assert_eq!(delivery.on_sent(late, now), None);
        assert!(!delivery.are_due() && delivery.send().is_some());
    }

    #[test]
    fn a_status_that_reports_the_parameters_confirms_them() {
        let (mut delivery, now) = sent("a");
        assert_eq!(delivery.on_job_event(&status("other", 5000), now), None);
        assert_eq!(name(delivery.on_job_event(&status("a", 5000), now)), "parameters_applied");
        assert_eq!(state(&delivery), ParamsState::Applied);
        assert_eq!(delivery.on_job_event(&error("out of memory"), now), None);
        assert_eq!(delivery.poll_timeout(), None);
    }

    #[test]
    fn a_refusal_that_follows_the_report_wins() {
        let (mut delivery, now) = sent("a");
        assert_eq!(delivery.on_job_event(&status("a", 500), now), None);
        let settled = delivery.poll_timeout().unwrap();
        assert_eq!(settled - now, Duration::from_millis(1500));
        assert_eq!(delivery.on_timeout(now), None, "not yet");
        let refused = delivery.on_job_event(&error("Error updating params: no"), now);
        let reason = "the words of the model";
        assert_eq!(name(refused), "parameters_refused", "{reason}");
        let words = ParamsState::Refused("Error updating params: no".to_owned());
        assert_eq!((state(&delivery), delivery.poll_timeout()), (words, None));

        let (mut delivery, now) = sent("a");
        assert_eq!(delivery.on_job_event(&status("a", 500), now), None);
        let settled = delivery.poll_timeout().unwrap();
        assert_eq!(name(delivery.on_timeout(settled)), "parameters_applied");
    }

    #[test]
    fn a_silent_model_confirms_nothing_until_it_reports_the_parameters() {
        let (mut delivery, now) = sent("a");
        let late = now + CONFIRM_TIME;
        assert_eq!(delivery.poll_timeout(), Some(late));
        let Some(Kind::ParametersNotConfirmed { change: 1, after_s: 30 }) =
            delivery.on_timeout(late)
        else {
            panic!()
        };
        assert_eq!((state(&delivery), delivery.poll_timeout()), (ParamsState::NotConfirmed, None));
        assert_eq!(name(delivery.on_job_event(&status("a", 5000), late)), "parameters_applied");
    }

    #[test]
    fn a_call_is_confirmed_by_its_answer() {
        let mut delivery = Delivery::default();
        delivery.change(&params("a"));
        let sending = delivery.send().unwrap();
        let kinds = delivery.on_answer(sending, Ok(()));
        assert_eq!(
            kinds.iter().map(Kind::name).collect::<Vec<_>>(),
            ["parameters_sent", "parameters_applied"]
        );
        delivery.change(&params("b"));
        let sending = delivery.send().unwrap();
        let kinds = delivery.on_answer(sending, Err("422".to_owned()));
        assert_eq!(kinds.last().map(Kind::name), Some("parameters_refused"));
        assert_eq!(delivery.on_answer(sending, Ok(())), []);
    }

    #[test]
    fn a_start_sends_the_parameters_and_a_lost_job_leaves_them_waiting() {
        let (mut delivery, now) = (Delivery::default(), Instant::now());
        assert_eq!(delivery.on_started(&Map::new(), now), None);
        assert_eq!((state(&delivery), delivery.poll_timeout()), (ParamsState::Applied, None));
        assert_eq!(name(delivery.on_started(&params("a"), now)), "parameters_sent");
        delivery.on_no_job();
        assert_eq!((state(&delivery), delivery.poll_timeout()), (ParamsState::Waiting, None));
        assert_eq!(delivery.on_job_event(&status("a", 5000), now), None);
    }
}
