//! Simulates the adaptive bitrate, the queue and TCP on models of many links, and checks the required results.
//!
//! `cargo test --test rate -- --nocapture --test-threads 1` prints the curves. Each test states the required limits
//! ([`Promise`]) for its link.
//!
//! Does not: touch the network.
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a test may panic and print")]

mod seeded;
mod uplink;

use std::time::{Duration, Instant};

use media::limits::{ACCESS_UNIT_BYTES, ACCESS_UNITS};
use media::queue::{MAX_LATENCY, Queue};
use media::rate::{Bounds, Controller, Picture, READING_EVERY, Reading};

use seeded::Random;
use uplink::{Link, Tcp, saturated};

const FULL: Picture = Picture { width: 1280, height: 720, fps: 24 };
const BOUNDS: Bounds = Bounds { min: 150_000, start: 2_000_000, max: 2_000_000 };
const SEGMENT: f64 = 2.0;
const SEEDS: u64 = 4;

/// A frame in the queue.
#[derive(Clone, Copy)]
struct Frame {
    captured: f64,
    bytes: usize,
    is_key: bool,
}

/// The state at the end of a quarter of a second.
#[derive(Clone, Copy, Default)]
struct Moment {
    bitrate: f64,
    fps: u32,
    height: u32,
    /// The longest latency of the frames that arrived in this quarter, in seconds. If none arrived, the age of the
    /// oldest frame in flight.
    latency: f64,
    dropped: u64,
}

/// Simulates encoder, queue, controller and TCP over `link`. Returns a sample for each quarter of a second.
fn run(link: &Link, seed: u64) -> Vec<Moment> {
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut random = Random::new(seed);
    let mut controller = Controller::new(BOUNDS, FULL);
    let mut queue = Queue::<Frame, ACCESS_UNITS>::new(ACCESS_UNIT_BYTES, MAX_LATENCY);
    let mut tcp = Tcp::new(link, seed);
    let (mut next_frame, mut last_key, mut key_wanted) = (0.0, -SEGMENT, false);
    let mut pushed = 0_u64;
    let mut in_flight: Vec<(u64, f64)> = Vec::new();
    let mut began = -SEGMENT;
    let (mut moments, mut latency) = (Vec::new(), 0.0_f64);
    let mut ms = 0_u64;
    let mut drift = 1.0_f64;
    while (ms as f64) < link.length() * 1000.0 {
        ms += 1;
        let now = ms as f64 / 1000.0;
        let setting = controller.setting();
        if now >= next_frame {
            next_frame += 1.0 / f64::from(setting.picture.fps);
            let is_key = key_wanted || now - last_key >= SEGMENT;
            let frames = SEGMENT * f64::from(setting.picture.fps);
            let mean = f64::from(setting.bitrate) / 8.0 / f64::from(setting.picture.fps);
            let weight = if is_key { 4.0 } else { (frames - 4.0) / (frames - 1.0) };
            drift = (drift + random.between(-0.02, 0.02)).clamp(0.95, 1.05);
            let bytes = (mean * weight * drift * random.between(0.8, 1.2)) as usize;
            if is_key {
                (last_key, key_wanted) = (now, false);
            }
            queue.push(Frame { captured: now, bytes, is_key }, is_key, bytes, at(now));
        }
        while tcp.buffered() < BOUNDS.send_buffer() {
            let popped = queue.pop(at(now));
            key_wanted |= queue.take_key_request();
            let Some(popped) = popped else { break };
            let frame = popped.item;
            if popped.after_loss || frame.is_key && frame.captured - began >= SEGMENT * 0.9 {
                began = frame.captured;
                tcp.begin_segment();
            }
            pushed += frame.bytes as u64;
            tcp.hand(frame.bytes);
            in_flight.push((pushed, frame.captured));
        }
        tcp.step();
        let arrived = now - link.round_trip_at(now) / 2.0;
        in_flight.retain(|(end, captured)| {
            let here = tcp.delivered() >= *end;
            latency = latency.max(if here { arrived - captured } else { 0.0 });
            !here
        });
        if ms.is_multiple_of(READING_EVERY.as_millis() as u64) {
            let reading = Reading {
                queue_age: queue.age(at(now)),
                acknowledged: tcp.delivered(),
                unsent: tcp.unsent() as u64,
                round_trip: Some(Duration::from_secs_f64(tcp.round_trip())),
            };
            let _ = controller.on_reading(reading, at(now));
            let waiting = in_flight.first().map_or(0.0, |(_, captured)| now - captured);
            let setting = controller.setting();
            moments.push(Moment {
                bitrate: f64::from(setting.bitrate),
                fps: setting.picture.fps,
                height: setting.picture.height,
                latency: latency.max(waiting),
                dropped: queue.dropped().total(),
            });
            latency = 0.0;
        }
    }
    moments
}

