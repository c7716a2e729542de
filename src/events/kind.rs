//! The kinds of event and the fields of each; [`TYPES`] describes them for the user.
//!
//! A kind serialises to a JSON object with its name as `type`. Names and fields stay as they are between releases; new
//! kinds and fields may be added.
//!
//! Does not: say when an event is published in the code; the publishers do.

use serde::Serialize;
use serde_json::{Map, Value};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// The agent has started.
    Started {
        /// The version of the program.
        version: &'static str,
    },
    /// The agent stops.
    Stopping,
    /// The present configuration is refused, so that another one runs.
    ConfigurationRefused {
        /// Which configuration runs, and why the present one is refused.
        reason: String,
    },
    /// A changed configuration was read and is in use.
    ConfigurationApplied,
    /// A job has started.
    JobStarted {
        /// The host and port of the orchestrator or runner.
        at: String,
        /// The first characters of the job's manifest id.
        job: String,
        /// The model or the app.
        work: String,
    },
    /// A new job has started at another orchestrator or runner than the job before it.
    JobMoved {
        /// The orchestrator or runner of the job before it.
        from: String,
        /// The orchestrator or runner of the new job.
        to: String,
    },
    /// The job was lost.
    JobEnded {
        /// The orchestrator or runner of the job.
        at: String,
        /// The reason.
        reason: String,
    },
    /// No job runs; the agent tries to start the next one later.
    NoJob {
        /// The reason.
        reason: String,
    },
    /// A job is wanted again.
    JobWanted {
        /// Why.
        reason: String,
    },
    /// No job is wanted: a running job is closed, and nothing is paid.
    JobNotWanted {
        /// Why.
        reason: String,
    },
    /// The source gives no video.
    CameraLost {
        /// The reason.
        reason: String,
    },
    /// The source gives video again.
    CameraBack {
        /// Milliseconds since the camera was lost.
        after_ms: u64,
    },
    /// Something moves in front of the camera.
    Motion,
    /// Nothing moves any more.
    MotionEnded {
        /// Milliseconds for which something moved.
        after_ms: u64,
    },
    /// No video gets through to the orchestrator.
    UplinkTrouble {
        /// The host and port of the orchestrator.
        at: String,
    },
    /// Video gets through again.
    UplinkWorks,
    /// A payment failed, and is tried again.
    PaymentTrouble {
        /// The reason.
        reason: String,
        /// Seconds that are still paid for; `null` if that is not known.
        paid_for_s: Option<u64>,
    },
    /// Payments work again.
    PaymentWorks,
    /// 80 % of the budget of this period is spent.
    BudgetNear {
        /// The budget.
        budget: String,
        /// What is left.
        left: String,
    },
    /// At the price of the present job, or with the present traffic, the budget is spent before the next period.
    BudgetShort {
        /// The budget.
        budget: String,
        /// When it is spent, by the local clock.
        until: String,
        /// What an hour takes.
        rate: String,
    },
    /// The budget is spent: no job runs until the next period or an addition.
    BudgetSpent {
        /// The budget.
        budget: String,
    },
    /// The next period has begun, or an amount was added: jobs may run again.
    BudgetOpen {
        /// The budget.
        budget: String,
    },
    /// The model reports an error or runs degraded.
    ModelTrouble {
        /// The model's words, in one line.
        reason: String,
    },
    /// The model works again.
    ModelWorks,
    /// An event of the model.
    Model {
        /// The event, made safe to show and cut to 8 KiB.
        event: Map<String, Value>,
    },
    /// Parameters have been sent to the job.
    ParametersSent {
        /// The number of the change, which goes up by one with each change.
        change: u64,
        /// The parameters, cut to 8 KiB.
        parameters: Map<String, Value>,
    },
    /// The model has reported these parameters as its own, or the app has accepted them.
    ParametersApplied {
        /// The number of the change.
        change: u64,
    },
    /// The model or the app has refused the parameters.
    ParametersRefused {
        /// The number of the change.
        change: u64,
        /// The words of the model or the app.
        reason: String,
    },
    /// The parameters were sent, and the model has neither reported nor refused them.
    ParametersNotConfirmed {
        /// The number of the change.
        change: u64,
        /// Seconds since the parameters were sent.
        after_s: u64,
    },
    /// An output cannot be opened or written; it is tried again.
    OutputTrouble {
        /// The name of the output.
        output: String,
        /// The reason.
        reason: String,
    },
    /// The output is written again.
    OutputWorks {
        /// The name of the output.
        output: String,
    },
    /// This receiver was too slow: the oldest events that waited for it were dropped.
    EventsLost {
        /// How many.
        count: u64,
    },
}

