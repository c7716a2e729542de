//! Maps GStreamer elements to the Debian packages that contain them, for error texts.
//!
//! The names are those of Debian 12; Raspberry Pi OS and Ubuntu use the same.
//!
//! Does not: list every element; only those of this program and those that are common in users' camera pipelines.

/// The Debian package that contains `element`, if the table lists it.
pub(crate) fn package(element: &str) -> Option<&'static str> {
    PACKAGES.iter().find(|(_, elements)| elements.contains(&element)).map(|(package, _)| *package)
}

const PACKAGES: &[(&str, &[&str])] = &[
    (
        "libgstreamer1.0-0",
        &["capsfilter", "fakesink", "fdsink", "filesrc", "identity", "queue", "tee", "typefind"],
    ),
    (
        "gstreamer1.0-plugins-base",
        &[
            "appsink",
            "appsrc",
            "audioconvert",
            "audioresample",
            "audiotestsrc",
            "decodebin",
            "opusenc",
            "uridecodebin",
            "videoconvert",
            "videorate",
            "videoscale",
            "videotestsrc",
        ],
    ),
    (
        "gstreamer1.0-plugins-good",
        &[
            "aacparse",
            "aspectratiocrop",
            "autovideosink",
            "deinterlace",
            "flvmux",
            "imagefreeze",
            "jpegdec",
            "mp4mux",
            "rtph264depay",
            "rtspsrc",
            "udpsrc",
            "v4l2h264enc",
            "v4l2src",
            "videobalance",
            "videocrop",
            "videoflip",
        ],
    ),
    (
        "gstreamer1.0-plugins-bad",
        &[
            "h264parse",
            "jpegparse",
            "nvh264enc",
            "openh264enc",
            "qsvh264enc",
            "rtmp2sink",
            "srtsink",
            "srtsrc",
            "tsdemux",
            "vah264enc",
        ],
    ),
    ("gstreamer1.0-plugins-ugly", &["x264enc"]),
    ("gstreamer1.0-libav", &["avdec_h264", "avdec_h265", "avdec_aac", "avdec_gif", "avenc_aac"]),
    ("gstreamer1.0-alsa", &["alsasrc"]),
    ("gstreamer1.0-pulseaudio", &["pulsesrc"]),
    ("gstreamer1.0-pipewire", &["pipewiresrc"]),
    ("gstreamer1.0-libcamera", &["libcamerasrc"]),
    ("gstreamer1.0-rtsp", &["rtspclientsink"]),
    ("gstreamer1.0-vaapi", &["vaapih264enc"]),
    ("gstreamer1.0-x", &["clockoverlay", "textoverlay", "timeoverlay", "ximagesink"]),
    ("nvidia-l4t-gstreamer", &["nvarguscamerasrc", "nvv4l2h264enc", "nvvidconv"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_one_package() {
        assert_eq!(package("x264enc"), Some("gstreamer1.0-plugins-ugly"));
        assert_eq!(package("h264parse"), Some("gstreamer1.0-plugins-bad"));
        assert_eq!(package("unheardof"), None);
        let mut all: Vec<_> = PACKAGES.iter().flat_map(|(_, elements)| *elements).collect();
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), before);
    }
}
