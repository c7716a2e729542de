//! Reads a whole transport stream strictly, and decodes it.
//!
//! This reader shares no code with the project's own reader, so that a mistake in one of them is found by the other.
//! The numbers are those of ISO/IEC 13818-1.
//!
//! Does not: tolerate a mistake in the stream; panics with the packet of the first one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::collections::BTreeMap;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

const PACKET: usize = 188;
const PAT: u16 = 0;
const NULL: u16 = 0x1fff;
const H264: u8 = 0x1b;

/// The packets from one PAT up to the next.
#[derive(Default)]
pub(crate) struct Segment {
    pub(crate) bytes: Vec<u8>,
    pub(crate) units: Vec<Unit>,
}

/// One picture.
pub(crate) struct Unit {
    /// The presentation time in ticks of 90 kHz.
    pub(crate) pts: u64,
    pub(crate) dts: u64,
    pub(crate) is_random_access: bool,
    /// The types of its NAL units.
    pub(crate) nals: Vec<u8>,
}

#[derive(Default)]
struct Reading {
    segments: Vec<Segment>,
    counters: BTreeMap<u16, u8>,
    map: Option<u16>,
    video: Option<u16>,
    /// The picture that is being read: whether it is for random access, and its PES packet.
    pes: Option<(bool, Vec<u8>)>,
}

/// The segments of a stream. Panics unless each begins with PAT, PMT, and a picture for random access with its
/// parameter sets, and the continuity counters are right over the whole stream.
#[track_caller]
pub(crate) fn segments(stream: &[u8]) -> Vec<Segment> {
    assert_eq!(stream.len() % PACKET, 0, "whole packets");
    let mut reading = Reading::default();
    for (n, packet) in stream.chunks(PACKET).enumerate() {
        reading.packet(n, packet);
    }
    reading.end_unit();
    for (n, segment) in reading.segments.iter().enumerate() {
        let first = &segment.units[0];
        assert!(first.is_random_access, "segment {n}");
        assert!([7, 8, 5].iter().all(|nal| first.nals.contains(nal)), "{n}: {:?}", first.nals);
    }
    reading.segments
}

impl Reading {
    fn packet(&mut self, n: usize, packet: &[u8]) {
        assert_eq!(packet[0], 0x47, "packet {n}");
        assert_eq!(packet[1] & 0x80, 0, "packet {n} is marked as damaged");
        assert_eq!(packet[3] & 0xc0, 0, "packet {n} is scrambled");
        let begins = packet[1] & 0x40 != 0;
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        if pid == NULL {
            return;
        }
        let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let counter = packet[3] & 0x0f;
        let before = self.counters.insert(pid, counter);
        let step = u8::from(has_payload);
        let wanted = before.map_or(counter, |before| (before + step) & 0x0f);
        assert_eq!(counter, wanted, "packet {n}: counter of PID {pid}");
        let adaptation = if has_adaptation { usize::from(packet[4]) + 1 } else { 0 };
        let flags = if adaptation > 1 { packet[5] } else { 0 };
        assert_eq!(flags & 0x80, 0, "packet {n} announces a discontinuity");
        let payload = &packet[4 + adaptation..];

        if pid == PAT {
            self.end_unit();
            self.segments.push(Segment::default());
            let section = section(n, payload);
            assert_eq!(section.len(), 12, "one program");
            let map = u16::from_be_bytes([section[10] & 0x1f, section[11]]);
            assert!(self.map.is_none_or(|known| known == map), "packet {n}: another map");
            self.map = Some(map);
        } else if Some(pid) == self.map {
            assert_eq!(
                self.segments.last().unwrap().bytes.len(),
                PACKET,
                "the PMT must be the second packet"
            );
            let section = section(n, payload);
            let info = usize::from(u16::from_be_bytes([section[10] & 0x0f, section[11]]));
            let stream = &section[12 + info..];
            assert_eq!(stream[0], H264);
            self.video = Some(u16::from_be_bytes([stream[1] & 0x1f, stream[2]]));
        } else {
            assert_eq!(Some(pid), self.video, "packet {n}: no table lists PID {pid}");
            if begins {
                self.end_unit();
                self.pes = Some((flags & 0x40 != 0, Vec::new()));
            }
            self.pes.as_mut().expect("a picture begins first").1.extend_from_slice(payload);
        }
        self.segments.last_mut().expect("PAT first").bytes.extend_from_slice(packet);
    }

    fn end_unit(&mut self) {
        let Some((is_random_access, pes)) = self.pes.take() else { return };
        assert_eq!(pes[..3], [0, 0, 1], "a PES packet");
        let length = usize::from(u16::from_be_bytes([pes[4], pes[5]]));
        assert!(length == 0 || length + 6 == pes.len(), "{length} + 6 of {} bytes", pes.len());
        assert_eq!(pes[7] & 0xc0, 0xc0, "PTS and DTS");
        let time = |at: usize| {
            let bits = |i: usize| u64::from(pes[at + i]);
            (bits(0) >> 1 & 7) << 30
                | bits(1) << 22
                | (bits(2) >> 1) << 15
                | bits(3) << 7
                | bits(4) >> 1
        };
        let data = &pes[9 + usize::from(pes[8])..];
        let starts = data.windows(4).filter(|w| w[..3] == [0, 0, 1]);
        let nals = starts.map(|w| w[3] & 0x1f).collect();
        let unit = Unit { pts: time(9), dts: time(14), is_random_access, nals };
        self.segments.last_mut().unwrap().units.push(unit);
    }
}

/// Returns the section in one packet, without the checksum. Panics if the checksum is wrong.
#[track_caller]
fn section(n: usize, payload: &[u8]) -> &[u8] {
    let section = &payload[1 + usize::from(payload[0])..];
    let length = 3 + usize::from(u16::from_be_bytes([section[1] & 0x0f, section[2]]));
    assert_eq!(checksum(&section[..length]), 0, "packet {n}: checksum");
    &section[..length - 4]
}

/// The CRC-32/MPEG-2, which is 0 over bytes that end with their checksum.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// A decoded picture, its luma only.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) luma: Vec<u8>,
}

/// The pictures that GStreamer decodes from a stream.
pub(crate) fn decode(stream: &[u8]) -> Vec<Picture> {
    gst::init().unwrap();
    let description = "appsrc name=in format=bytes caps=video/mpegts,systemstream=true,packetsize=188 \
         ! tsdemux ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=GRAY8 \
         ! appsink name=out sync=false";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    input.push_buffer(gst::Buffer::from_slice(stream.to_vec())).unwrap();
    input.end_of_stream().unwrap();
    let mut pictures = Vec::new();
    // This loop also ends if the pipeline fails, which sends no end of stream.
    while let Some(sample) = output.try_pull_sample(gst::ClockTime::from_seconds(20)) {
        let caps = sample.caps().unwrap().structure(0).unwrap();
        let size = |name| usize::try_from(caps.get::<i32>(name).unwrap()).unwrap();
        let luma = sample.buffer().unwrap().map_readable().unwrap().to_vec();
        pictures.push(Picture { width: size("width"), height: size("height"), luma });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    pictures
}

/// Runs a pipeline to its end. Panics unless it ends with an end of stream.
#[track_caller]
pub(crate) fn make(description: &str) {
    assert_eq!(play(description), Some(gst::MessageType::Eos), "{description}");
}

/// Runs a pipeline to its end. Returns the type of the last message (end of stream or error), or `None` if it hangs.
pub(crate) fn play(description: &str) -> Option<gst::MessageType> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends).map(|m| m.type_());
    pipeline.set_state(gst::State::Null).unwrap();
    end
}