/// The moments between two times in seconds.
fn span(moments: &[Moment], from: f64, to: f64) -> &[Moment] {
    &moments[(from * 4.0) as usize..((to * 4.0) as usize).min(moments.len())]
}

fn mean(moments: &[Moment]) -> f64 {
    moments.iter().map(|moment| moment.bitrate).sum::<f64>() / moments.len() as f64
}

/// The lowest and highest mean of 5 s relative to the whole mean. A dip of two seconds that drains a queue hardly
/// changes a mean of 5 s.
fn swing(moments: &[Moment]) -> (f64, f64) {
    let part = |five: &[Moment]| mean(five) / mean(moments) - 1.0;
    let parts = moments.windows(20).map(part);
    (parts.clone().fold(f64::MAX, f64::min), parts.fold(f64::MIN, f64::max))
}

/// The 95th percentile of the latency.
fn latency(moments: &[Moment]) -> f64 {
    let mut latencies: Vec<f64> = moments.iter().map(|moment| moment.latency).collect();
    latencies.sort_by(f64::total_cmp);
    latencies[latencies.len() * 95 / 100]
}

fn print_curve(link: &Link, moments: &[Moment]) {
    println!(
        "\n{}: round trip {:.0} ms, loss {} %",
        link.name,
        link.round_trip_at(link.length()) * 1000.0,
        link.loss * 100.0
    );
    println!("   s   link kbit/s   bitrate kbit/s   picture    latency s   dropped");
    for (nth, five) in moments.chunks(20).enumerate() {
        let last = five[five.len() - 1];
        println!(
            "{:4} {:13.0} {:16.0}   {:>4}p@{:<3} {:11.2} {:9}",
            5 * (nth + 1),
            link.rate_at(5.0 * (nth + 1) as f64 - 0.01) / 1000.0,
            mean(five) / 1000.0,
            last.height,
            last.fps,
            five.iter().map(|moment| moment.latency).fold(0.0, f64::max),
            last.dropped,
        );
    }
}

/// A trace with a value for each quarter of a second. `parts` are pairs of a duration in seconds and a value.
fn steps(parts: &[(usize, f64)]) -> Vec<f64> {
    parts.iter().flat_map(|(seconds, rate)| vec![*rate; seconds * 4]).collect()
}

/// Limits that hold on a link once the bitrate has settled.
struct Promise {
    /// The lowest share of the throughput of a TCP connection that always has data to send.
    share: f64,
    /// Limit of the 95th percentile of the latency, in seconds.
    late: f64,
    /// Largest relative deviation of a mean of 5 s from the whole mean.
    swing: f64,
}

/// The limits that the requirements set.
const WHOLE: Promise = Promise { share: 0.7, late: 1.0, swing: 0.2 };

