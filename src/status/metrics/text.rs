//! The text format of Prometheus: metrics with help, type and samples.
//!
//! Does not: know the metrics.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The beginning of each name.
const PREFIX: &str = "livepeer_edge_";

/// The kind of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A text in the making.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    /// The labels of every sample, without braces.
    labels: String,
    /// The name of the metric whose samples follow.
    name: String,
}

impl Text {
    pub(super) fn new(instance: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut all = String::new();
        label(&mut all, "instance", instance);
        labels.iter().for_each(|(name, value)| label(&mut all, name, value));
        Self { text: String::new(), labels: all, name: String::new() }
    }

    /// Begins a metric; its samples must follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, what: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.name = format!("{PREFIX}{name}");
        let name = &self.name;
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    /// Adds a sample of the present metric.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    pub(super) fn counter(&mut self, name: &str, what: &str, value: u64) {
        self.metric(name, Kind::Counter, what);
        self.sample(&[], value as f64);
    }

    pub(super) fn gauge(&mut self, name: &str, what: &str, value: f64) {
        self.metric(name, Kind::Gauge, what);
        self.sample(&[], value);
    }

    /// A gauge, if its value is known.
    pub(super) fn optional(&mut self, name: &str, what: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.gauge(name, what, value);
        }
    }

    /// Adds the samples of the present metric, a histogram: `buckets` are upper bounds, each with the count up to it.
    pub(super) fn histogram(&mut self, buckets: &[(f64, u64)], sum: f64, count: u64) {
        for (bound, up_to) in buckets {
            self.line("_bucket", &[("le", &bound.to_string())], *up_to as f64);
        }
        self.line("_bucket", &[("le", "+Inf")], count as f64);
        self.line("_sum", &[], sum);
        self.line("_count", &[], count as f64);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let mut all = self.labels.clone();
        labels.iter().for_each(|(name, value)| label(&mut all, name, value));
        let name = &self.name;
        let _ = writeln!(self.text, "{name}{suffix}{{{all}}} {value}");
    }
}

/// Appends a label.
fn label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let _ = write!(labels, "{name}=\"{value}\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let labels = [("site".to_owned(), "a\"b\\c\nd".to_owned())].into();
        let mut text = Text::new("pi", &labels);
        text.counter("x_total", "Some.", 3);
        let expected = "# HELP livepeer_edge_x_total Some.\n# TYPE livepeer_edge_x_total counter\n\
                        livepeer_edge_x_total{instance=\"pi\",site=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(text.finish(), expected);
    }
}
