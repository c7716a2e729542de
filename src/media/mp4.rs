//! Packs access units into fragmented MP4, one fragment for each, so that a viewer has each frame at once.
//!
//! ```text
//! head: ftyp, moov (size, SPS, PPS)    fragment: moof (time, length), mdat (one access unit)
//! ```
//!
//! GStreamer's `mp4mux` is not used: it holds each frame until the next one has come, and its pipeline costs four
//! threads for each stream. The format is that of ISO/IEC 14496-12 and 14496-15. Time starts at zero with the first
//! access unit; a pause of the camera is left out.
//!
//! The duration of a frame is unknown before the next one comes; the distance of the last two frames is used instead.
//! Players place frames by the time of each fragment, so an error does not add up.
//!
//! Does not: carry audio.

use bytes::Bytes;

use crate::sps::Shape;
use mpegts::nal::units;
use mpegts::{AccessUnit, Ticks};

/// The largest distance of two frames that counts as time: longer ones are pauses.
const LONGEST_STEP: u64 = 5 * Ticks::PER_SECOND;
/// The assumed distance of the first two frames: 24 frames/s.
const FIRST_STEP: u32 = 3750;

/// The types of NAL units that are in the head, or that MP4 does not have: SPS, PPS, delimiter.
const LEFT_OUT: [u8; 3] = [7, 8, 9];
/// Flags of a sample that any decoder can begin at, and of one that needs others (14496-12, 8.8.3.1).
const KEY: u32 = 0x0200_0000;
const DELTA: u32 = 0x0101_0000;

/// The head of a stream: a player needs it before the first fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp4Head {
    /// The bytes: `ftyp` and `moov`.
    pub bytes: Bytes,
    /// The codec as browsers call it (RFC 6381): `avc1.64001f`.
    pub codec: String,
}

/// Packs one stream.
#[derive(Debug, Clone, Default)]
pub struct Mp4 {
    track: Option<Track>,
    /// Fragments so far.
    fragments: u32,
    time: u64,
    last: Option<Ticks>,
    step: Option<u32>,
}

#[derive(Debug, Clone)]
struct Track {
    sps: Vec<u8>,
    pps: Vec<u8>,
    head: Mp4Head,
}

impl Mp4 {
    /// A stream before its first access unit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fragment of an access unit; `None` before the first key frame with SPS and PPS. Send [`Self::head`] before
    /// the first fragment, and again whenever it has changed, which it does only with a key frame.
    pub fn push(&mut self, unit: &AccessUnit<'_>) -> Option<Bytes> {
        if unit.is_key {
            self.read_parameters(unit.bytes);
        }
        self.track.as_ref()?;
        self.advance(unit.dts);
        self.fragments = self.fragments.wrapping_add(1);
        Some(self.fragment(unit))
    }

    /// The head of the stream; `None` before the first fragment.
    pub fn head(&self) -> Option<&Mp4Head> {
        self.track.as_ref().map(|track| &track.head)
    }

    fn read_parameters(&mut self, bytes: &[u8]) {
        let of =
            |kind| units(bytes).find(|nal| nal.first().is_some_and(|head| head & 0x1f == kind));
        let (Some(sps), Some(pps)) = (of(7), of(8)) else { return };
        if self.track.as_ref().is_some_and(|track| track.sps == sps && track.pps == pps) {
            return;
        }
        let Some(shape) = Shape::of_access_unit(bytes) else { return };
        let &[_, profile, flags, level, ..] = sps else { return };
        let codec = format!("avc1.{profile:02x}{flags:02x}{level:02x}");
        let bytes = head(&shape, sps, pps, [profile, flags, level]);
        let head = Mp4Head { bytes: bytes.into(), codec };
        self.track = Some(Track { sps: sps.to_owned(), pps: pps.to_owned(), head });
    }

    /// Moves on to the time of the next access unit.
    fn advance(&mut self, dts: Ticks) {
        let Some(last) = self.last.replace(dts) else { return };
        match u64::try_from(dts.since(last)) {
            Ok(step @ 1..=LONGEST_STEP) => {
                self.time += step;
                self.step = u32::try_from(step).ok();
            }
            Ok(_) | Err(_) => self.time += u64::from(self.step()),
        }
    }

    fn step(&self) -> u32 {
        self.step.unwrap_or(FIRST_STEP)
    }