/// Asserts that the `settled` moments keep the promise. `carries` is the throughput of TCP on the link, in bits per
/// second.
#[track_caller]
fn check_settled(link: &Link, carries: f64, settled: &[Moment], promise: &Promise) {
    let (share, late) = (mean(settled) / carries, latency(settled));
    let (low, high) = swing(settled);
    println!(
        "{}: {:.0} of {:.0} kbit/s, {:.0} %; {:+.0} to {:+.0} %; {late:.2} s late",
        link.name,
        mean(settled) / 1000.0,
        carries / 1000.0,
        share * 100.0,
        low * 100.0,
        high * 100.0
    );
    assert!(share >= promise.share, "{}: uses {share:.2} of the link", link.name);
    assert!(late < promise.late, "{}: {late:.2} s late", link.name);
    let swings = high.max(-low);
    assert!(swings <= promise.swing, "{}: swings by {swings:.2}", link.name);
}

/// Simulates `link` with several seeds. Asserts that the promise is kept between the seconds `from` and `to`.
#[track_caller]
fn check(link: &Link, from: f64, to: f64, promise: &Promise) {
    let carries = saturated(link, from, to).min(f64::from(BOUNDS.max));
    for seed in 1..=SEEDS {
        let moments = run(link, seed);
        if seed == 1 {
            print_curve(link, &moments);
        }
        check_settled(link, carries, span(&moments, from, to), promise);
    }
}

/// The promise holds 20 s after the link narrows; 60 s after the link widens, 70 % of it is used.
#[test]
fn the_bitrate_follows_a_link_that_narrows_and_widens() {
    let rate = steps(&[(20, 4e6), (90, 1e6), (90, 4e6)]);
    let link = Link { name: "steps", rate, round_trip: vec![0.05], loss: 0.0, buffer: 64 << 10 };
    check(&link, 40.0, 110.0, &WHOLE);
    for seed in 1..=SEEDS {
        let after_a_minute = mean(span(&run(&link, seed), 168.0, 170.0));
        assert!(after_a_minute >= 0.7 * f64::from(BOUNDS.max), "{after_a_minute}");
    }
}

#[test]
fn latency_stays_low_on_a_link_with_a_deep_buffer() {
    let rate = steps(&[(20, 4e6), (100, 1e6)]);
    let link =
        Link { name: "deep buffer", rate, round_trip: vec![0.04], loss: 0.0, buffer: 512 << 10 };
    check(&link, 40.0, 120.0, &WHOLE);
}

/// The path becomes longer when the link narrows, as behind a modem that falls back; the controller must not mistake
/// the longer round trip for a queue.
#[test]
fn a_longer_round_trip_of_a_narrower_link_is_not_taken_for_a_queue() {
    let rate = steps(&[(20, 2e7), (90, 1e6), (90, 2e7)]);
    let round_trip = steps(&[(20, 0.04), (90, 0.3), (90, 0.04)]);
    let link = Link { name: "narrow, long", rate, round_trip, loss: 0.0, buffer: 37_500 };
    check(&link, 40.0, 110.0, &WHOLE);
    for seed in 1..=SEEDS {
        let after_a_minute = mean(span(&run(&link, seed), 168.0, 170.0));
        assert!(after_a_minute >= 0.7 * f64::from(BOUNDS.max), "{after_a_minute}");
    }
}

/// The link carries a seventh of the bitrate at the start, so settling takes a minute, not 20 s.
#[test]
fn the_bitrate_settles_on_a_very_narrow_link() {
    let rate = steps(&[(160, 3e5)]);
    let link =
        Link { name: "300 kbit/s", rate, round_trip: vec![0.1], loss: 0.0, buffer: 64 << 10 };
    check(&link, 60.0, 160.0, &WHOLE);
}

/// TCP reaches half of this link's rate on average, and its throughput varies over seconds. The bitrate follows these
/// variations, so latency and swing are larger than on other links.
#[test]
fn the_bitrate_follows_tcp_on_a_narrow_long_lossy_link() {
    let rate = steps(&[(160, 1e6)]);
    let link =
        Link { name: "far, lossy", rate, round_trip: vec![0.3], loss: 0.01, buffer: 64 << 10 };
    check(&link, 40.0, 160.0, &Promise { share: 0.6, late: 1.0, swing: 0.5 });
}

