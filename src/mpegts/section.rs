//! Reassembles the sections of PAT and PMT, checks their CRC and reads their PIDs.
//!
//! Does not: parse other tables.

use heapless::Vec;

use super::crc::crc32;
use super::packet::{Packet, ReadContinuity};
use super::read::{PROGRAMS, STREAMS, TsEvent};

/// Maximum length of a PAT or PMT section.
const SECTION: usize = 1024;

/// Reassembles the sections of one PAT or PMT.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    continuity: ReadContinuity,
    section: Vec<u8, SECTION>,
    is_open: bool,
}

impl Table {
    /// Takes the next packet of the table's PID. Returns the section that it completes, if the CRC is right.
    pub(super) fn take(
        &mut self,
        packet: &Packet<'_>,
        report: &mut impl FnMut(TsEvent),
    ) -> Option<&[u8]> {
        self.is_open &= self.continuity.follows(packet, report);
        let mut payload = packet.payload;
        if packet.starts {
            let (&pointer, behind) = payload.split_first()?;
            payload = behind.get(usize::from(pointer)..)?;
            self.section.clear();
            self.is_open = true;
        }
        if !self.is_open {
            return None;
        }
        let room = self.section.capacity() - self.section.len();
        let _ = self.section.extend_from_slice(payload.get(..room).unwrap_or(payload));
        let &[_, high, low, ..] = self.section.as_slice() else { return None };
        let len = 3 + usize::from(u16::from_be_bytes([high & 0x0f, low]));
        if self.section.len() < len && self.section.len() < SECTION {
            return None;
        }
        self.is_open = false;
        let whole = self.section.get(..len).filter(|section| crc32(section) == 0);
        if whole.is_none() {
            report(TsEvent::Damaged { pid: packet.pid });
        }
        whole
    }
}

/// The PIDs of the PMTs that a PAT lists.
pub(super) fn programs(section: &[u8]) -> Vec<u16, PROGRAMS> {
    let rows = section.get(8..section.len().saturating_sub(4)).unwrap_or_default();
    rows.chunks_exact(4)
        .filter_map(|row| match *row {
            [0, 0, ..] => None, // the network information table
            [_, _, high, low] => Some(u16::from_be_bytes([high & 0x1f, low])),
            _ => None,
        })
        .take(PROGRAMS)
        .collect()
}

/// PID and stream type of each stream in a PMT.
pub(super) fn streams(section: &[u8]) -> Vec<(u16, u8), STREAMS> {
    let mut found = Vec::new();
    let body = section.get(10..section.len().saturating_sub(4)).unwrap_or_default();
    let mut rest = after_descriptors(body);
    while let &[kind, high, low, ref descriptors @ ..] = rest {
        let _ = found.push((u16::from_be_bytes([high & 0x1f, low]), kind));
        rest = after_descriptors(descriptors);
    }
    found
}

/// The bytes after a list of descriptors that begins with its 12-bit length.
fn after_descriptors(bytes: &[u8]) -> &[u8] {
    match *bytes {
        [high, low, ref rest @ ..] => {
            rest.get(usize::from(u16::from_be_bytes([high & 0x0f, low]))..).unwrap_or_default()
        }
        _ => &[],
    }
}
