//! The modes that a camera offers, and the choice of one.
//!
//! Earlier rows of the table are preferred; within a row H.264 before MJPEG before raw video. A camera on USB 2 lists
//! the frame rates that its bus can carry, for example 5 frames/s for raw 1080p, which ranks low.
//!
//! | size | rate |
//! |---|---|
//! | as requested | as requested |
//! | as requested | higher |
//! | larger | as requested or higher |
//! | as requested | lower, at least 15 frames/s: ai-runner reports less as degraded |
//! | smaller | as requested or higher |
//! | any | any |
//!
//! H.264 that passes through cannot be scaled or rotated: unless the configuration requires H.264, it is considered
//! only in the requested size and without rotation. With masks H.264 is always decoded, so it comes last.
//!
//! Does not: query the camera.

use std::cmp::Ordering;

use crate::{CameraFormat, Video};

/// Raw formats that encoders may accept without a converter, best first.
const RAW: [&str; 3] = ["NV12", "I420", "YUY2"];

/// Frames per second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Frames.
    pub frames: u32,
    /// Seconds for these frames; not 0.
    pub seconds: u32,
}

impl Rate {
    /// Whole frames per second.
    pub const fn whole(fps: u32) -> Self {
        Self { frames: fps, seconds: 1 }
    }

    fn compare(self, other: Self) -> Ordering {
        let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
        product(self.frames, other.seconds).cmp(&product(other.frames, self.seconds))
    }
}

/// A format, size and frame rate that a camera offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// H.264, MJPEG or raw; never `Auto`.
    pub format: CameraFormat,
    /// The name of the raw format; empty for H.264 and MJPEG.
    pub raw: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frame rate.
    pub rate: Rate,
}

impl Mode {
    /// The caps that select it.
    pub(crate) fn caps(&self) -> String {
        let media = match self.format {
            CameraFormat::H264 => "video/x-h264".to_owned(),
            CameraFormat::Mjpeg => "image/jpeg".to_owned(),
            CameraFormat::Raw | CameraFormat::Auto => format!("video/x-raw,format={}", self.raw),
        };
        let Self { width, height, rate: Rate { frames, seconds }, .. } = self;
        format!("{media},width={width},height={height},framerate={frames}/{seconds}")
    }

    /// The raw format, if the mode has exactly the requested size and rate in a format of [`RAW`].
    pub(crate) fn shaped(&self, video: &Video) -> Option<&'static str> {
        let is_exact = self.size_fits(video) && self.rate_fits(video);
        let format = RAW.iter().find(|name| **name == self.raw);
        format.copied().filter(|_| is_exact && self.format == CameraFormat::Raw)
    }

    fn size_fits(&self, video: &Video) -> bool {
        (self.width, self.height) == (video.width, video.height)
    }

    fn rate_fits(&self, video: &Video) -> bool {
        self.rate.compare(Rate::whole(video.fps)) == Ordering::Equal
    }

    /// Distance from the request, as the row of the table above; lower is better.
    fn grade(&self, video: &Video) -> u8 {
        let rate = self.rate.compare(Rate::whole(video.fps));
        let is_fast = rate != Ordering::Less;
        let is_larger = self.width >= video.width && self.height >= video.height;
        let is_watchable = self.rate.compare(Rate::whole(15)) != Ordering::Less;
        match (self.size_fits(video), is_fast) {
            (true, true) if rate == Ordering::Equal => 0,
            (true, true) => 1,
            (false, true) if is_larger => 2,
            (true, false) if is_watchable => 3,
            (false, true) => 4,
            (_, false) => 5,
        }
    }

    /// Order among modes of the same grade and format: nearest size, nearest rate, best raw format.
    fn cost(&self, video: &Video) -> (u64, u64, usize) {
        let per_second =
            |rate: Rate| u64::from(rate.frames) * 1000 / u64::from(rate.seconds.max(1));
        let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let raw = RAW.iter().position(|name| **name == self.raw).unwrap_or(RAW.len());
        (
            area(self.width, self.height).abs_diff(area(video.width, video.height)),
            per_second(self.rate).abs_diff(per_second(Rate::whole(video.fps))),
            raw,
        )
    }
}

