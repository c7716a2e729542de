//! Parses the PES packets of one stream; counts their bytes without storing them.
//!
//! Does not: decide which reports are errors.

use heapless::Vec;

use super::Ticks;
use super::nal::{Nal, Scanner};
use super::packet::{Packet, ReadContinuity};
use super::read::{TsEvent, Unit};

/// Bytes kept of a PES header: those up to PTS and DTS. A header may have up to 255 bytes after its first 9.
const PES_HEADER: usize = 9 + 10;

/// Where PTS and DTS begin in a PES header.
pub(super) const STAMPS: usize = 9;

/// One elementary stream of a program.
#[derive(Debug, Clone)]
pub(super) struct ElementaryStream {
    pub(super) pid: u16,
    pub(super) is_h264: bool,
    continuity: ReadContinuity,
    pes: Pes,
}

#[derive(Debug, Clone)]
enum Pes {
    /// Between PES packets, or in a malformed one.
    Idle,
    /// The header is incomplete.
    Header { kept: Vec<u8, PES_HEADER>, seen: usize, gap: bool },
    /// Reading data; `left` is the number of bytes still to come, when the header gives the length.
    Body { unit: Unit, left: Option<usize>, scanner: Scanner, sps: bool, pps: bool },
}

impl ElementaryStream {
    pub(super) fn new(pid: u16, is_h264: bool) -> Self {
        Self { pid, is_h264, continuity: ReadContinuity::default(), pes: Pes::Idle }
    }

    pub(super) fn take(&mut self, packet: &Packet<'_>, report: &mut impl FnMut(TsEvent)) {
        if !self.continuity.follows(packet, report) {
            match &mut self.pes {
                Pes::Idle => {}
                Pes::Header { gap, .. } => *gap = true,
                Pes::Body { unit, .. } => unit.cut_short = true,
            }
        }
        if packet.starts && packet.continuity.is_some() {
            self.close(report);
            self.pes = Pes::Header { kept: Vec::new(), seen: 0, gap: false };
        }
        self.payload(packet.payload, report);
    }

    fn payload(&mut self, mut payload: &[u8], report: &mut impl FnMut(TsEvent)) {
        if let Pes::Header { kept, seen, gap } = &mut self.pes {
            while header_len(kept).is_none_or(|len| *seen < len) {
                let Some((&byte, rest)) = payload.split_first() else { return };
                let _ = kept.push(byte); // header bytes after the timestamps do not fit and are only counted
                *seen += 1;
                payload = rest;
            }
            match open((self.pid, self.is_h264), kept, *seen, *gap) {
                Some(opened) => self.pes = opened,
                None => {
                    self.pes = Pes::Idle;
                    report(TsEvent::Damaged { pid: self.pid });
                }
            }
        }
        if let Pes::Body { unit, left, scanner, sps, pps } = &mut self.pes {
            let taken = payload.get(..left.unwrap_or(usize::MAX)).unwrap_or(payload);
            unit.bytes = unit.bytes.saturating_add(taken.len());
            if self.is_h264 {
                for nal in taken.iter().filter_map(|&byte| scanner.step(byte)) {
                    unit.is_key |= nal == Nal::Idr;
                    *sps |= nal == Nal::Sps;
                    *pps |= nal == Nal::Pps;
                }
                unit.has_parameters = *sps && *pps;
            }
            if let Some(left) = left {
                *left -= taken.len();
                if *left == 0 {
                    report(TsEvent::Unit(*unit));
                    self.pes = Pes::Idle;
                }
            }
        }
    }

    /// Ends the current PES packet, complete or not, and reports it.
    pub(super) fn close(&mut self, report: &mut impl FnMut(TsEvent)) {
        match std::mem::replace(&mut self.pes, Pes::Idle) {
            Pes::Idle => {}
            Pes::Header { .. } => report(TsEvent::Damaged { pid: self.pid }),
            Pes::Body { unit, left, .. } => {
                report(TsEvent::Unit(Unit { cut_short: unit.cut_short || left.is_some(), ..unit }));
            }
        }
    }
}

/// The total length of a PES header; `None` until its length field has arrived.
fn header_len(header: &[u8]) -> Option<usize> {
    header.get(8).map(|&announced| 9 + usize::from(announced))
}

/// Parses a PES header of `whole` bytes from its first bytes; `None` when it is malformed.
fn open((pid, is_video): (u16, bool), header: &[u8], whole: usize, cut_short: bool) -> Option<Pes> {
    let &[0, 0, 1, _, high, low, marks, flags, _, ref stamps @ ..] = header else { return None };
    if marks & 0xc0 != 0x80 {
        return None;
    }
    let left = match u16::from_be_bytes([high, low]) {
        0 => None,
        // The length counts from the byte after the length field.
        len => Some(usize::from(len).checked_sub(whole.saturating_sub(6))?),
    };
    let pts = (flags & 0x80 != 0).then(|| stamp(stamps.get(..5)?)).flatten();
    let dts = (flags & 0x40 != 0).then(|| stamp(stamps.get(5..10)?)).flatten();
    let unit =
        Unit { pid, is_video, pts, dts, bytes: 0, is_key: false, has_parameters: false, cut_short };
    Some(Pes::Body { unit, left, scanner: Scanner::default(), sps: false, pps: false })
}

/// A whole PES header.
#[derive(Debug, Clone, Copy)]
pub(super) struct PesHeader {
    /// Where the data begin.
    pub(super) start: usize,
    /// Where the packet ends, if the header gives its length.
    pub(super) end: Option<usize>,
    pub(super) pts: Option<Ticks>,
    pub(super) dts: Option<Ticks>,
}

/// Parses the header that `bytes` begin with; `None` if it is malformed or not complete.
pub(super) fn head(bytes: &[u8]) -> Option<PesHeader> {
    let start = header_len(bytes)?;
    let header = bytes.get(..start)?;
    let &[0, 0, 1, _, high, low, marks, flags, _, ref stamps @ ..] = header else { return None };
    if marks & 0xc0 != 0x80 {
        return None;
    }
    let end = match usize::from(u16::from_be_bytes([high, low])) {
        0 => None,
        length => Some((6 + length).max(start)),
    };
    let pts = (flags & 0x80 != 0).then(|| stamps.get(..5).and_then(stamp)).flatten();
    let dts = (flags & 0x40 != 0).then(|| stamps.get(5..10).and_then(stamp)).flatten();
    Some(PesHeader { start, end, pts, dts })
}

fn stamp(bytes: &[u8]) -> Option<Ticks> {
    let &[a, b, c, d, e] = bytes else { return None };
    let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
    Some(Ticks::new((a & 0x0e) << 29 | b << 22 | (c & 0xfe) << 14 | d << 7 | e >> 1))
}
