//! Writes a report as metrics, in the text format of Prometheus.
//!
//! Every metric has the label `instance` and those of the configuration. A figure that is not known is left out. Units
//! are the base units of Prometheus: seconds and bytes, so rates are in bytes where the report has bits.
//!
//! Does not: serve the metrics.

mod text;

use super::StatusReport;
use super::chain::LinkState;
use super::report::Latencies;
use text::{Kind, Text};

/// The metrics of a report, in version 0.0.4 of the text format (`text/plain; version=0.0.4`).
pub fn metrics(report: &StatusReport) -> String {
    let mut text = Text::new(&report.instance, &report.labels);
    program(report, &mut text);
    chain(report, &mut text);
    capture(report, &mut text);
    uplink(report, &mut text);
    returned(report, &mut text);
    payment(report, &mut text);
    data(report, &mut text);
    device(report, &mut text);
    text.finish()
}

fn program(report: &StatusReport, text: &mut Text) {
    let version = [("version", report.program)];
    text.metric("build_info", Kind::Gauge, "The version of the program; always 1.");
    text.sample(&version, 1.0);
    text.gauge("uptime_seconds", "The time since the program began.", report.uptime);
    let ready = f64::from(u8::from(report.ready));
    text.gauge(
        "ready",
        "1 while video moves all the way from the camera back to this device, else 0.",
        ready,
    );
}

fn chain(report: &StatusReport, text: &mut Text) {
    let what = "1 for the state that the link has, 0 for the others.";
    text.metric("link_state", Kind::Gauge, what);
    for link in &report.chain {
        for state in LinkState::ALL {
            let labels = [("link", link.link.name()), ("state", state.name())];
            text.sample(&labels, f64::from(u8::from(state == link.state)));
        }
    }
    text.metric("link_state_seconds", Kind::Gauge, "How long the link has had its state.");
    for link in &report.chain {
        text.sample(&[("link", link.link.name())], link.seconds);
    }
}

fn capture(report: &StatusReport, text: &mut Text) {
    let (camera, encoder, queue) = (&report.camera, &report.encoder, &report.queue);
    text.counter("camera_frames_total", "Frames that went into the encoder.", camera.frames);
    text.gauge("camera_frames_per_second", "Frames that go into the encoder.", camera.fps);
    text.counter("camera_losses_total", "How often the camera was lost.", camera.losses);
    if let Some(moving) = camera.moving {
        let moving = f64::from(u8::from(moving));
        text.gauge("motion", "1 while something moves in front of the camera, else 0.", moving);
        text.counter("motions_total", "Motions in front of the camera.", camera.motions);
    }
    text.counter("encoder_frames_total", "Frames that came out of the encoder.", encoder.frames);
    text.gauge("encoder_frames_per_second", "Frames that come out of the encoder.", encoder.fps);
    text.optional(
        "encoder_target_bytes_per_second",
        "The bitrate that the encoder was given.",
        encoder.target_bits_per_second.map(|bits| f64::from(bits) / 8.0),
    );
    latency(
        text,
        "encoder_latency_seconds",
        "The time of a frame in the encoder.",
        &encoder.latency,
    );
    text.gauge("queue_age_seconds", "How long the next frame to send has waited.", queue.age);
    let what = "Frames that were dropped before the network.";
    text.metric("dropped_frames_total", Kind::Counter, what);
    let dropped = &queue.dropped;
    for (reason, count) in
        [("full", dropped.full), ("stale", dropped.stale), ("lost", dropped.lost)]
    {
        text.sample(&[("reason", reason)], count as f64);
    }
}

