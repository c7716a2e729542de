//! Simulates the process behind a model: the stream it works on, and the size of its pictures.
//!
//! The size can be set at the start of a stream, but not later. Streams are distinguished by the `gateway_request_id`
//! of their start, so all streams without this id count as the same stream (ai-runner
//! `runner/src/runner/live/process/process.py:346`).
//!
//! Does not: scale pictures; the echo app returns them unchanged.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

/// The size if the parameters do not name one (`runner/src/runner/live/trickle/frame.py`).
const SIZE: (u64, u64) = (512, 512);
/// An idle process returns to its default parameters after this long (`process_guardian.py:183`, `:305`).
const OFFLINE: Duration = Duration::from_secs(3);

/// The simulated process of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelProcess {
    state: Activity,
    /// The request that set the present parameters.
    set_by: String,
    size: (u64, u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Activity {
    /// The process has had no stream since this time; `None` before the first stream.
    Idle { since: Option<Instant> },
    /// The process works on the stream of this job, which this request started.
    Busy { manifest: String, request: String },
}

/// Why parameters are refused, with the runner's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedParams(pub(crate) String);

impl Default for ModelProcess {
    fn default() -> Self {
        Self { state: Activity::Idle { since: None }, set_by: String::new(), size: SIZE }
    }
}

impl ModelProcess {
    /// Whether the process is free for a stream.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, Activity::Idle { .. })
    }

    /// Whether the process works on the stream of this job.
    pub(crate) fn runs(&self, manifest: &str) -> bool {
        matches!(&self.state, Activity::Busy { manifest: own, .. } if own == manifest)
    }

    /// Call when the stream of a job begins.
    pub(crate) fn begin(&mut self, manifest: &str, request: &str, now: Instant) {
        if matches!(self.state, Activity::Idle { since: Some(since) } if now - since > OFFLINE) {
            *self = Self::default();
        }
        self.state = Activity::Busy { manifest: manifest.to_owned(), request: request.to_owned() };
    }

    /// Applies parameters, at the start or later. If they are refused, the present parameters do not change.
    pub(crate) fn update(&mut self, params: &Map<String, Value>) -> Result<(), RefusedParams> {
        let Activity::Busy { request, .. } = &self.state else { return Ok(()) };
        let of = |key: &str, default| params.get(key).and_then(Value::as_u64).unwrap_or(default);
        let wanted = (of("width", SIZE.0), of("height", SIZE.1));
        if *request == self.set_by && wanted != self.size {
            return Err(RefusedParams(format!(
                "Error updating params: Cannot change output resolution mid-stream (Current \
                 resolution: {:?} requested resolution: {wanted:?}).",
                self.size
            )));
        }
        self.set_by.clone_from(request);
        self.size = wanted;
        Ok(())
    }

    /// Call when the stream has ended.
    pub(crate) fn end(&mut self, now: Instant) {
        self.state = Activity::Idle { since: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(pipeline: &mut ModelProcess, params: &Value) -> bool {
        pipeline.update(params.as_object().unwrap()).is_ok()
    }

    #[test]
    fn only_the_first_parameters_of_a_request_can_set_the_size() {
        let (mut pipeline, now) = (ModelProcess::default(), Instant::now());
        pipeline.begin("m", "r1", now);
        assert!(update(&mut pipeline, &json!({ "width": 768, "height": 768 })));
        assert!(update(&mut pipeline, &json!({ "width": 768, "height": 768, "prompt": "a" })));
        assert!(!update(&mut pipeline, &json!({ "width": 512, "height": 768 })));
        // Parameters without a size request the default size.
        assert!(!update(&mut pipeline, &json!({ "prompt": "a" })));
        pipeline.end(now);
        pipeline.begin("n", "r2", now);
        assert!(update(&mut pipeline, &json!({ "prompt": "a" })));
    }

    #[test]
    fn streams_without_a_request_id_count_as_one_stream() {
        let (mut pipeline, now) = (ModelProcess::default(), Instant::now());
        pipeline.begin("m", "", now);
        let text = pipeline.update(json!({ "width": 768 }).as_object().unwrap()).unwrap_err().0;
        assert!(text.contains("(512, 512) requested resolution: (768, 512)"), "{text}");
        assert!(update(&mut pipeline, &json!({ "prompt": "a" })));
        pipeline.end(now);
        pipeline.begin("n", "", now);
        assert!(!update(&mut pipeline, &json!({ "width": 768 })));
    }

    #[test]
    fn an_idle_process_returns_to_its_default_parameters() {
        let now = Instant::now();
        for (pause, is_new) in [(OFFLINE, false), (OFFLINE + Duration::from_millis(1), true)] {
            let mut pipeline = ModelProcess::default();
            pipeline.begin("m", "r", now);
            assert!(update(&mut pipeline, &json!({ "width": 768 })));
            pipeline.end(now);
            pipeline.begin("n", "r", now + pause);
            assert_eq!(update(&mut pipeline, &json!({})), is_new);
            assert!(pipeline.runs("n") && !pipeline.is_idle());
        }
    }
}
