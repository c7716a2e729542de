//! Packs audio frames, one PES packet each, and writes their PMT entry.
//!
//! Opus follows "Opus in MPEG-TS" (as do xiph and ETSI TS 101 154 annex E): private data with the registration
//! descriptor `Opus`, a DVB extension descriptor with the channel count, and a control header with the frame's
//! size before each frame. AAC frames have ADTS headers (ISO/IEC 13818-7).
//!
//! Does not: encode, or synchronise audio with video; readers synchronise them by PTS.

use super::mux::{WriteContinuity, header, stamp, stuff};
use super::{PACKET, Ticks};
use crate::AudioCodec;

/// PID of the audio stream.
pub const AUDIO_PID: u16 = 0x101;
/// Length of a PES header with a PTS and no DTS.
const PES_HEADER: usize = 14;
/// Header bytes that the PES packet length includes.
const PES_COUNTED: usize = PES_HEADER - 6;
const PAYLOAD: usize = PACKET - 4;

/// One encoded frame of audio.
#[derive(Debug, Clone, Copy)]
pub struct AudioFrame<'a> {
    /// An Opus packet, or an AAC frame with its ADTS header.
    pub bytes: &'a [u8],
    /// Presentation time.
    pub pts: Ticks,
}

/// The stream's entry in the PMT: type, PID, descriptors.
pub(super) fn pmt_entry(codec: AudioCodec) -> Vec<u8> {
    let [high, low] = AUDIO_PID.to_be_bytes();
    let row = |kind, descriptors: &[u8]| {
        let mut row = vec![kind, 0xe0 | high, low, 0xf0, descriptors.len() as u8];
        row.extend_from_slice(descriptors);
        row
    };
    match codec {
        AudioCodec::Aac => row(0x0f, &[]),
        // The last byte is the channel count: one.
        AudioCodec::Opus => row(0x06, &[0x05, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 1]),
    }
}

/// The number of packets that [`write`] makes of a frame.
pub(super) fn packet_count(codec: AudioCodec, frame: &AudioFrame<'_>) -> usize {
    (PES_HEADER + control_header(codec, frame.bytes.len()).len() + frame.bytes.len())
        .div_ceil(PAYLOAD)
}

/// Appends the packets of a frame.
pub(super) fn write(
    out: &mut Vec<u8>,
    codec: AudioCodec,
    frame: &AudioFrame<'_>,
    continuity: &mut WriteContinuity,
) {
    let control = control_header(codec, frame.bytes.len());
    let [high, low] =
        u16::try_from(PES_COUNTED + control.len() + frame.bytes.len()).unwrap_or(0).to_be_bytes();
    let stream = match codec {
        AudioCodec::Aac => 0xc0,
        AudioCodec::Opus => 0xbd,
    };
    let [p0, p1, p2, p3, p4] = stamp(0x20, frame.pts);
    // 0x84: aligned to a frame. 0x80: PTS only, 5 bytes.
    let mut pes = vec![0, 0, 1, stream, high, low, 0x84, 0x80, 5, p0, p1, p2, p3, p4];
    pes.extend_from_slice(&control);
    pes.extend_from_slice(frame.bytes);
    for (n, part) in pes.chunks(PAYLOAD).enumerate() {
        header(out, AUDIO_PID, n == 0, part.len() < PAYLOAD, continuity.take());
        stuff(out, PAYLOAD - part.len());
        out.extend_from_slice(part);
    }
}

/// The control header before an Opus packet: an 11-bit prefix, no flags, and the size as a sum of bytes: another byte
/// follows each 255.
fn control_header(codec: AudioCodec, len: usize) -> Vec<u8> {
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
    use crate::{AccessUnit, Muxer, Reader, TsEvent};

    fn muxed(codec: AudioCodec, lengths: &[usize]) -> (Vec<u8>, Vec<TsEvent>) {
        let mut muxer = Muxer::new();
        muxer.set_audio(Some(codec));
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
    fn frames_of_every_length_are_read_back_complete() {
        for codec in [AudioCodec::Opus, AudioCodec::Aac] {
            for len in (1..800).chain([1275, 4096, 8191]) {
                let (bytes, reports) = muxed(codec, &[len, 3, len]);
                assert_eq!(bytes.len() % PACKET, 0);
                let [TsEvent::Pat, TsEvent::Pmt, TsEvent::Unit(_), ref audio @ ..] = reports[..]
                else {
                    panic!("{len}: {reports:?}")
                };
                assert_eq!(audio.len(), 3, "{len}: {reports:?}");
                for (n, (report, len)) in audio.iter().zip([len, 3, len]).enumerate() {
                    let TsEvent::Unit(unit) = report else { panic!("{reports:?}") };
                    let added = control_header(codec, len).len();
                    assert_eq!((unit.pid, unit.bytes), (AUDIO_PID, len + added));
                    assert_eq!(unit.pts, Some(Ticks::new(9000 + n as u64 * 1800)));
                    assert!(!unit.cut_short && !unit.is_key);
                }
            }
        }
    }

    #[test]
    fn the_control_header_gives_the_size() {
        for (len, expected) in [
            (0, &[0x7f, 0xe0, 0][..]),
            (100, &[0x7f, 0xe0, 100]),
            (254, &[0x7f, 0xe0, 254]),
            (255, &[0x7f, 0xe0, 255, 0]),
            (700, &[0x7f, 0xe0, 255, 255, 190]),
        ] {
            assert_eq!(control_header(AudioCodec::Opus, len), expected);
            assert!(control_header(AudioCodec::Aac, len).is_empty());
        }
    }

    #[test]
    fn the_packets_are_one_allocation() {
        let mut muxer = Muxer::new();
        muxer.set_audio(Some(AudioCodec::Opus));
        let picture =
            AccessUnit { bytes: &[0; 500], pts: Ticks::new(0), dts: Ticks::new(0), is_key: false };
        let frame = AudioFrame { bytes: &[1; 160], pts: Ticks::new(0) };
        let vec = Vec::from(muxer.mux_with_audio(&picture, &[frame, frame], true));
        assert_eq!(vec.len(), vec.capacity());
    }
}