    fn fragment(&self, unit: &AccessUnit<'_>) -> Bytes {
        let nals = || units(unit.bytes).filter(|nal| !is_left_out(nal));
        let length: usize = nals().map(|nal| 4 + nal.len()).sum();
        let mut out = Vec::with_capacity(length + 128);
        let offset = nested(&mut out, b"moof", |out| {
            nested(out, b"mfhd", |out| words(out, &[0, self.fragments]));
            nested(out, b"traf", |out| {
                // default-base-is-moof
                nested(out, b"tfhd", |out| words(out, &[0x0002_0000, 1]));
                nested(out, b"tfdt", |out| {
                    words(out, &[0x0100_0000]);
                    out.extend_from_slice(&self.time.to_be_bytes());
                });
                nested(out, b"trun", |out| {
                    // Version 1; data offset, duration, size, flags and composition offset are there.
                    words(out, &[0x0100_0f01, 1]);
                    let offset = out.len();
                    let shown = unit.pts.since(unit.dts) as i32;
                    let flags = if unit.is_key { KEY } else { DELTA };
                    words(out, &[0, self.step(), length as u32, flags, shown as u32]);
                    offset
                })
            })
        });
        let data = out.len() + 8;
        if let Some(field) = out.get_mut(offset..offset + 4) {
            field.copy_from_slice(&(data as u32).to_be_bytes());
        }
        nested(&mut out, b"mdat", |out| {
            for nal in nals() {
                words(out, &[nal.len() as u32]);
                out.extend_from_slice(nal);
            }
        });
        out.into()
    }
}

fn is_left_out(nal: &[u8]) -> bool {
    nal.first().is_none_or(|head| LEFT_OUT.contains(&(head & 0x1f)))
}

/// Writes a box around what `content` writes.
fn nested<T>(out: &mut Vec<u8>, name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = out.len();
    words(out, &[0]);
    out.extend_from_slice(name);
    let result = content(out);
    let length = (out.len() - start) as u32;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    result
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
}

/// The matrix that changes nothing (14496-12, 8.2.2).
const UNITY: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

