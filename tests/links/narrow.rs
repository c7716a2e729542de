//! Uplinks that become narrower than the video, and wide again.
//!
//! Does not: test many kinds of links; `tests/rate.rs` simulates those.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::link::Link;
use crate::rig::place::Place;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "uplink of 1 Mbit/s, 300 ms round trip; then wide again",
        must: "≥ 70 % of the link within 20 s, latency < 1 s, bitrate within ± 20 %; full bitrate again within 60 s",
        seconds: 130,
        play: |scene| narrow(scene, "rate=1000000 delay=0.15 loss=0"),
    },
    Row {
        fault: "uplink of 1 Mbit/s, 300 ms round trip, 1 % loss; then wide again",
        must: "the same; without BBR ≥ 70 % of the throughput of TCP on this link, bitrate within ± 20 % or the variation of TCP",
        seconds: 130,
        play: |scene| narrow(scene, "rate=1000000 delay=0.15 loss=0.01"),
    },
];

/// Video of noise, which cannot be compressed: the encoder uses the whole bitrate.
const NOISE: &str = "videotestsrc is-live=true pattern=snow ! \
                     video/x-raw,width=640,height=360,framerate=24/1";
/// The rate of the narrow link, in bits per second.
const LINK: f64 = 1e6;
/// The bitrate at the start.
const BITRATE: &str = "2 Mbit/s";

/// Measures the latency of the newest frame at an orchestrator, relative to the lowest latency so far.
struct Lateness {
    began: Instant,
    least: f64,
    last_pts: u64,
}

impl Lateness {
    fn new() -> Self {
        Self { began: Instant::now(), least: f64::MAX, last_pts: 0 }
    }

    /// The present latency in seconds: the age of the newest frame that has arrived, which grows while no frame
    /// arrives.
    fn look(&mut self, place: &Place) -> Option<f64> {
        let newest = place.sandbox().look(|record| record.newest)?;
        let pts = newest.pts as f64 / 90_000.0;
        if newest.pts < self.last_pts {
            self.least = f64::MAX;
        }
        self.last_pts = newest.pts;
        let arrived = newest.at.saturating_duration_since(self.began).as_secs_f64();
        self.least = self.least.min(arrived - pts);
        Some(self.began.elapsed().as_secs_f64() - pts - self.least)
    }
}

fn narrow(scene: &mut Scene, how: &str) {
    let mut link = Link::new();
    let wide = "rate=20000000 delay=0.02 loss=0";
    let (limit, swings) = if has_bbr() {
        (LINK, 20)
    } else {
        link.make(how);
        bulk(scene, &link)
    };
    link.make(wide);
    let place = link.place();
    let source = ["--source.kind", "pipeline", "--source.fragment", NOISE];
    let shape = ["--video.width", "640", "--video.height", "360", "--video.bitrate", BITRATE];
    let usual = ["--video.segment", "2s"];
    let job = scene.job(&[&place.url()], &[&source[..], &shape, &usual].concat());
    let mut agent = link.start(scene, &job);
    assert!(place.more_frames(48, s(20)).is_some(), "the job is live");
    let mut lateness = Lateness::new();
    let mut late = |seconds: u64| {
        let (end, mut seen) = (Instant::now() + s(seconds), Vec::new());
        while Instant::now() < end {
            seen.extend(lateness.look(&place));
            wait(ms(20));
        }
        seen
    };
    late(10);

    link.make(how);
    late(20);
    let settled = Instant::now();
    let mut latencies = late(40);
    let rates = link.seconds_since(settled);
    let mean = mean(&rates);
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    scene.at_least("kbit/s from 20 to 60 s", (mean / 1000.0) as u64, (limit * 0.7 / 1000.0) as u64);
    scene.within("lateness p50", Some(Duration::from_secs_f64(at(0.5).max(0.0))), s(1));
    scene.within("p95", Some(Duration::from_secs_f64(at(0.95).max(0.0))), s(1));
    scene.at_most("oscillation %", swing(&rates, mean), swings);

    let widened = link.make(wide);
    late(50);
    let again = Instant::now();
    late(10);
    let up = self::mean(&link.seconds_since(again));
    scene.note(format!("widened for {} s", widened.elapsed().as_secs()));
    scene.at_least("kbit/s then", (up / 1000.0) as u64, 1_700);
    scene.holds("the agent runs", agent.runs());
    scene.at_most("jobs", place.jobs(), 1);
    scene.right(&place.violations());
}

/// Whether the kernel offers the congestion control BBR.
fn has_bbr() -> bool {
    let known = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    std::fs::read_to_string(known).is_ok_and(|known| known.split_whitespace().any(|n| n == "bbr"))
}

/// The mean rate in bits per second. `seconds` are bytes in each second.
fn mean(seconds: &[u64]) -> f64 {
    seconds.iter().sum::<u64>() as f64 * 8.0 / seconds.len().max(1) as f64
}

/// The largest difference between the rate of any 5 s and `mean`, in per cent of `mean`.
fn swing(seconds: &[u64], mean: f64) -> u64 {
    let mut window: VecDeque<u64> = VecDeque::new();
    let mut most = 0.0_f64;
    for &second in seconds {
        window.push_back(second);
        if window.len() == 5 {
            let rate = window.iter().sum::<u64>() as f64 * 8.0 / 5.0;
            most = most.max((rate - mean).abs() / mean);
            window.pop_front();
        }
    }
    (most * 100.0).round() as u64
}

/// Measures a TCP connection that sends without a pause over the link. Returns its rate in bits of packets per second,
/// and its [`swing`] in per cent.
fn bulk(scene: &mut Scene, link: &Link) -> (f64, u64) {
    let listener = TcpListener::bind(SocketAddr::new(link.host(1), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"go");
        let mut sink = [0; 65536];
        while stream.read(&mut sink).is_ok_and(|length| length > 0) {}
    });
    let sender = format!(
        "import socket\ns = socket.create_connection(('{}', {port}))\nwhile True: s.sendall(bytes(65536))",
        link.host(1)
    );
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &link.namespace(), "python3", "-c", &sender]);
    let mut sender = scene.program("bulk", command);
    wait(s(10));
    let from = Instant::now();
    wait(s(40));
    let seconds = link.seconds_since(from);
    let rate = mean(&seconds);
    let swings = swing(&seconds, rate);
    sender.kill();
    wait(s(2));
    scene.note(format!(
        "a TCP connection alone sends {:.0} kbit/s, which vary by {swings} %",
        rate / 1000.0
    ));
    (rate, swings.max(20))
}