impl Kind {
    /// The name, which is the `type` of the JSON object.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopping => "stopping",
            Self::ConfigurationRefused { .. } => "configuration_refused",
            Self::ConfigurationApplied => "configuration_applied",
            Self::JobStarted { .. } => "job_started",
            Self::JobMoved { .. } => "job_moved",
            Self::JobEnded { .. } => "job_ended",
            Self::NoJob { .. } => "no_job",
            Self::JobWanted { .. } => "job_wanted",
            Self::JobNotWanted { .. } => "job_not_wanted",
            Self::CameraLost { .. } => "camera_lost",
            Self::CameraBack { .. } => "camera_back",
            Self::Motion => "motion",
            Self::MotionEnded { .. } => "motion_ended",
            Self::UplinkTrouble { .. } => "uplink_trouble",
            Self::UplinkWorks => "uplink_works",
            Self::PaymentTrouble { .. } => "payment_trouble",
            Self::PaymentWorks => "payment_works",
            Self::BudgetNear { .. } => "budget_near",
            Self::BudgetShort { .. } => "budget_short",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::BudgetOpen { .. } => "budget_open",
            Self::ModelTrouble { .. } => "model_trouble",
            Self::ModelWorks => "model_works",
            Self::Model { .. } => MODEL,
            Self::ParametersSent { .. } => "parameters_sent",
            Self::ParametersApplied { .. } => "parameters_applied",
            Self::ParametersRefused { .. } => "parameters_refused",
            Self::ParametersNotConfirmed { .. } => "parameters_not_confirmed",
            Self::OutputTrouble { .. } => "output_trouble",
            Self::OutputWorks { .. } => "output_works",
            Self::EventsLost { .. } => "events_lost",
        }
    }
}

/// The name of the model's own events, of which there may be many.
pub const MODEL: &str = "model";

/// The description of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// The name of the kind.
    pub name: &'static str,
    /// When an event of this kind is published.
    pub when: &'static str,
    /// The fields of the kind beside `time`, `instance`, `number` and `type`, each with its meaning.
    pub fields: &'static [(&'static str, &'static str)],
}

const fn row(
    name: &'static str,
    when: &'static str,
    fields: &'static [(&'static str, &'static str)],
) -> Type {
    Type { name, when, fields }
}

const REASON: (&str, &str) = ("reason", "text");
const BUDGET: (&str, &str) = ("budget", "amount and period");
const OUTPUT: (&str, &str) = ("output", "name of the output");
const CHANGE: (&str, &str) = ("change", "number of the change, up by one each time");

