//! Packs frames of audio: a PES packet each, and their row in the program map.
//!
//! Opus as in "Opus in MPEG-TS" (xiph and ETSI TS 101 154 annex E follow it): private data with the
//! registration `Opus`, the channels in a descriptor of DVB, and a control header with its size before each
//! frame. AAC as frames with ADTS headers (ISO/IEC 13818-7).
//!
//! Does not: encode, or keep audio and video together; times do.

use super::mux::{Continuity, header, stamp, stuff};
use super::{PACKET, Ticks};
use crate::AudioCodec;

/// Where audio is.
pub const AUDIO_PID: u16 = 0x101;
/// Bytes of a PES header with a PTS alone.
const PES_HEADER: usize = 14;
/// Bytes of it that the length of a PES packet counts.
const PES_COUNTED: usize = PES_HEADER - 6;
const PAYLOAD: usize = PACKET - 4;

/// One encoded frame of audio.
#[derive(Debug, Clone, Copy)]
pub struct AudioFrame<'a> {
    /// An Opus packet, or an AAC frame with its ADTS header.
    pub bytes: &'a [u8],
    /// When it is heard.
    pub pts: Ticks,
}

/// The row of the program map: type, PID, descriptors.
pub(super) fn row(codec: AudioCodec) -> Vec<u8> {
    let [high, low] = AUDIO_PID.to_be_bytes();
    let row = |kind, descriptors: &[u8]| {
        let mut row = vec![kind, 0xe0 | high, low, 0xf0, descriptors.len() as u8];
        row.extend_from_slice(descriptors);
        row
    };
    match codec {
        AudioCodec::Aac => row(0x0f, &[]),
        // The last number is that of the channels: one.
        AudioCodec::Opus => row(0x06, &[0x05, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 1]),
    }
}

/// Packets that [`write`] makes of a frame.
pub(super) fn packets(codec: AudioCodec, frame: &AudioFrame<'_>) -> usize {
    (PES_HEADER + control(codec, frame.bytes.len()).len() + frame.bytes.len()).div_ceil(PAYLOAD)
}

/// Appends the packets of a frame; nothing of one that is longer than any frame is.
pub(super) fn write(
    out: &mut Vec<u8>,
    codec: AudioCodec,
    frame: &AudioFrame<'_>,
    continuity: &mut Continuity,
) {
    let control = control(codec, frame.bytes.len());
    let [high, low] =
        u16::try_from(PES_COUNTED + control.len() + frame.bytes.len()).unwrap_or(0).to_be_bytes();
    let stream = match codec {
        AudioCodec::Aac => 0xc0,
        AudioCodec::Opus => 0xbd,
    };
    let [p0, p1, p2, p3, p4] = stamp(0x20, frame.pts);
    // 0x84: aligned to a frame. 0x80: PTS, 5 bytes.
    let mut pes = vec![0, 0, 1, stream, high, low, 0x84, 0x80, 5, p0, p1, p2, p3, p4];
    pes.extend_from_slice(&control);
    pes.extend_from_slice(frame.bytes);
    for (n, part) in pes.chunks(PAYLOAD).enumerate() {
        header(out, AUDIO_PID, n == 0, part.len() < PAYLOAD, continuity.take());
        stuff(out, PAYLOAD - part.len());
        out.extend_from_slice(part);
    }
}

/// What stands before an Opus packet: a mark of 11 bits without flags, and the size, 255 and 255 and the rest.
fn control(codec: AudioCodec, len: usize) -> Vec<u8> {
    match codec {
        AudioCodec::Aac => Vec::new(),
        AudioCodec::Opus => {
            let mut control = vec![0x7f, 0xe0];
            control.resize(2 + len / 255, 0xff);
            control.push((len % 255) as u8);
            control
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessUnit, Muxer, Reader, Report};

    fn muxed(codec: AudioCodec, lengths: &[usize]) -> (Vec<u8>, Vec<Report>) {
        let mut muxer = Muxer::new();
        muxer.carry(Some(codec));
        let picture = AccessUnit {
            bytes: &[0, 0, 1, 9],
            pts: Ticks::new(9000),
            dts: Ticks::new(9000),
            is_key: true,
        };
        let frames: Vec<Vec<u8>> = lengths.iter().map(|len| vec![0xaa; *len]).collect();
        let frames: Vec<AudioFrame<'_>> = frames
            .iter()
            .zip(0..)
            .map(|(bytes, n)| AudioFrame { bytes, pts: Ticks::new(9000 + n * 1800) })
            .collect();
        let bytes = muxer.mux_with_audio(&picture, &frames, true).to_vec();
        let mut reports = Vec::new();
        let mut reader = Reader::new();
        reader.push(&bytes, &mut |report| reports.push(report));
        reader.flush(&mut |report| reports.push(report));
        (bytes, reports)
    }

    #[test]
    fn every_length_comes_back_whole() {
        for codec in [AudioCodec::Opus, AudioCodec::Aac] {
            for len in (1..800).chain([1275, 4096, 8191]) {
                let (bytes, reports) = muxed(codec, &[len, 3, len]);
                assert_eq!(bytes.len() % PACKET, 0);
                let [Report::Pat, Report::Pmt, Report::Unit(_), ref audio @ ..] = reports[..]
                else {
                    panic!("{len}: {reports:?}")
                };
                assert_eq!(audio.len(), 3, "{len}: {reports:?}");
                for (n, (report, len)) in audio.iter().zip([len, 3, len]).enumerate() {
                    let Report::Unit(unit) = report else { panic!("{reports:?}") };
                    let added = control(codec, len).len();
                    assert_eq!((unit.pid, unit.bytes), (AUDIO_PID, len + added));
                    assert_eq!(unit.pts, Some(Ticks::new(9000 + n as u64 * 1800)));
                    assert!(!unit.cut_short && !unit.is_key);
                }
            }
        }
    }

    #[test]
    fn the_control_header_says_the_size() {
        for (len, expected) in [
            (0, &[0x7f, 0xe0, 0][..]),
            (100, &[0x7f, 0xe0, 100]),
            (254, &[0x7f, 0xe0, 254]),
            (255, &[0x7f, 0xe0, 255, 0]),
            (700, &[0x7f, 0xe0, 255, 255, 190]),
        ] {
            assert_eq!(control(AudioCodec::Opus, len), expected);
            assert!(control(AudioCodec::Aac, len).is_empty());
        }
    }

    #[test]
    fn it_is_one_allocation() {
        let mut muxer = Muxer::new();
        muxer.carry(Some(AudioCodec::Opus));
        let picture =
            AccessUnit { bytes: &[0; 500], pts: Ticks::new(0), dts: Ticks::new(0), is_key: false };
        let frame = AudioFrame { bytes: &[1; 160], pts: Ticks::new(0) };
        let vec = Vec::from(muxer.mux_with_audio(&picture, &[frame, frame], true));
        assert_eq!(vec.len(), vec.capacity());
    }
}