fn head(shape: &Shape, sps: &[u8], pps: &[u8], profile: [u8; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(700);
    nested(&mut out, b"ftyp", |out| out.extend_from_slice(b"iso5\0\0\x02\0iso5iso6mp41avc1"));
    nested(&mut out, b"moov", |out| {
        nested(out, b"mvhd", |out| {
            words(out, &[0, 0, 0, Ticks::PER_SECOND as u32, 0, 0x0001_0000, 0x0100_0000, 0, 0]);
            words(out, &UNITY);
            words(out, &[0, 0, 0, 0, 0, 0, 2]);
        });
        nested(out, b"trak", |out| {
            nested(out, b"tkhd", |out| {
                // Enabled, and in the movie.
                words(out, &[3, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                words(out, &UNITY);
                words(out, &[shape.width << 16, shape.height << 16]);
            });
            nested(out, b"mdia", |out| media(out, shape, sps, pps, profile));
        });
        nested(out, b"mvex", |out| nested(out, b"trex", |out| words(out, &[0, 1, 1, 0, 0, 0])));
    });
    out
}

fn media(out: &mut Vec<u8>, shape: &Shape, sps: &[u8], pps: &[u8], profile: [u8; 3]) {
    // The language is undetermined.
    nested(out, b"mdhd", |out| words(out, &[0, 0, 0, Ticks::PER_SECOND as u32, 0, 0x55c4_0000]));
    nested(out, b"hdlr", |out| {
        words(out, &[0, 0]);
        out.extend_from_slice(b"vide\0\0\0\0\0\0\0\0\0\0\0\0\0");
    });
    nested(out, b"minf", |out| {
        nested(out, b"vmhd", |out| words(out, &[1, 0, 0]));
        nested(out, b"dinf", |out| {
            nested(out, b"dref", |out| {
                words(out, &[0, 1]);
                nested(out, b"url ", |out| words(out, &[1]));
            });
        });
        nested(out, b"stbl", |out| {
            nested(out, b"stsd", |out| {
                words(out, &[0, 1]);
                nested(out, b"avc1", |out| picture(out, shape, sps, pps, profile));
            });
            for (name, count) in [(b"stts", 2), (b"stsc", 2), (b"stsz", 3), (b"stco", 2)] {
                nested(out, name, |out| out.resize(out.len() + 4 * count, 0));
            }
        });
    });
}

fn picture(out: &mut Vec<u8>, shape: &Shape, sps: &[u8], pps: &[u8], profile: [u8; 3]) {
    words(out, &[0, 1, 0, 0, 0, 0]);
    words(
        out,
        &[shape.width << 16 | shape.height & 0xffff, 0x0048_0000, 0x0048_0000, 0, 0x0001_0000],
    );
    out.resize(out.len() + 30, 0);
    out.extend_from_slice(&[0, 0x18, 0xff, 0xff]);
    nested(out, b"avcC", |out| {
        out.push(1);
        out.extend_from_slice(&profile);
        // Lengths have four bytes; there is one SPS.
        out.extend_from_slice(&[0xff, 0xe1]);
        out.extend_from_slice(&(sps.len() as u16).to_be_bytes());
        out.extend_from_slice(sps);
        out.push(1);
        out.extend_from_slice(&(pps.len() as u16).to_be_bytes());
        out.extend_from_slice(pps);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of 320×180, as x264 writes them.
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
        0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x20,
    ];
    const PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];

    fn key(pps: &[u8]) -> Vec<u8> {
        let start: &[u8] = &[0, 0, 0, 1];
        [start, &[9, 0xf0], start, SPS, start, pps, &[0, 0, 1], &[0x65, 1, 2, 3]].concat()
    }

    fn unit(bytes: &[u8], at: u64) -> AccessUnit<'_> {
        let dts = Ticks::new(at);
        AccessUnit { bytes, pts: dts.plus(3000), dts, is_key: bytes.contains(&0x65) }
    }

    /// The boxes in `bytes`, with their contents.
    fn boxes(mut bytes: &[u8]) -> Vec<(&str, &[u8])> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            found.push((std::str::from_utf8(&bytes[4..8]).unwrap(), &bytes[8..length]));
            bytes = &bytes[length..];
        }
        found
    }

    /// The content of the box at this path.
    fn at<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        path.iter().fold(bytes, |bytes, name| {
            boxes(bytes).into_iter().find(|(found, _)| found == name).unwrap().1
        })
    }

    fn time(fragment: &[u8]) -> u64 {
        let tfdt = at(fragment, &["moof", "traf", "tfdt"]);
        u64::from_be_bytes(tfdt[4..12].try_into().unwrap())
    }

    #[test]
    fn the_head_names_codec_and_size() {
        let mut mp4 = Mp4::new();
        assert_eq!((mp4.push(&unit(&[0, 0, 1, 0x41, 9], 0)), mp4.head()), (None, None));
        let key = key(PPS);
        mp4.push(&unit(&key, 9000)).unwrap();
        let head = mp4.head().unwrap();
        assert_eq!(head.codec, "avc1.42c00d");
        let names: Vec<_> = boxes(&head.bytes).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ftyp", "moov"]);
        let tkhd = at(&head.bytes, &["moov", "trak", "tkhd"]);
        assert_eq!(tkhd.len(), 84);
        assert_eq!(tkhd[76..], [1, 64, 0, 0, 0, 180, 0, 0]);
        let stsd = at(&head.bytes, &["moov", "trak", "mdia", "minf", "stbl", "stsd"]);
        let avc1 = at(&stsd[8..], &["avc1"]);
        assert_eq!(
            at(&avc1[78..], &["avcC"]),
            [&[1, 0x42, 0xc0, 0x0d, 0xff, 0xe1, 0, 25], SPS, &[1, 0, 5], PPS].concat()
        );
    }

    #[test]
    fn a_fragment_is_one_frame_without_its_parameters() {
        let mut mp4 = Mp4::new();
        let key = key(PPS);
        let fragment = mp4.push(&unit(&key, 9000)).unwrap();
        assert_eq!(at(&fragment, &["mdat"]), [0, 0, 0, 4, 0x65, 1, 2, 3]);
        let trun = at(&fragment, &["moof", "traf", "trun"]);
        let words: Vec<u32> =
            trun.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        let offset = fragment.len() - 8;
        assert_eq!(words, [0x0100_0f01, 1, offset as u32, FIRST_STEP, 8, KEY, 3000]);
    }

    #[test]
    fn time_starts_at_zero_and_leaves_pauses_out() {
        let mut mp4 = Mp4::new();
        let key = key(PPS);
        let delta = [0, 0, 1, 0x41, 9];
        let wrap = 1 << 33;
        assert_eq!(time(&mp4.push(&unit(&key, wrap - 1000)).unwrap()), 0);
        assert_eq!(time(&mp4.push(&unit(&delta, wrap + 2000)).unwrap()), 3000);
        assert_eq!(time(&mp4.push(&unit(&delta, wrap + 1000)).unwrap()), 6000, "back");
        assert_eq!(time(&mp4.push(&unit(&delta, wrap + 9_000_000)).unwrap()), 9000, "a pause");
        assert_eq!(time(&mp4.push(&unit(&delta, wrap + 9_090_000)).unwrap()), 99_000);
    }

    #[test]
    fn other_parameters_make_another_head() {
        let mut mp4 = Mp4::new();
        let (one, other) = (key(PPS), key(&[0x68, 0xcb, 0x83, 0xcb, 0x21]));
        mp4.push(&unit(&one, 0));
        let head = mp4.head().cloned();
        mp4.push(&unit(&one, 3000));
        assert_eq!(mp4.head(), head.as_ref());
        mp4.push(&unit(&other, 6000));
        assert_ne!(mp4.head(), head.as_ref());
    }
}