/// Every kind, in the order of a job's life.
pub const TYPES: &[Type] = &[
    row("started", "the agent has started", &[("version", "of the program")]),
    row("stopping", "the agent stops", &[]),
    row(
        "configuration_refused",
        "the present configuration is refused, so another one runs",
        &[REASON],
    ),
    row("configuration_applied", "a changed configuration is in use", &[]),
    row(
        "job_started",
        "a job has started",
        &[
            ("at", "host and port of the orchestrator or runner"),
            ("job", "first characters of its manifest id"),
            ("work", "model or app"),
        ],
    ),
    row(
        "job_moved",
        "the job runs elsewhere than the job before it",
        &[("from", "host and port"), ("to", "host and port")],
    ),
    row("job_ended", "the job was lost", &[("at", "where it ran"), REASON]),
    row("no_job", "no job runs; another attempt follows", &[REASON]),
    row("job_wanted", "a job is wanted again", &[REASON]),
    row(
        "job_not_wanted",
        "no job is wanted; the one that runs is closed, and nothing is paid",
        &[REASON],
    ),
    row("camera_lost", "the source gives no video", &[REASON]),
    row("camera_back", "the source gives video again", &[("after_ms", "since it was lost")]),
    row("motion", "something moves in front of the camera", &[]),
    row("motion_ended", "nothing moves any more", &[("after_ms", "for which something moved")]),
    row("uplink_trouble", "no video gets through", &[("at", "host and port")]),
    row("uplink_works", "video gets through again", &[]),
    row(
        "payment_trouble",
        "a payment failed and is tried again",
        &[REASON, ("paid_for_s", "seconds that are still paid for, or null")],
    ),
    row("payment_works", "payments work again", &[]),
    row("budget_near", "80 % of the budget is spent", &[BUDGET, ("left", "amount")]),
    row(
        "budget_short",
        "at the present rate, the budget is spent before the next period",
        &[BUDGET, ("until", "local time"), ("rate", "amount for an hour")],
    ),
    row("budget_spent", "the budget is spent; no job runs", &[BUDGET]),
    row("budget_open", "the next period has begun, or an amount was added", &[BUDGET]),
    row("model_trouble", "the model reports an error or runs degraded", &[REASON]),
    row("model_works", "the model works again", &[]),
    row(MODEL, "the model sent an event", &[("event", "the event, cut to 8 KiB")]),
    row(
        "parameters_sent",
        "parameters were sent to the job",
        &[CHANGE, ("parameters", "the object, cut to 8 KiB")],
    ),
    row(
        "parameters_applied",
        "the model reports these parameters, or the app has accepted them",
        &[CHANGE],
    ),
    row("parameters_refused", "the model or the app refuses them", &[CHANGE, REASON]),
    row(
        "parameters_not_confirmed",
        "the model has neither reported nor refused them",
        &[CHANGE, ("after_s", "seconds since they were sent")],
    ),
    row(
        "output_trouble",
        "an output cannot be opened or written, and is tried again",
        &[OUTPUT, REASON],
    ),
    row("output_works", "the output is written again", &[OUTPUT]),
    row("events_lost", "this receiver was too slow", &[("count", "of events that were dropped")]),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The kind that follows in [`TYPES`], with some value in each field. The match has an arm for each kind.
    fn after(kind: &Kind) -> Option<Kind> {
        let text = || "text".to_owned();
        let object = || json!({ "a": 1 }).as_object().cloned().unwrap();
        Some(match kind {
            Kind::Started { .. } => Kind::Stopping,
            Kind::Stopping => Kind::ConfigurationRefused { reason: text() },
            Kind::ConfigurationRefused { .. } => Kind::ConfigurationApplied,
            Kind::ConfigurationApplied => {
                Kind::JobStarted { at: text(), job: text(), work: text() }
            }
            Kind::JobStarted { .. } => Kind::JobMoved { from: text(), to: text() },
            Kind::JobMoved { .. } => Kind::JobEnded { at: text(), reason: text() },
            Kind::JobEnded { .. } => Kind::NoJob { reason: text() },
            Kind::NoJob { .. } => Kind::JobWanted { reason: text() },
            Kind::JobWanted { .. } => Kind::JobNotWanted { reason: text() },
            Kind::JobNotWanted { .. } => Kind::CameraLost { reason: text() },
            Kind::CameraLost { .. } => Kind::CameraBack { after_ms: 7 },
            Kind::CameraBack { .. } => Kind::Motion,
            Kind::Motion => Kind::MotionEnded { after_ms: 7 },
            Kind::MotionEnded { .. } => Kind::UplinkTrouble { at: text() },
            Kind::UplinkTrouble { .. } => Kind::UplinkWorks,
            Kind::UplinkWorks => Kind::PaymentTrouble { reason: text(), paid_for_s: None },
            Kind::PaymentTrouble { .. } => Kind::PaymentWorks,
            Kind::PaymentWorks => Kind::BudgetNear { budget: text(), left: text() },
            Kind::BudgetNear { .. } => {
                Kind::BudgetShort { budget: text(), until: text(), rate: text() }
            }
            Kind::BudgetShort { .. } => Kind::BudgetSpent { budget: text() },
            Kind::BudgetSpent { .. } => Kind::BudgetOpen { budget: text() },
            Kind::BudgetOpen { .. } => Kind::ModelTrouble { reason: text() },
            Kind::ModelTrouble { .. } => Kind::ModelWorks,
            Kind::ModelWorks => Kind::Model { event: object() },
            Kind::Model { .. } => Kind::ParametersSent { change: 7, parameters: object() },
            Kind::ParametersSent { .. } => Kind::ParametersApplied { change: 7 },
            Kind::ParametersApplied { .. } => Kind::ParametersRefused { change: 7, reason: text() },
            Kind::ParametersRefused { .. } => {
                Kind::ParametersNotConfirmed { change: 7, after_s: 7 }
            }
            Kind::ParametersNotConfirmed { .. } => {
                Kind::OutputTrouble { output: text(), reason: text() }
            }
            Kind::OutputTrouble { .. } => Kind::OutputWorks { output: text() },
            Kind::OutputWorks { .. } => Kind::EventsLost { count: 7 },
            Kind::EventsLost { .. } => return None,
        })
    }

    #[test]
    fn the_table_describes_each_kind_with_its_fields() {
        let kinds: Vec<Kind> =
            std::iter::successors(Some(Kind::Started { version: "1" }), after).collect();
        for (kind, row) in kinds.iter().zip(TYPES) {
            let Ok(Value::Object(object)) = serde_json::to_value(kind) else { panic!("{kind:?}") };
            assert_eq!((kind.name(), &object["type"]), (row.name, &json!(row.name)));
            let mut fields: Vec<&str> = object.keys().map(String::as_str).collect();
            fields.retain(|field| *field != "type");
            let mut described: Vec<&str> = row.fields.iter().map(|(field, _)| *field).collect();
            described.sort_unstable();
            assert_eq!(fields, described, "{}", row.name);
        }
        assert_eq!(kinds.len(), TYPES.len());
    }
}