/// The throughput of a CUBIC connection of Linux 6.18 in kbit/s, one value per second, recorded with `tests/links` on a
/// link of 1 Mbit/s with a round trip of 300 ms and 1 % loss.
#[rustfmt::skip]
const RECORDED: [u32; 160] = [
    504, 468, 480, 528, 540, 492, 324, 276, 312, 372, 516, 852, 924, 1056, 888, 1032,
    840, 804, 732, 732, 600, 564, 576, 612, 348, 360, 384, 372, 396, 348, 408, 324,
    420, 384, 348, 408, 372, 372, 396, 444, 444, 504, 480, 444, 408, 408, 372, 252,
    144, 84, 96, 156, 252, 516, 960, 1200, 876, 1116, 924, 780, 984, 1020, 888, 960,
    924, 924, 864, 900, 660, 504, 468, 432, 420, 336, 408, 432, 468, 492, 492, 588,
    444, 432, 444, 456, 504, 384, 312, 360, 420, 492, 648, 756, 828, 780, 804, 792,
    804, 588, 468, 444, 540, 528, 432, 504, 540, 456, 456, 456, 504, 540, 564, 612,
    588, 672, 684, 708, 612, 600, 516, 480, 444, 408, 300, 288, 312, 360, 420, 600,
    1032, 912, 804, 600, 432, 408, 420, 396, 384, 444, 348, 264, 312, 300, 288, 348,
    372, 432, 552, 816, 1236, 948, 1020, 888, 1044, 900, 780, 540, 516, 576, 624, 624,
];

/// The throughput changes by a factor of three within seconds; the bitrate follows with a delay.
#[test]
fn the_bitrate_follows_a_recorded_connection() {
    let rate = RECORDED.iter().flat_map(|kbits| [f64::from(*kbits) * 1e3; 4]).collect();
    let link = Link { name: "recorded", rate, round_trip: vec![0.3], loss: 0.0, buffer: 64 << 10 };
    check(&link, 20.0, 160.0, &Promise { share: 0.55, late: 1.25, swing: f64::MAX });
}

/// The rate is around 3 Mbit/s, and changes four times a second; there are short outages.
#[test]
fn the_bitrate_follows_a_wireless_link_with_short_outages() {
    let mut random = Random::new(11);
    let mut quarter = || match random.below(40) {
        0 => 1e5,
        _ => random.between(1e6, 5e6),
    };
    let rate = (0..480).map(|_| quarter()).collect();
    let link = Link { name: "Wi-Fi", rate, round_trip: vec![0.02], loss: 0.002, buffer: 128 << 10 };
    check(&link, 20.0, 120.0, &Promise { share: 0.7, late: 1.0, swing: f64::MAX });
}

/// The rate varies slowly between 0.3 and 3 Mbit/s; the link has a deep buffer.
#[test]
fn the_bitrate_follows_a_mobile_link_with_a_deep_buffer() {
    let mut random = Random::new(12);
    let mut rate = 1e6;
    let mut wander = |_| {
        rate = f64::clamp(rate * random.between(0.88, 1.13), 3e5, 3e6);
        rate
    };
    let rate = (0..480).map(&mut wander).collect();
    let link = Link { name: "LTE", rate, round_trip: vec![0.08], loss: 0.0, buffer: 512 << 10 };
    check(&link, 20.0, 120.0, &Promise { share: 0.5, late: 2.0, swing: f64::MAX });
}

/// An outage of ten seconds: afterwards the latency recovers at once, the bitrate within 20 s.
#[test]
fn the_bitrate_recovers_after_an_outage() {
    let rate = steps(&[(30, 4e6), (10, 0.0), (60, 4e6)]);
    let link = Link { name: "gone", rate, round_trip: vec![0.05], loss: 0.0, buffer: 64 << 10 };
    for seed in 1..=SEEDS {
        let moments = run(&link, seed);
        if seed == 1 {
            print_curve(&link, &moments);
        }
        assert!(latency(span(&moments, 44.0, 100.0)) < 1.0);
        assert!(mean(span(&moments, 60.0, 62.0)) >= 0.7 * f64::from(BOUNDS.max));
    }
}
