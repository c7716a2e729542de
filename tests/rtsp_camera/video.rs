//! Makes the H.264 that the camera sends, with GStreamer, and writes its SDP.
//!
//! Does not: split H.264 into packets; `rtp` does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::rtp::PAYLOAD_TYPE;

const SPS: u8 = 7;
const PPS: u8 = 8;
const IDR: u8 = 5;

/// The access units that the camera sends again and again.
#[derive(Clone)]
pub(crate) struct Recording {
    units: Vec<Unit>,
    /// The parameter sets, which the SDP contains.
    parameters: Vec<Vec<u8>>,
}

/// The NAL units of a frame.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) nals: Vec<Vec<u8>>,
}

impl Recording {
    /// Video that can pass through: 320×240, 24 frames in a GOP.
    pub(crate) fn short_gops() -> Self {
        Self::made(48, "pattern=ball", "tune=zerolatency key-int-max=24")
    }

    /// Video with intra refresh, which has recovery points but no IDR pictures.
    pub(crate) fn without_idr() -> Self {
        let mut recording =
            Self::made(97, "pattern=ball", "tune=zerolatency intra-refresh=true key-int-max=24");
        recording.units.retain(|unit| !unit.holds(IDR));
        recording
    }

    /// `frames` frames of `videotestsrc` with the settings `picture`, encoded by `x264enc` with the settings `encoder`.
    pub(crate) fn made(frames: u32, picture: &str, encoder: &str) -> Self {
        gst::init().unwrap();
        let description = format!(
            "videotestsrc num-buffers={frames} {picture} \
             ! video/x-raw,format=I420,width=320,height=240,framerate=24/1 \
             ! x264enc speed-preset=ultrafast option-string=scenecut=0 {encoder} \
             ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false"
        );
        let pipeline = gst::parse::launch(&description).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("units").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let samples = std::iter::from_fn(|| sink.pull_sample().ok());
        let units =
            samples.map(|sample| Unit::of(&sample.buffer().unwrap().map_readable().unwrap()));
        let units: Vec<_> = units.collect();
        pipeline.set_state(gst::State::Null).unwrap();
        let all = units.iter().flat_map(|unit| &unit.nals);
        let first = |kind| all.clone().find(|nal| nal[0] & 0x1f == kind).unwrap().clone();
        let parameters = vec![first(SPS), first(PPS)];
        Self { units, parameters }
    }

    /// The frame with this number. Frames are numbered from 0, over all repetitions.
    pub(super) fn unit(&self, number: u64) -> &Unit {
        &self.units[usize::try_from(number).unwrap() % self.units.len()]
    }

    /// The SDP of the video, for the answer to DESCRIBE.
    pub(super) fn sdp(&self) -> String {
        let sets: Vec<_> = self.parameters.iter().map(|set| STANDARD.encode(set)).collect();
        let sets = sets.join(",");
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
             m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/90000\r\n\
             a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}\r\n\
             a=control:trackID=1\r\n"
        )
    }
}

impl Unit {
    /// Splits an access unit in Annex B into NAL units.
    fn of(bytes: &[u8]) -> Self {
        let mut nals = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(3).position(|part| part == [0, 0, 1]) {
            rest = &rest[at + 3..];
            let end = rest.windows(3).position(|part| part == [0, 0, 1]).unwrap_or(rest.len());
            // A start code of four bytes has another zero before it.
            let length = end - rest[..end].iter().rev().take_while(|byte| **byte == 0).count();
            nals.push(rest[..length].to_vec());
        }
        Self { nals }
    }

    fn holds(&self, kind: u8) -> bool {
        self.nals.iter().any(|nal| nal[0] & 0x1f == kind)
    }

    pub(super) fn begins_gop(&self) -> bool {
        self.holds(SPS)
    }
}
