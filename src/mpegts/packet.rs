//! Takes a packet apart, and watches that the packets of a PID follow each other.
//!
//! Does not: know what a PID carries.

use super::PACKET;
use super::read::Report;

pub(super) const PAT_PID: u16 = 0;
/// PIDs from 1 to here hold tables of no use here (the standard's own, DVB's, libav's SDT).
const LAST_SERVICE_PID: u16 = 0x1f;
const NULL_PID: u16 = 0x1fff;

/// A packet, taken apart.
pub(super) struct Arrival<'a> {
    pub(super) pid: u16,
    /// A PES packet or section starts in it.
    pub(super) starts: bool,
    /// `None` for a packet without payload, which does not count.
    pub(super) continuity: Option<u8>,
    /// The stream itself says that its counter starts anew here.
    excused: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Arrival<'a> {
    /// Takes `packet` apart; `None` when its PID is of no use here. The error is the PID of a packet that is
    /// broken, or marked as such.
    pub(super) fn read(packet: &'a [u8; PACKET]) -> Result<Option<Self>, u16> {
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
        let is_marked_broken = high & 0x80 != 0;
        Ok(Some(Self {
            pid,
            starts: high & 0x40 != 0,
            continuity: has_payload.then_some(flags & 0x0f),
            excused: has_adaptation && adaptation_len > 0 && adaptation_flags & 0x80 != 0,
            payload: payload.filter(|_| !is_marked_broken).ok_or(pid)?,
        }))
    }
}

/// The counter in the packets of one PID; it holds what must come next.
#[derive(Debug, Clone, Default)]
pub(super) struct Continuity(Option<u8>);

impl Continuity {
    /// Whether the packet follows the one before it.
    pub(super) fn follows(
        &mut self,
        arrival: &Arrival<'_>,
        report: &mut impl FnMut(Report),
    ) -> bool {
        let Some(found) = arrival.continuity else { return true };
        match self.0.replace((found + 1) & 0x0f) {
            Some(expected) if expected != found && !arrival.excused => {
                report(Report::Gap { pid: arrival.pid, expected, found });
                false
            }
            _ => true,
        }
    }
}
