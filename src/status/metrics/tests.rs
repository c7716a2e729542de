//! Tests the metrics of a report.
//!
//! Does not: check the format; `tests/status.rs` has promtool do that.

use std::time::Instant;

use super::metrics;
use crate::status::report::StatusReport;
use crate::status::sample;

/// The report of an agent whose video moves.
fn report() -> StatusReport {
    sample::report(&sample::facts(Instant::now()))
}

#[test]
fn every_sample_has_the_labels_of_the_instance() {
    let text = metrics(&report());
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for line in samples {
        assert!(line.starts_with("livepeer_edge_"), "{line}");
        assert!(line.contains("{instance=\"pi\",site=\"roof\""), "{line}");
    }
}

#[test]
fn figures_are_where_they_belong() {
    let text = metrics(&report());
    for line in [
        "livepeer_edge_ready{instance=\"pi\",site=\"roof\"} 1",
        "livepeer_edge_camera_frames_total{instance=\"pi\",site=\"roof\"} 1440",
        "livepeer_edge_motion{instance=\"pi\",site=\"roof\"} 0",
        "livepeer_edge_motions_total{instance=\"pi\",site=\"roof\"} 3",
        "livepeer_edge_link_state{instance=\"pi\",site=\"roof\",link=\"camera\",state=\"ok\"} 1",
        "livepeer_edge_link_state{instance=\"pi\",site=\"roof\",link=\"camera\",state=\"failed\"} 0",
        "livepeer_edge_round_trip_seconds_bucket{instance=\"pi\",site=\"roof\",le=\"0.256\"} 3",
        "livepeer_edge_round_trip_seconds_bucket{instance=\"pi\",site=\"roof\",le=\"+Inf\"} 3",
        "livepeer_edge_round_trip_seconds_sum{instance=\"pi\",site=\"roof\"} 0.6",
        "livepeer_edge_paid_wei_total{instance=\"pi\",site=\"roof\"} 1200000",
        "livepeer_edge_device_temperature_celsius{instance=\"pi\",site=\"roof\"} 54.8",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut report = report();
    report.payment.is_paid = false;
    report.round_trip = None;
    report.device.temperature = None;
    report.camera.moving = None;
    let text = metrics(&report);
    for name in ["wei", "payment", "round_trip_seconds", "device_", "motion"] {
        assert!(!text.contains(&format!("livepeer_edge_{name}")), "{name} is in:\n{text}");
    }
}
