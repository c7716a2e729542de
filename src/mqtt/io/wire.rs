//! The two directions of a connection: bytes that come, within rates, and the packet that is written.
//!
//! Does not: know what a packet means.

use std::io;
use std::time::Instant;

use heapless::Deque;
use mqtt_proto::v3::Packet;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};

use crate::mqtt::allowance::Allowance;
use crate::mqtt::error::BrokerError;
use crate::mqtt::frames::Frames;
use crate::mqtt::limits::{ANSWERS, BYTES_PER_SECOND, PACKETS_PER_SECOND};
use livepeer_gateway::http::io::MaybeTlsStream;

/// What comes from the broker.
pub(super) struct Input {
    pub(super) reader: ReadHalf<MaybeTlsStream>,
    pub(super) frames: Frames,
    /// Whether `frames` has no whole packet.
    pub(super) is_used_up: bool,
    pub(super) packets: Allowance,
    pub(super) bytes: Allowance,
}

/// What goes to the broker.
pub(super) struct Output {
    writer: WriteHalf<MaybeTlsStream>,
    /// Answers, which go before messages.
    pub(super) answers: Deque<Packet, ANSWERS>,
    /// The packet that is being written, and how much of it was.
    packet: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// When the packet began, or the last byte of it was taken.
    pub(super) moved: Instant,
}

impl Input {
    pub(super) fn new(reader: ReadHalf<MaybeTlsStream>, now: Instant) -> Self {
        Self {
            reader,
            frames: Frames::default(),
            is_used_up: true,
            packets: Allowance::new(PACKETS_PER_SECOND, now),
            bytes: Allowance::new(BYTES_PER_SECOND, now),
        }
    }

    /// When more may be read.
    pub(super) fn ready_at(&self) -> Instant {
        self.packets.ready_at().max(self.bytes.ready_at())
    }
}

impl Output {
    pub(super) fn new(writer: WriteHalf<MaybeTlsStream>, now: Instant) -> Self {
        let (answers, packet) = (Deque::new(), Vec::new());
        Self { writer, answers, packet, written: 0, is_flushed: true, moved: now }
    }

    /// Adds an answer. A ping or a confirmation that finds no room is left out: others are under way.
    pub(super) fn answer(&mut self, packet: Packet) {
        let _ = self.answers.push_back(packet);
    }

    pub(super) fn begin(&mut self, packet: &Packet, now: Instant) -> Result<(), BrokerError> {
        let bytes = packet.encode().map_err(|_| BrokerError::Malformed)?;
        self.packet.clear();
        self.packet.extend_from_slice(bytes.as_ref());
        (self.written, self.is_flushed, self.moved) = (0, false, now);
        Ok(())
    }

    /// Whether a packet is being written.
    pub(super) fn has_begun(&self) -> bool {
        !self.is_flushed
    }

    /// Writes a part of the packet, or flushes the end of it. Cancel safe.
    pub(super) async fn write(&mut self) -> io::Result<usize> {
        let rest = self.packet.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            self.writer.flush().await.map(|()| 0)
        } else {
            self.writer.write(rest).await
        }
    }

    pub(super) fn on_wrote(
        &mut self,
        wrote: io::Result<usize>,
        now: Instant,
    ) -> Result<(), BrokerError> {
        let length = wrote.map_err(BrokerError::Broken)?;
        if self.written == self.packet.len() {
            self.is_flushed = true;
        } else if length == 0 {
            return Err(BrokerError::Closed);
        }
        self.written += length;
        self.moved = now;
        Ok(())
    }
}
