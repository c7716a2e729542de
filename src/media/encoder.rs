//! The supported encoders: a row for each, with the names of its element's properties.
//!
//! To support another encoder, add a row; no other module depends on their properties. Sources: the documentation and
//! code of GStreamer 1.16 to 1.26, NVIDIA's L4T plugins and gstreamer-rockchip. Facts that were measured on a device
//! are marked in the rows.
//!
//! Does not: try encoders, or choose one; `choice` chooses from `ROWS`.

use crate::level::level;
use crate::{Speed, Video};

/// How to set an element's bitrate. All elements accept changes while frames flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bitrate {
    /// A property, in bit/s.
    Bits(&'static str),
    /// A property, in 1000 bit/s.
    Kilobits(&'static str),
    /// A V4L2 control; all controls are set together: bitrate and GOP. Setting them while frames flow causes no gap
    /// (measured by others on a Pi 4). From GStreamer 1.30 the element has the properties `bitrate` and `gop-size`
    /// instead, whose defaults would override the controls.
    Controls,
}

/// How to request a key frame from an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRequest {
    /// By the event `GstForceKeyUnit`.
    Event,
    /// By the action signal of this name; the element ignores the event.
    Signal(&'static str),
    /// Not supported; wait for the regular key frames.
    Never,
}

/// Whether an encoder uses special hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An encoder circuit. Only a trial shows whether the computer has one.
    Hardware,
    /// The CPU.
    Software,
}

/// A supported encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The GStreamer element.
    pub(crate) element: &'static str,
    /// The plugin that provides it. If GStreamer has the plugin but not the element, the computer lacks the hardware.
    pub(crate) plugin: &'static str,
    /// Hardware or software.
    pub(crate) kind: Kind,
    /// Fixed properties, as in a pipeline description.
    pub(crate) fixed: &'static str,
    /// Names and values of properties that only some releases or drivers have.
    pub(crate) optional: &'static [(&'static str, &'static str)],
    /// The property for a [`Speed`], if it has one.
    pub(crate) speed: Option<&'static str>,
    /// How to set the bitrate.
    pub(crate) bitrate: Bitrate,
    /// The properties for the number of frames in a GOP.
    pub(crate) gop: &'static [&'static str],
    /// How to request a key frame.
    pub(crate) key: KeyRequest,
    /// Raw formats that it accepts without conversion, best first.
    pub(crate) formats: &'static [&'static str],
    /// The elements that upload frames into its memory, as in a pipeline description.
    pub(crate) upload: Option<&'static str>,
    /// Whether its stream signals full-range values (measured with GStreamer 1.22).
    pub(crate) signals_range: bool,
    /// Whether the frame size may change while frames flow.
    pub(crate) resizes: bool,
    /// The caps after the encoder.
    pub(crate) caps: &'static str,
    /// Whether `caps` must contain the level; without it the encoder fails on its first frame.
    pub(crate) needs_level: bool,
}

