//! Passes one stream on to its viewers: as transport stream, as MP4, and as the newest pictures for snapshots.
//!
//! | stream | transport stream | MP4 | snapshot |
//! |---|---|---|---|
//! | input | muxed from access units | packed from access units | access units |
//! | output | as it came | packed from the access units in it | access units in it |
//!
//! Each format is made once for all viewers, and only while at least one viewer wants it.
//!
//! Does not: read the clock, or wait.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::route::Container;
use super::seat::{Seat, VideoPiece};
use media::io::{SnapshotUnit, WatchedUnit};
use media::mp4::{Mp4, Mp4Head};
use mpegts::{AccessUnit, Muxer, Units};

/// Access units of one group that are kept for a snapshot: 10 s at 60 frames/s. The snapshot shows the last one.
const GROUP_UNITS: usize = 600;
/// Bytes of one group that are kept.
const GROUP_BYTES: usize = 16 << 20;
/// A group whose last picture is older is no longer shown: the video has stopped.
const GROUP_TIME: Duration = Duration::from_secs(5);

/// The viewers of one stream.
#[derive(Debug, Default)]
pub(super) struct Fan {
    ts: Vec<Weak<Seat>>,
    mp4: Vec<Weak<Seat>>,
    muxer: Muxer,
    packer: Option<Packer>,
    /// Takes the access units out of a transport stream.
    units: Option<Units>,
    group: Option<Group>,
}

/// Makes MP4.
#[derive(Debug, Default)]
struct Packer {
    mp4: Mp4,
    head: Option<Arc<Mp4Head>>,
}

/// The newest pictures, from a key frame on.
#[derive(Debug, Default)]
struct Group {
    units: Vec<SnapshotUnit>,
    bytes: usize,
    newest: Option<Instant>,
}

impl Fan {
    /// Adds a viewer.
    pub(super) fn sit(&mut self, container: Container, seat: &Arc<Seat>) {
        match container {
            Container::Ts => self.ts.push(Arc::downgrade(seat)),
            Container::Mp4 => self.mp4.push(Arc::downgrade(seat)),
        }
    }

    /// From now on keeps the newest pictures, for [`Self::group`].
    pub(super) fn keep_group(&mut self) {
        self.group.get_or_insert_default();
    }

    /// The pictures since the newest key frame; `None` before the first one, and when the video has stopped.
    pub(super) fn group(&self, now: Instant) -> Option<Vec<SnapshotUnit>> {
        let group = self.group.as_ref()?;
        let is_fresh = now.saturating_duration_since(group.newest?) < GROUP_TIME;
        is_fresh.then(|| group.units.clone())
    }

    /// Takes an access unit of the input.
    pub(super) fn take_unit(&mut self, unit: &WatchedUnit, now: Instant) {
        if has_viewers(&mut self.ts)
            && let Some(bytes) = unit.mux(&mut self.muxer)
        {
            let piece = VideoPiece { head: None, bytes, is_key: unit.is_key() };
            push(&self.ts, &piece, now);
        }
        if self.wants_units() {
            let _ = unit.read(|unit| self.take_access_unit(unit, now));
        }
    }

    /// Takes packets of the output's transport stream; set `begins` if a segment begins with them.
    pub(super) fn take_packets(&mut self, packets: &Bytes, begins: bool, now: Instant) {
        if has_viewers(&mut self.ts) {
            let piece = VideoPiece { head: None, bytes: packets.clone(), is_key: begins };
            push(&self.ts, &piece, now);
        }
        if !self.wants_units() {
            self.units = None;
            return;
        }
        let mut units = self.units.take().unwrap_or_default();
        units.push(packets, &mut |unit| self.take_access_unit(unit, now));
        self.units = Some(units);
    }

    /// Whether anything but the transport stream is wanted.
    fn wants_units(&mut self) -> bool {
        if !has_viewers(&mut self.mp4) {
            self.packer = None;
        }
        !self.mp4.is_empty() || self.group.is_some()
    }

    fn take_access_unit(&mut self, unit: &AccessUnit<'_>, now: Instant) {
        if let Some(group) = &mut self.group {
            group.take(unit, now);
        }
        if !self.mp4.is_empty() {
            let packer = self.packer.get_or_insert_default();
            if let Some(piece) = packer.pack(unit) {
                push(&self.mp4, &piece, now);
            }
        }
    }
}

impl Packer {
    fn pack(&mut self, unit: &AccessUnit<'_>) -> Option<VideoPiece> {
        let bytes = self.mp4.push(unit)?;
        if self.head.as_deref() != self.mp4.head() {
            self.head = self.mp4.head().cloned().map(Arc::new);
        }
        let head = self.head.clone().filter(|_| unit.is_key);
        Some(VideoPiece { head, bytes, is_key: unit.is_key })
    }
}

