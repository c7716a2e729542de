//! Parses the header of a packet and checks the continuity counters of a PID.
//!
//! Does not: interpret payloads.

use super::PACKET;
use super::read::TsEvent;

pub(super) const PAT_PID: u16 = 0;
/// PIDs from 1 to this one hold tables that the reader skips (the standard's own, DVB's, libav's SDT).
const LAST_SERVICE_PID: u16 = 0x1f;
const NULL_PID: u16 = 0x1fff;

/// A parsed packet.
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// Whether a PES packet or section starts in this packet.
    pub(super) starts: bool,
    /// The continuity counter; `None` for a packet without payload, which does not increment it.
    pub(super) continuity: Option<u8>,
    /// The discontinuity indicator: the counter may jump here.
    is_discontinuity: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Parses `packet`; `None` when the reader skips its PID. The error is the PID of a packet that is malformed or
    /// has its transport error indicator set.
    pub(super) fn parse(packet: &'a [u8; PACKET]) -> Result<Option<Self>, u16> {
        let [_, high, low, flags, rest @ ..] = packet;
        let pid = u16::from_be_bytes([high & 0x1f, *low]);
        if pid == NULL_PID || (pid != PAT_PID && pid <= LAST_SERVICE_PID) {
            return Ok(None);
        }
        let [adaptation_len, adaptation_flags, ..] = *rest;
        let (has_adaptation, has_payload) = (flags & 0x20 != 0, flags & 0x10 != 0);
        let payload = match (has_payload, has_adaptation) {
            (false, _) => Some(&[][..]),
            (true, false) => Some(&rest[..]),
            (true, true) => rest.get(1 + usize::from(adaptation_len)..),
        };
        let has_transport_error = high & 0x80 != 0;
        Ok(Some(Self {
            pid,
            starts: high & 0x40 != 0,
            continuity: has_payload.then_some(flags & 0x0f),
            is_discontinuity: has_adaptation && adaptation_len > 0 && adaptation_flags & 0x80 != 0,
            payload: payload.filter(|_| !has_transport_error).ok_or(pid)?,
        }))
    }
}

/// The continuity counter of one PID: the value that the next packet must have.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadContinuity(Option<u8>);

impl ReadContinuity {
    /// Whether the packet has the expected counter; reports a gap if not.
    pub(super) fn follows(
        &mut self,
        packet: &Packet<'_>,
        report: &mut impl FnMut(TsEvent),
    ) -> bool {
        let Some(found) = packet.continuity else { return true };
        match self.0.replace((found + 1) & 0x0f) {
            Some(expected) if expected != found && !packet.is_discontinuity => {
                report(TsEvent::Gap { pid: packet.pid, expected, found });
                false
            }
            _ => true,
        }
    }
}