/// All supported encoders, in the order in which they are tried.
pub(crate) const ROWS: &[Row] = &[
    // Raspberry Pi 3, 4, Zero 2, CM4. `repeat_sequence_header`: SPS and PPS before each key frame. The device cannot be
    // set as a property; each device has its own element name, see [`row`].
    Row {
        element: "v4l2h264enc",
        plugin: "video4linux2",
        kind: Kind::Hardware,
        fixed: "",
        optional: &[],
        speed: None,
        bitrate: Bitrate::Controls,
        gop: &["gop-size"],
        key: KeyRequest::Never,
        // Without a converter before it, a Pi 4 saves 14 to 20 percentage points of CPU (measured by others).
        formats: &["I420", "NV12", "YUY2"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264",
        needs_level: true,
    },
    // Jetson, except the Orin Nano, which has no encoder.
    Row {
        element: "nvv4l2h264enc",
        plugin: "nvvideo4linux2",
        kind: Kind::Hardware,
        fixed: "insert-sps-pps=true control-rate=1",
        optional: &[("insert-vui", "true"), ("maxperf-enable", "true"), ("preset-level", "1")],
        speed: None,
        bitrate: Bitrate::Bits("bitrate"),
        gop: &["iframeinterval", "idrinterval"],
        key: KeyRequest::Signal("force-IDR"),
        formats: &["NV12", "I420", "YUY2"],
        upload: Some("nvvidconv ! video/x-raw(memory:NVMM),format=NV12"),
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,stream-format=byte-stream",
        needs_level: false,
    },
    // Rockchip. A change of size needs a restart.
    Row {
        element: "mpph264enc",
        plugin: "rockchipmpp",
        kind: Kind::Hardware,
        fixed: "rc-mode=cbr",
        optional: &[("header-mode", "each-idr")],
        speed: None,
        bitrate: Bitrate::Bits("bps"),
        gop: &["gop"],
        key: KeyRequest::Event,
        formats: &["NV12", "I420", "YUY2"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,stream-format=byte-stream",
        needs_level: false,
    },
    // x86: NVIDIA, then Intel and AMD through VA, its predecessor VA-API, then Intel's Quick Sync. The VA element has
    // rank NONE, so autoplugging does not find it.
    Row {
        element: "nvh264enc",
        plugin: "nvcodec",
        kind: Kind::Hardware,
        fixed: "rc-mode=cbr",
        optional: &[("zerolatency", "true"), ("bframes", "0")],
        speed: None,
        bitrate: Bitrate::Kilobits("bitrate"),
        gop: &["gop-size"],
        key: KeyRequest::Event,
        formats: &["NV12"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,profile=main,stream-format=byte-stream",
        needs_level: false,
    },
    Row {
        element: "vah264enc",
        plugin: "va",
        kind: Kind::Hardware,
        fixed: "b-frames=0",
        // The properties of the VA element depend on the driver.
        optional: &[("rate-control", "cbr")],
        speed: None,
        bitrate: Bitrate::Kilobits("bitrate"),
        gop: &["key-int-max"],
        key: KeyRequest::Event,
        formats: &["NV12"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,profile=main,stream-format=byte-stream",
        needs_level: false,
    },
    Row {
        element: "vaapih264enc",
        plugin: "vaapi",
        kind: Kind::Hardware,
        fixed: "rate-control=cbr",
        optional: &[("max-bframes", "0")],
        speed: None,
        bitrate: Bitrate::Kilobits("bitrate"),
        gop: &["keyframe-period"],
        key: KeyRequest::Event,
        formats: &["NV12", "I420"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,profile=main,stream-format=byte-stream",
        needs_level: false,
    },
    Row {
        element: "qsvh264enc",
        plugin: "qsv",
        kind: Kind::Hardware,
        fixed: "rate-control=cbr b-frames=0",
        optional: &[("low-latency", "true")],
        speed: None,
        bitrate: Bitrate::Kilobits("bitrate"),
        gop: &["gop-size"],
        key: KeyRequest::Event,
        formats: &["NV12"],
        upload: None,
        signals_range: false,
        resizes: false,
        caps: "video/x-h264,profile=main,stream-format=byte-stream",
        needs_level: false,
    },
    // Raspberry Pi 5, Orin Nano, and all other computers.
    Row {
        element: "x264enc",
        plugin: "x264",
        kind: Kind::Software,
        // zerolatency: no look-ahead, no B-frames, slices instead of frames per thread. scenecut=0: no key frames at scene
        // cuts. vbv-buf-capacity in ms: limits the size of a key frame, so that it does not block the link.
        fixed: "tune=zerolatency bframes=0 byte-stream=true vbv-buf-capacity=600 option-string=scenecut=0",
        optional: &[],
        speed: Some("speed-preset"),
        bitrate: Bitrate::Kilobits("bitrate"),
        gop: &["key-int-max"],
        key: KeyRequest::Event,
        formats: &["I420", "NV12"],
        upload: None,
        signals_range: true,
        resizes: true,
        // Main profile: every decoder supports it.
        caps: "video/x-h264,profile=main",
        needs_level: false,
    },
    Row {
        element: "openh264enc",
        plugin: "openh264",
        kind: Kind::Software,
        fixed: "usage-type=camera complexity=low rate-control=bitrate scene-change-detection=false",
        optional: &[],
        speed: None,
        bitrate: Bitrate::Bits("bitrate"),
        gop: &["gop-size"],
        key: KeyRequest::Event,
        formats: &["I420"],
        upload: None,
        signals_range: false,
        resizes: true,
        caps: "video/x-h264,stream-format=byte-stream",
        needs_level: false,
    },
];

/// The encoder that an error names as missing when the computer has no supported one.
pub(crate) const SOFTWARE: &str = "x264enc";

/// The row of the element with this name, if it is supported. GStreamer names the first V4L2 encoder `v4l2h264enc`, and
/// others by their node, such as `v4l2video12h264enc`.
pub(crate) fn row(element: &str) -> Option<&'static Row> {
    let node = element.strip_prefix("v4l2video").and_then(|rest| rest.strip_suffix("h264enc"));
    let is_further = node.is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()));
    let element = if is_further { KERNEL } else { element };
    ROWS.iter().find(|row| row.element == element)
}

/// An encoder element that this computer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// The row of the element.
    pub(crate) row: &'static Row,
    /// The element's name in GStreamer, usually that of its row.
    pub(crate) name: String,
    has: Vec<&'static str>,
}

/// The first V4L2 encoder.
const KERNEL: &str = "v4l2h264enc";
/// If a V4L2 encoder has this property, it replaces [`Bitrate::Controls`].
const BITRATE: &str = "bitrate";
/// The V4L2 controls that are always set: SPS and PPS before each key frame.
const CONTROLS: &str = "controls,repeat_sequence_header=1";

impl Element {
    /// The element of `row` under the row's name.
    #[cfg(test)]
    pub(crate) fn new(row: &'static Row, has: impl Fn(&str) -> bool) -> Self {
        Self::named(row.element, row, has)
    }

    /// The element of `row` with the name `name`; `has` returns whether it has a property.
    pub(crate) fn named(name: &str, row: &'static Row, has: impl Fn(&str) -> bool) -> Self {
        let asked = row.optional.iter().map(|(name, _)| name).chain(row.gop).chain([&BITRATE]);
        let has = asked.copied().filter(|name| has(name)).collect();
        Self { row, name: name.to_owned(), has }
    }

    fn has(&self, property: &str) -> bool {
        self.has.contains(&property)
    }

    /// The pipeline description of the element, its properties and the caps after it; one GOP is one segment.
    pub(crate) fn describe(&self, name: &str, video: &Video, speed: Speed) -> String {
        let row = self.row;
        let mut text = String::new();
        if let Some(upload) = row.upload {
            text.push_str(&format!("{upload} ! "));
        }
        text.push_str(&format!("{} name={name}", self.name));
        if !row.fixed.is_empty() {
            text.push_str(&format!(" {}", row.fixed));
        }
        for (property, value) in row.optional.iter().filter(|(property, _)| self.has(property)) {
            text.push_str(&format!(" {property}={value}"));
        }
        if let Some(property) = row.speed {
            text.push_str(&format!(" {property}={}", word(speed)));
        }
        let (property, value) = self.bitrate(video, video.bitrate);
        let controls = row.bitrate == Bitrate::Controls;
        if controls && self.has(BITRATE) {
            text.push_str(&format!(" extra-controls=\"{CONTROLS}\""));
        }
        text.push_str(&format!(" {property}={}", quoted(&value)));
        for (property, value) in self.gop(video) {
            text.push_str(&format!(" {property}={value}"));
        }
        text.push_str(&format!(" ! {}", row.caps));
        if row.needs_level {
            text.push_str(&format!(",level=(string){}", level(video)));
        }
        text
    }

    /// Properties and values that set the GOP length to that of a segment.
    pub(crate) fn gop(&self, video: &Video) -> impl Iterator<Item = (&'static str, String)> {
        let controls = self.row.bitrate == Bitrate::Controls;
        let names = self.row.gop.iter().filter(move |property| !controls || self.has(property));
        let frames = gop(video).to_string();
        names.map(move |property| (*property, frames.clone()))
    }

    /// Property and value that set the bitrate to `bits` per second, also while the encoder runs.
    pub(crate) fn bitrate(&self, video: &Video, bits: u32) -> (&'static str, String) {
        match self.row.bitrate {
            Bitrate::Bits(property) => (property, bits.to_string()),
            Bitrate::Kilobits(property) => (property, (bits / 1000).max(1).to_string()),
            Bitrate::Controls if self.has(BITRATE) => (BITRATE, bits.to_string()),
            Bitrate::Controls => (
                "extra-controls",
                // With a period of 1 the driver makes every frame a key frame.
                format!(
                    "{CONTROLS},video_bitrate={bits},h264_i_frame_period={}",
                    gop(video).max(2)
                ),
            ),
        }
    }
}

/// `value`, quoted for a pipeline description where needed.
fn quoted(value: &str) -> String {
    if value.contains(',') { format!("\"{value}\"") } else { value.to_owned() }
}

fn word(speed: Speed) -> &'static str {
    match speed {
        Speed::Ultrafast => "ultrafast",
        Speed::Superfast => "superfast",
        Speed::Veryfast => "veryfast",
    }
}