/// Chooses the mode to use; `None` if `modes` has none of the `wanted` format.
pub(crate) fn pick<'a>(modes: &'a [Mode], wanted: CameraFormat, video: &Video) -> Option<&'a Mode> {
    let is_allowed = |mode: &&Mode| match wanted {
        CameraFormat::Auto => {
            mode.format != CameraFormat::H264
                || (mode.size_fits(video) && !video.is_changed() && mode.grade(video) < 5)
        }
        CameraFormat::H264 | CameraFormat::Mjpeg | CameraFormat::Raw => mode.format == wanted,
    };
    let order = |mode: &&Mode| {
        let format = match mode.format {
            CameraFormat::H264 => 0,
            CameraFormat::Mjpeg => 1,
            CameraFormat::Raw | CameraFormat::Auto => 2,
        };
        (mode.grade(video), format, mode.cost(video))
    };
    let is_decoded = wanted == CameraFormat::Auto && !video.masks.is_empty();
    let best = modes.iter().filter(is_allowed).min_by_key(order);
    // A camera that offers H.264 alone: its video is decoded for the masks.
    best.or_else(|| modes.iter().filter(|_| is_decoded).min_by_key(order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rotate;

    /// `h264 1280x720@30`, `mjpeg 640x480@15/2`, `YUY2 640x480@30`.
    fn mode(text: &str) -> Mode {
        let (format, rest) = text.split_once(' ').unwrap();
        let (size, rate) = rest.split_once('@').unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let (frames, seconds) = rate.split_once('/').unwrap_or((rate, "1"));
        let (kind, raw) = match format {
            "h264" => (CameraFormat::H264, ""),
            "mjpeg" => (CameraFormat::Mjpeg, ""),
            raw => (CameraFormat::Raw, raw),
        };
        Mode {
            format: kind,
            raw: raw.to_owned(),
            width: width.parse().unwrap(),
            height: height.parse().unwrap(),
            rate: Rate { frames: frames.parse().unwrap(), seconds: seconds.parse().unwrap() },
        }
    }

    #[track_caller]
    fn check_for(video: &Video, wanted: CameraFormat, offered: &[&str], expected: Option<&str>) {
        let modes: Vec<Mode> = offered.iter().map(|text| mode(text)).collect();
        let expected = expected.map(mode);
        assert_eq!(pick(&modes, wanted, video), expected.as_ref());
        // The order in which a camera lists its modes must not matter.
        let reversed: Vec<Mode> = modes.into_iter().rev().collect();
        assert_eq!(pick(&reversed, wanted, video), expected.as_ref());
    }

    #[track_caller]
    fn check(offered: &[&str], expected: &str) {
        check_for(&Video::default(), CameraFormat::Auto, offered, Some(expected));
    }

    #[test]
    fn an_exact_match_is_preferred() {
        let exact = ["YUY2 1280x720@24", "mjpeg 1280x720@24", "h264 1280x720@24"];
        check(&exact, "h264 1280x720@24");
        check(&exact[..2], "mjpeg 1280x720@24");
        check(&["mjpeg 1280x720@30", "YUY2 1280x720@24"], "YUY2 1280x720@24");
        check(&["h264 1280x720@30", "YUY2 1280x720@24"], "YUY2 1280x720@24");
        check(&["h264 1280x720@30", "mjpeg 1280x720@30"], "h264 1280x720@30");
        check(&["YUY2 1280x720@24", "I420 1280x720@24"], "I420 1280x720@24");
    }

    #[test]
    fn mjpeg_is_chosen_where_usb_is_too_slow_for_raw_video() {
        check(
            &["YUY2 640x480@30", "YUY2 1280x720@10", "mjpeg 1280x720@30", "mjpeg 1920x1080@30"],
            "mjpeg 1280x720@30",
        );
        let small = Video { width: 640, height: 480, fps: 30, ..Video::default() };
        let offered = ["YUY2 640x480@30", "YUY2 1280x720@10", "mjpeg 1280x720@30"];
        check_for(&small, CameraFormat::Auto, &offered, Some("YUY2 640x480@30"));
    }

    #[test]
    fn rates_are_fractions() {
        check(&["mjpeg 1280x720@30000/1001", "mjpeg 1280x720@25"], "mjpeg 1280x720@25");
        check(&["YUY2 1280x720@24000/1001", "YUY2 1280x720@15/2"], "YUY2 1280x720@24000/1001");
        check(&["YUY2 1280x720@48/2", "YUY2 1280x720@25"], "YUY2 1280x720@48/2");
    }

    #[test]
    fn larger_modes_are_preferred_to_slower_and_smaller_ones() {
        check(
            &["mjpeg 1920x1080@30", "mjpeg 3840x2160@30", "YUY2 1280x720@15"],
            "mjpeg 1920x1080@30",
        );
        check(&["YUY2 1280x720@15", "YUY2 640x480@30"], "YUY2 1280x720@15");
        check(&["YUY2 1280x720@10", "YUY2 640x480@30"], "YUY2 640x480@30");
        check(&["YUY2 1280x720@10", "YUY2 640x480@5"], "YUY2 1280x720@10");
        check(&["YUY2 160x120@30", "YUY2 640x480@30"], "YUY2 640x480@30");
    }

    #[test]
    fn h264_of_another_size_is_chosen_only_if_required() {
        let offered = ["h264 1920x1080@24", "YUY2 160x120@5"];
        check(&offered, "YUY2 160x120@5");
        check_for(&Video::default(), CameraFormat::H264, &offered, Some("h264 1920x1080@24"));
        check_for(&Video::default(), CameraFormat::Auto, &offered[..1], None);
        check_for(&Video::default(), CameraFormat::Mjpeg, &offered, None);
        check_for(&Video::default(), CameraFormat::Auto, &[], None);
        let turned = Video { rotate: Rotate::Half, ..Video::default() };
        let offered = ["h264 1280x720@24", "mjpeg 1280x720@24"];
        check_for(&turned, CameraFormat::Auto, &offered, Some("mjpeg 1280x720@24"));
    }

    #[test]
    fn caps_are_exact() {
        assert_eq!(
            mode("h264 1280x720@24").caps(),
            "video/x-h264,width=1280,height=720,framerate=24/1"
        );
        assert_eq!(
            mode("mjpeg 640x480@15/2").caps(),
            "image/jpeg,width=640,height=480,framerate=15/2"
        );
        assert_eq!(
            mode("YUY2 640x480@30").caps(),
            "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1"
        );
    }

    #[test]
    fn only_exact_raw_modes_need_no_converter() {
        let shaped = |text: &str| mode(text).shaped(&Video::default());
        assert_eq!(shaped("YUY2 1280x720@24"), Some("YUY2"));
        assert_eq!(shaped("NV12 1280x720@48/2"), Some("NV12"));
        assert_eq!(shaped("RGB 1280x720@24"), None);
        assert_eq!(shaped("YUY2 1280x720@30"), None);
        assert_eq!(shaped("YUY2 640x480@24"), None);
        assert_eq!(shaped("mjpeg 1280x720@24"), None);
    }
}