impl Group {
    fn take(&mut self, unit: &AccessUnit<'_>, now: Instant) {
        if unit.is_key {
            self.units.clear();
            self.bytes = 0;
        } else if self.units.is_empty() {
            return;
        }
        self.newest = Some(now);
        let bytes = self.bytes + unit.bytes.len();
        if self.units.len() < GROUP_UNITS && bytes <= GROUP_BYTES {
            self.bytes = bytes;
            let bytes = Bytes::copy_from_slice(unit.bytes);
            self.units.push(SnapshotUnit { bytes, pts: unit.pts });
        }
    }
}

/// Whether a viewer is left. Forgets the viewers that have gone.
fn has_viewers(seats: &mut Vec<Weak<Seat>>) -> bool {
    seats.retain(|seat| seat.strong_count() > 0);
    !seats.is_empty()
}

fn push(seats: &[Weak<Seat>], piece: &VideoPiece, now: Instant) {
    for seat in seats.iter().filter_map(Weak::upgrade) {
        seat.push(piece.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use mpegts::Ticks;

    /// The parameters of 320×180, as x264 writes them.
    const PARAMETERS: &[u8] = &[
        0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00,
        0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x20, 0, 0, 0, 1, 0x68,
        0xcb, 0x83, 0xcb, 0x20,
    ];

    /// Frames of a transport stream; every third is a key frame.
    fn packets(count: u64) -> Vec<(Bytes, bool)> {
        let mut muxer = Muxer::new();
        let frame = |n: u64| {
            let is_key = n.is_multiple_of(3);
            let bytes = match is_key {
                true => [PARAMETERS, &[0, 0, 1, 0x65], &[n as u8 + 1; 300]].concat(),
                false => [&[0, 0, 1, 0x41][..], &[n as u8 + 1; 100]].concat(),
            };
            let at = Ticks::new(9000 + n * 3000);
            let unit = AccessUnit { bytes: &bytes, pts: at, dts: at, is_key };
            (muxer.mux(&unit, is_key), is_key)
        };
        (0..count).map(frame).collect()
    }

    fn drain(seat: &Seat, now: Instant) -> Vec<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(bytes) = seat.poll_next(&mut cx, now) {
            all.push(bytes);
        }
        all
    }

    #[test]
    fn a_late_viewer_begins_at_a_key_frame_with_the_head() {
        let (mut fan, now) = (Fan::default(), Instant::now());
        let (first, late) = (Arc::new(Seat::new()), Arc::new(Seat::new()));
        fan.sit(Container::Mp4, &first);
        for (n, (packets, begins)) in packets(8).iter().enumerate() {
            if n == 4 {
                fan.sit(Container::Mp4, &late);
            }
            fan.take_packets(packets, *begins, now);
        }
        // The head and a fragment for each frame.
        let (first, late) = (drain(&first, now), drain(&late, now));
        assert_eq!((first.len(), late.len()), (9, 3));
        assert_eq!(first[0], late[0]);
        assert_eq!(first[7..], late[1..]);
    }

    #[test]
    fn no_format_is_made_without_a_viewer() {
        let (mut fan, now) = (Fan::default(), Instant::now());
        let (ts, mp4) = (Arc::new(Seat::new()), Arc::new(Seat::new()));
        let all = packets(3);
        fan.sit(Container::Ts, &ts);
        all.iter().for_each(|(packets, begins)| fan.take_packets(packets, *begins, now));
        assert!(fan.units.is_none() && fan.packer.is_none() && fan.group.is_none());
        fan.sit(Container::Mp4, &mp4);
        all.iter().for_each(|(packets, begins)| fan.take_packets(packets, *begins, now));
        assert!(fan.units.is_some() && fan.packer.is_some());
        drop((ts, mp4));
        all.iter().for_each(|(packets, begins)| fan.take_packets(packets, *begins, now));
        assert!(fan.units.is_none() && fan.packer.is_none());
        assert!(fan.ts.is_empty() && fan.mp4.is_empty());
    }

    #[test]
    fn a_snapshot_has_the_pictures_since_the_newest_key_frame_while_the_video_moves() {
        let (mut fan, now) = (Fan::default(), Instant::now());
        let all = packets(5);
        fan.keep_group();
        assert!(fan.group(now).is_none());
        all.iter().for_each(|(packets, begins)| fan.take_packets(packets, *begins, now));
        assert_eq!(fan.group(now).map(|units| units.len()), Some(2));
        assert!(fan.group(now + GROUP_TIME).is_none(), "the video has stopped");
    }
}
