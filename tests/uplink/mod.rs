//! Simulates an uplink with one TCP connection, in steps of a millisecond of simulated time.
//!
//! The link has a rate that may change, a round trip time, random losses, and a buffer; packets that do not fit into
//! the buffer are dropped. TCP has slow start, additive increase, decrease to 0.7 on a loss (as in CUBIC, RFC 9438),
//! selective acknowledgements and a retransmission timeout. Each segment begins with the window of a fresh connection,
//! like the POSTs of the publisher.
//!
//! Does not: model other traffic, delayed acknowledgements or pacing.

#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::VecDeque;

use crate::seeded::Random;

/// Bytes of a packet.
const PACKET: usize = 1400;
/// Packets that a fresh connection may send (RFC 6928).
const FRESH: f64 = 10.0;

/// A link over time.
pub(crate) struct Link {
    pub(crate) name: &'static str,
    /// The rate in bits per second, one entry for each quarter of a second.
    pub(crate) rate: Vec<f64>,
    /// The round trip time in seconds, without time in the buffer, one entry for each quarter of a second. The last
    /// entry applies to all later times.
    pub(crate) round_trip: Vec<f64>,
    /// The probability that a packet is lost.
    pub(crate) loss: f64,
    /// The size of the buffer in bytes.
    pub(crate) buffer: usize,
}

impl Link {
    /// The rate at this time, in bits per second.
    pub(crate) fn rate_at(&self, seconds: f64) -> f64 {
        self.rate[((seconds * 4.0) as usize).min(self.rate.len() - 1)]
    }

    /// The round trip at this time, in seconds.
    pub(crate) fn round_trip_at(&self, seconds: f64) -> f64 {
        self.round_trip[((seconds * 4.0) as usize).min(self.round_trip.len() - 1)]
    }

    /// The length of the trace in seconds.
    pub(crate) fn length(&self) -> f64 {
        self.rate.len() as f64 / 4.0
    }
}

struct Packet {
    bytes: usize,
    order: u64,
    sent: f64,
    acked: bool,
    lost: bool,
}

/// A connection over a link.
pub(crate) struct Tcp<'a> {
    link: &'a Link,
    random: Random,
    now: f64,
    /// The congestion window, in packets.
    window: f64,
    threshold: f64,
    /// Whether the window has limited the sender. The window grows only then (RFC 7661).
    is_limited: bool,
    unsent: usize,
    buffered: usize,
    /// The number of the first packet in `flight`.
    first: u64,
    flight: VecDeque<Packet>,
    /// The number of packets sent so far, including retransmissions.
    order: u64,
    /// A loss of a packet below this number does not shrink the window, since an earlier loss of the same window did.
    recovered: u64,
    waiting: VecDeque<(u64, u64, usize)>,
    waiting_bytes: usize,
    credit: f64,
    acks: VecDeque<(f64, u64, u64)>,
    last_round_trip: f64,
    smoothed: f64,
    last_ack: f64,
    delivered: u64,
}

impl<'a> Tcp<'a> {
    pub(crate) fn new(link: &'a Link, seed: u64) -> Self {
        Self {
            link,
            random: Random::new(seed),
            now: 0.0,
            window: FRESH,
            threshold: f64::MAX,
            is_limited: false,
            unsent: 0,
            buffered: 0,
            first: 0,
            flight: VecDeque::new(),
            order: 0,
            recovered: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            credit: 0.0,
            acks: VecDeque::new(),
            last_round_trip: link.round_trip_at(0.0),
            smoothed: link.round_trip_at(0.0),
            last_ack: 0.0,
            delivered: 0,
        }
    }

    /// Bytes that were queued but not acknowledged.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Bytes that were queued but not sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// The recent round trip time, in seconds.
    pub(crate) fn round_trip(&self) -> f64 {
        self.smoothed
    }

    /// Bytes that arrived, in order.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Queues bytes to send.
    pub(crate) fn hand(&mut self, bytes: usize) {
        self.unsent += bytes;
        self.buffered += bytes;
    }

    /// Begins a new segment on a connection that has been idle.
    pub(crate) fn begin_segment(&mut self) {
        if self.window > FRESH {
            // Slow start ends at 3/4 of the old window (RFC 2861).
            self.threshold = self.threshold.max(0.75 * self.window);
            self.window = FRESH;
        }
    }

