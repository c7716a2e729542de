//! Puts the sections of PAT and PMT together, checks their CRC and reads the PIDs in them.
//!
//! Does not: read other tables.

use heapless::Vec;

use super::crc::crc32;
use super::packet::{Arrival, Continuity};
use super::read::{PROGRAMS, Report, STREAMS};

/// The longest section of a PAT or PMT.
const SECTION: usize = 1024;

/// Puts the sections of a PAT or PMT together.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    continuity: Continuity,
    section: Vec<u8, SECTION>,
    is_open: bool,
}

impl Table {
    /// A complete section with a good CRC, if the packet completes one.
    pub(super) fn take(
        &mut self,
        arrival: &Arrival<'_>,
        report: &mut impl FnMut(Report),
    ) -> Option<&[u8]> {
        self.is_open &= self.continuity.follows(arrival, report);
        let mut payload = arrival.payload;
        if arrival.starts {
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
            report(Report::Damaged { pid: arrival.pid });
        }
        whole
    }
}

/// The PIDs of program maps in a PAT.
pub(super) fn programs(section: &[u8]) -> Vec<u16, PROGRAMS> {
    let rows = section.get(8..section.len().saturating_sub(4)).unwrap_or_default();
    rows.chunks_exact(4)
        .filter_map(|row| match *row {
            [0, 0, ..] => None, // the network's own table
            [_, _, high, low] => Some(u16::from_be_bytes([high & 0x1f, low])),
            _ => None,
        })
        .take(PROGRAMS)
        .collect()
}

/// PID and type of the streams in a PMT.
pub(super) fn streams(section: &[u8]) -> Vec<(u16, u8), STREAMS> {
    let mut found = Vec::new();
    let body = section.get(10..section.len().saturating_sub(4)).unwrap_or_default();
    let mut rest = behind_descriptors(body);
    while let &[kind, high, low, ref descriptors @ ..] = rest {
        let _ = found.push((u16::from_be_bytes([high & 0x1f, low]), kind));
        rest = behind_descriptors(descriptors);
    }
    found
}

/// What follows a list of descriptors with its 12-bit length before it.
fn behind_descriptors(bytes: &[u8]) -> &[u8] {
    match *bytes {
        [high, low, ref rest @ ..] => {
            rest.get(usize::from(u16::from_be_bytes([high & 0x0f, low]))..).unwrap_or_default()
        }
        _ => &[],
    }
}