/// Frames in a segment, at least one.
fn gop(video: &Video) -> u64 {
    let millis = u64::try_from(video.segment.as_millis()).unwrap_or(u64::MAX);
    (millis.saturating_mul(u64::from(video.fps)) / 1000).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The description of an element that has, of the optional properties, these.
    #[track_caller]
    fn check(element: &str, has: &[&str], expected: &str) {
        let element = Element::new(row(element).unwrap(), |property| has.contains(&property));
        assert_eq!(element.describe("e", &Video::default(), Speed::Superfast), expected);
    }

    #[test]
    fn every_description_is_exact() {
        check(
            "v4l2h264enc",
            &[],
            "v4l2h264enc name=e extra-controls=\"controls,repeat_sequence_header=1,video_bitrate=2000000,\
             h264_i_frame_period=48\" ! video/x-h264,level=(string)3.1",
        );
        check(
            "v4l2h264enc",
            &["bitrate", "gop-size"],
            "v4l2h264enc name=e extra-controls=\"controls,repeat_sequence_header=1\" bitrate=2000000 \
             gop-size=48 ! video/x-h264,level=(string)3.1",
        );
        check(
            "nvv4l2h264enc",
            &["insert-vui", "maxperf-enable", "preset-level"],
            "nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc name=e insert-sps-pps=true \
             control-rate=1 insert-vui=true maxperf-enable=true preset-level=1 bitrate=2000000 \
             iframeinterval=48 idrinterval=48 ! video/x-h264,stream-format=byte-stream",
        );
        check(
            "nvv4l2h264enc",
            &["preset-level"],
            "nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc name=e insert-sps-pps=true \
             control-rate=1 preset-level=1 bitrate=2000000 iframeinterval=48 idrinterval=48 \
             ! video/x-h264,stream-format=byte-stream",
        );
        check(
            "mpph264enc",
            &["header-mode"],
            "mpph264enc name=e rc-mode=cbr header-mode=each-idr bps=2000000 gop=48 \
             ! video/x-h264,stream-format=byte-stream",
        );
        check(
            "nvh264enc",
            &["zerolatency", "bframes"],
            "nvh264enc name=e rc-mode=cbr zerolatency=true bframes=0 bitrate=2000 gop-size=48 \
             ! video/x-h264,profile=main,stream-format=byte-stream",
        );
        check(
            "vah264enc",
            &["rate-control"],
            "vah264enc name=e b-frames=0 rate-control=cbr bitrate=2000 key-int-max=48 \
             ! video/x-h264,profile=main,stream-format=byte-stream",
        );
        check(
            "vaapih264enc",
            &["max-bframes"],
            "vaapih264enc name=e rate-control=cbr max-bframes=0 bitrate=2000 keyframe-period=48 \
             ! video/x-h264,profile=main,stream-format=byte-stream",
        );
        check(
            "qsvh264enc",
            &["low-latency"],
            "qsvh264enc name=e rate-control=cbr b-frames=0 low-latency=true bitrate=2000 gop-size=48 \
             ! video/x-h264,profile=main,stream-format=byte-stream",
        );
        check(
            "x264enc",
            &[],
            "x264enc name=e tune=zerolatency bframes=0 byte-stream=true vbv-buf-capacity=600 \
             option-string=scenecut=0 speed-preset=superfast bitrate=2000 key-int-max=48 \
             ! video/x-h264,profile=main",
        );
        check(
            "openh264enc",
            &[],
            "openh264enc name=e usage-type=camera complexity=low rate-control=bitrate \
             scene-change-detection=false bitrate=2000000 gop-size=48 \
             ! video/x-h264,stream-format=byte-stream",
        );
    }

    #[test]
    fn every_v4l2_encoder_is_described_like_the_first() {
        let name = "v4l2video12h264enc";
        let further = Element::named(name, row(name).unwrap(), |_| false);
        let first = Element::new(row("v4l2h264enc").unwrap(), |_| false);
        let describe =
            |element: &Element| element.describe("e", &Video::default(), Speed::Superfast);
        assert_eq!(describe(&further), describe(&first).replacen("v4l2h264enc", name, 1));
        for other in ["v4l2videoh264enc", "v4l2video1h265enc", "v4l2videoxh264enc", "v4l2video1"] {
            assert_eq!(row(other), None, "{other}");
        }
    }

    #[test]
    fn the_description_has_level_bitrate_and_gop_length() {
        let video = Video {
            fps: 15,
            segment: Duration::from_millis(1500),
            bitrate: 500,
            ..Video::default()
        };
        let x264 = Element::new(row("x264enc").unwrap(), |_| false);
        let text = x264.describe("e", &video, Speed::Ultrafast);
        assert!(text.contains("speed-preset=ultrafast bitrate=1 key-int-max=22 !"), "{text}");

        let video = Video { width: 1920, height: 1080, fps: 30, bitrate: 4_000_000, ..video };
        let pi = Element::new(row("v4l2h264enc").unwrap(), |_| false);
        let text = pi.describe("e", &video, Speed::Ultrafast);
        assert!(
            text.ends_with("h264_i_frame_period=45\" ! video/x-h264,level=(string)4"),
            "{text}"
        );
    }

    #[track_caller]
    fn check_bitrate(element: &str, has: &[&str], expected: (&str, &str)) {
        let element = Element::new(row(element).unwrap(), |property| has.contains(&property));
        let (property, value) = element.bitrate(&Video::default(), 1_234_567);
        assert_eq!((property, value.as_str()), expected);
    }

    #[test]
    fn a_new_bitrate_is_set_in_the_elements_property_and_unit() {
        check_bitrate("x264enc", &[], ("bitrate", "1234"));
        check_bitrate("openh264enc", &[], ("bitrate", "1234567"));
        check_bitrate("mpph264enc", &[], ("bps", "1234567"));
        check_bitrate("nvv4l2h264enc", &[], ("bitrate", "1234567"));
        check_bitrate("v4l2h264enc", &["bitrate"], ("bitrate", "1234567"));
        check_bitrate(
            "v4l2h264enc",
            &[],
            (
                "extra-controls",
                "controls,repeat_sequence_header=1,video_bitrate=1234567,h264_i_frame_period=48",
            ),
        );
    }

    #[test]
    fn the_rows_are_consistent() {
        let first_software = ROWS.iter().position(|row| row.kind == Kind::Software).unwrap();
        assert!(ROWS[first_software..].iter().all(|row| row.kind == Kind::Software));
        for row in ROWS {
            assert_eq!(ROWS.iter().filter(|other| other.element == row.element).count(), 1);
            assert!(!row.formats.is_empty(), "{}", row.element);
        }
        assert!(row(SOFTWARE).is_some());
        assert_eq!(row("x265enc"), None);
    }
}