    /// Simulates a millisecond.
    pub(crate) fn step(&mut self) {
        self.now += 0.001;
        self.serve();
        while self.acks.front().is_some_and(|(at, ..)| *at <= self.now) {
            if let Some((_, number, order)) = self.acks.pop_front() {
                self.on_ack(number, order);
            }
        }
        self.time_out();
        self.send();
    }

    fn serve(&mut self) {
        self.credit += self.link.rate_at(self.now) / 8000.0;
        while let Some((number, order, bytes)) = self.waiting.front().copied() {
            if self.credit < bytes as f64 {
                return;
            }
            self.credit -= bytes as f64;
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
            if !self.random.chance(self.link.loss) {
                let at = self.now + self.link.round_trip_at(self.now);
                self.acks.push_back((at, number, order));
            }
        }
        self.credit = self.credit.min(PACKET as f64);
    }

    fn on_ack(&mut self, number: u64, order: u64) {
        self.last_ack = self.now;
        let Some(at) = number.checked_sub(self.first).map(|at| at as usize) else { return };
        let Some(packet) = self.flight.get_mut(at).filter(|packet| !packet.acked) else { return };
        packet.acked = true;
        self.last_round_trip = self.now - packet.sent;
        self.smoothed += (self.last_round_trip - self.smoothed) / 8.0;
        let mut shrinks = false;
        for packet in &mut self.flight {
            if !packet.acked && !packet.lost && packet.order + 3 <= order {
                packet.lost = true;
                shrinks |= packet.order >= self.recovered;
            }
        }
        if shrinks {
            self.shrink(0.7);
        } else if self.is_limited {
            self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        }
        while self.flight.front().is_some_and(|packet| packet.acked) {
            let Some(packet) = self.flight.pop_front() else { break };
            self.first += 1;
            self.delivered += packet.bytes as u64;
            self.buffered -= packet.bytes;
        }
    }

    fn shrink(&mut self, to: f64) {
        self.window = (self.window * to).max(2.0);
        self.threshold = self.window;
        self.recovered = self.order;
    }

    fn time_out(&mut self) {
        let limit = (2.0 * self.last_round_trip).max(0.3);
        let oldest = self.flight.iter().filter(|p| !p.acked && !p.lost).map(|p| p.sent);
        let oldest = oldest.fold(f64::MAX, f64::min);
        if self.now - oldest.max(self.last_ack) > limit {
            for packet in self.flight.iter_mut().filter(|packet| !packet.acked) {
                packet.lost = true;
            }
            self.last_round_trip = (self.last_round_trip * 2.0).min(10.0);
            self.shrink(0.5);
        }
    }

    fn send(&mut self) {
        let mut under_way = self.flight.iter().filter(|p| !p.acked && !p.lost).count();
        while (under_way as f64) < self.window {
            let again = self.flight.iter().position(|packet| packet.lost && !packet.acked);
            let at = match again {
                Some(at) => at,
                None if self.unsent == 0 => {
                    self.is_limited = false;
                    return;
                }
                None => {
                    let bytes = self.unsent.min(PACKET);
                    self.unsent -= bytes;
                    let (order, sent) = (0, 0.0);
                    self.flight.push_back(Packet { bytes, order, sent, acked: false, lost: false });
                    self.flight.len() - 1
                }
            };
            self.order += 1;
            under_way += 1;
            let packet = &mut self.flight[at];
            (packet.order, packet.sent, packet.lost) = (self.order, self.now, false);
            if self.waiting_bytes + packet.bytes <= self.link.buffer {
                self.waiting_bytes += packet.bytes;
                self.waiting.push_back((self.first + at as u64, self.order, packet.bytes));
            }
        }
        self.is_limited = true;
    }
}

/// The throughput of a connection that always has bytes to send, in bits per second, between two times in seconds.
pub(crate) fn saturated(link: &Link, from: f64, to: f64) -> f64 {
    let mut tcp = Tcp::new(link, 7);
    let mut delivered = 0;
    for ms in 0..(to * 1000.0) as u64 {
        tcp.hand((256_usize << 10).saturating_sub(tcp.buffered()));
        if ms % 2000 == 0 {
            tcp.begin_segment();
        }
        tcp.step();
        if ms == (from * 1000.0) as u64 {
            delivered = tcp.delivered();
        }
    }
    8.0 * (tcp.delivered() - delivered) as f64 / (to - from)
}