fn uplink(report: &StatusReport, text: &mut Text) {
    let (uplink, job) = (&report.uplink, &report.job);
    text.counter("uplink_segments_total", "Segments that were confirmed.", uplink.segments);
    text.counter("uplink_lost_segments_total", "Segments that were lost.", uplink.segments_lost);
    text.gauge(
        "uplink_segments_in_flight",
        "Segments that wait for their answer.",
        uplink.segments_in_flight as f64,
    );
    text.counter("uplink_bytes_total", "Bytes that were sent.", uplink.bytes);
    let rate = uplink.bits_per_second / 8.0;
    text.gauge("uplink_bytes_per_second", "The rate of the video sent.", rate);
    text.counter(
        "uplink_reconnects_total",
        "How often the connection was lost.",
        uplink.reconnects,
    );
    text.optional(
        "uplink_unsent_bytes",
        "Bytes that wait in the kernel's send buffers.",
        uplink.unsent_bytes.map(|bytes| bytes as f64),
    );
    text.optional(
        "uplink_tcp_round_trip_seconds",
        "The round trip of the connection, as the kernel measures it.",
        uplink.tcp_round_trip,
    );
    let what = "The time from the first byte of a segment to its confirmation.";
    latency(text, "uplink_latency_seconds", what, &uplink.latency);
    text.counter("job_starts_total", "Jobs that were started.", job.starts);
    text.counter("job_swaps_total", "Jobs that were lost and replaced.", job.swaps);
}

fn returned(report: &StatusReport, text: &mut Text) {
    let returned = &report.returned;
    text.counter("returned_segments_total", "Segments of processed video.", returned.segments);
    text.counter("returned_bytes_total", "Bytes of processed video.", returned.bytes);
    text.gauge(
        "returned_bytes_per_second",
        "The rate of the processed video.",
        returned.bits_per_second / 8.0,
    );
    text.counter("returned_frames_total", "Frames of processed video.", returned.frames);
    text.gauge("returned_frames_per_second", "Frames of processed video.", returned.fps);
    text.counter("events_total", "Events of the model.", returned.events);
    let what = "The time from the encoder's input to the return of the processed frame.";
    latency(text, "round_trip_seconds", what, &report.round_trip);
    if report.outputs.is_empty() {
        return;
    }
    text.metric("output_bytes_total", Kind::Counter, "Bytes written to the output.");
    for output in &report.outputs {
        text.sample(&[("output", &output.name), ("kind", output.kind)], output.bytes as f64);
    }
    let what = "Bytes dropped because the output was too slow or did not work.";
    text.metric("output_dropped_bytes_total", Kind::Counter, what);
    for output in &report.outputs {
        text.sample(
            &[("output", &output.name), ("kind", output.kind)],
            output.dropped_bytes as f64,
        );
    }
}

fn payment(report: &StatusReport, text: &mut Text) {
    let payment = &report.payment;
    if !payment.is_paid {
        return;
    }
    text.counter("payments_total", "Payments that the signer has made.", payment.payments);
    text.counter("payment_failures_total", "Payments that failed.", payment.failures);
    text.metric("paid_wei_total", Kind::Counter, "The expected value of all tickets.");
    text.sample(&[], payment.wei as f64);
    text.optional(
        "price_wei_per_hour",
        "The price of the present job.",
        payment.wei_per_hour.map(|wei| wei as f64),
    );
    text.gauge(
        "paid_wei_today",
        "Paid on this day of the local calendar.",
        payment.wei_today as f64,
    );
    text.gauge(
        "paid_wei_this_month",
        "Paid in this month of the local calendar.",
        payment.wei_this_month as f64,
    );
    if let Some(budget) = &payment.budget {
        text.gauge("budget_wei", "The limit of this period.", budget.limit as f64);
        text.gauge("budget_left_wei", "What is left of it.", budget.left as f64);
    }
    text.optional(
        "paid_ahead_seconds",
        "The time that is still paid for, as estimated here.",
        payment.seconds_paid_for,
    );
}

fn data(report: &StatusReport, text: &mut Text) {
    let Some(budget) = &report.data else { return };
    text.gauge("data_budget_bytes", "The limit of traffic in this period.", budget.limit as f64);
    text.gauge("data_budget_left_bytes", "What is left of it.", budget.left as f64);
}

fn device(report: &StatusReport, text: &mut Text) {
    text.optional(
        "device_temperature_celsius",
        "The highest of the kernel's temperatures.",
        report.device.temperature,
    );
    let Some(throttling) = &report.device.throttling else { return };
    text.gauge(
        "device_throttled",
        "1 while low voltage or heat slow this device down, else 0.",
        f64::from(u8::from(!throttling.now.is_empty())),
    );
}

fn latency(text: &mut Text, name: &str, what: &str, latency: &Option<Latencies>) {
    let Some(latency) = latency else { return };
    text.metric(name, Kind::Histogram, what);
    text.histogram(&latency.buckets, latency.sum, latency.count);
}

#[cfg(test)]
mod tests;
