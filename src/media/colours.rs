//! Decides from the caps of decoded video how to complete its colorimetry or convert it, so that the elements after the
//! decoder do not change its colours.
//!
//! The colorimetry of caps is a name, or four numbers: range, matrix, transfer, primaries. GStreamer 1.22 treats them
//! so:
//!
//! | input | what GStreamer does |
//! |---|---|
//! | full range, matrix unknown (`1:0:0:0`) | treats it as limited range |
//! | grey, matrix unknown | shows it in colours |
//! | full range where limited range is requested | `videoconvert` relabels it and leaves the values as they are |
//! | interlaced, more than 8 bits | leaves it interlaced |
//! | alpha | drops it: transparent parts become visible |
//!
//! Does not: convert between ranges; `pipeline` has the element for that.

/// The range 0 to 255.
const FULL: &str = "1";
/// The range or matrix is not specified.
const UNKNOWN: &str = "0";
const BT709: &str = "3";
const BT601: &str = "4";
/// Higher pictures without a matrix count as BT.709, as in GStreamer.
const SD_HEIGHT: i32 = 576;
/// Formats without alpha that `deinterlace` can deinterlace; it passes on other formats still interlaced.
const DEINTERLACED: [&str; 16] = [
    "I420", "YV12", "NV12", "NV21", "YUY2", "YVYU", "UYVY", "Y41B", "Y42B", "Y444", "xRGB", "xBGR",
    "RGBx", "BGRx", "RGB", "BGR",
];

/// The colorimetry with its missing matrix filled in; `None` if the colorimetry is complete. Without the matrix, an
/// element after the decoder would guess it from the size, which rotation and scaling change.
pub(crate) fn completed(format: &str, colorimetry: Option<&str>, height: i32) -> Option<String> {
    if is_rgb(format) {
        return None;
    }
    let is_small = height <= SD_HEIGHT;
    let Some(colorimetry) = colorimetry else {
        return Some(match (is_grey(format), is_small) {
            (true, _) => format!("{FULL}:{BT601}:0:0"),
            (false, true) => "bt601".into(),
            (false, false) => "bt709".into(),
        });
    };
    let mut parts = colorimetry.split(':');
    let (range, matrix) = (parts.next()?, parts.next()?);
    if matrix != UNKNOWN || range == UNKNOWN {
        return None;
    }
    // Full range means JPEG, whose matrix is that of BT.601 at every size.
    let matrix = if range == FULL || is_small { BT601 } else { BT709 };
    let rest: Vec<_> = parts.collect();
    Some(format!("{range}:{matrix}:{}", rest.join(":")))
}

/// Whether the values use the full range from 0 to 255.
pub(crate) fn is_full(colorimetry: &str) -> bool {
    colorimetry.split_once(':').is_some_and(|(range, _)| range == FULL)
}

/// The same colorimetry in limited range (16 to 235); `None` if it is not in full range.
pub(crate) fn limited(colorimetry: &str) -> Option<String> {
    let (_, rest) = colorimetry.split_once(':').filter(|_| is_full(colorimetry))?;
    Some(format!("2:{rest}"))
}

/// Whether the format has alpha.
pub(crate) fn has_alpha(format: &str) -> bool {
    format.contains('A') && !is_grey(format)
}

/// The caps to which pictures of this format must be converted first; `None` if they need no conversion.
pub(crate) fn carrier(
    format: &str,
    colorimetry: Option<&str>,
    is_interlaced: bool,
) -> Option<String> {
    if has_alpha(format) {
        return Some("video/x-raw,format=AYUV".into());
    }
    if is_grey(format) {
        // The caps name the colorimetry, because conversion of grey to a format with colours would otherwise lose the
        // range.
        let colorimetry = colorimetry?;
        return Some(format!("video/x-raw,format=I420,colorimetry={colorimetry}"));
    }
    let stays = !is_interlaced || DEINTERLACED.contains(&format);
    (!stays).then(|| "video/x-raw,format=I420".into())
}

/// Whether the format is RGB, which has no luma.
fn is_rgb(format: &str) -> bool {
    ["RGB", "BGR", "GBR"].iter().any(|name| format.contains(name))
}

/// Whether the format has luma alone.
fn is_grey(format: &str) -> bool {
    format.starts_with("GRAY")
}

/// Blends a picture in AYUV onto black, in place. `black` is the luma of black: 16, or 0 in full range.
pub(crate) fn blend(pixels: &mut [u8], black: u8) {
    for pixel in pixels.chunks_exact_mut(4) {
        let [alpha, luma, u, v] = pixel else { continue };
        let over = |value: u8, ground: u8| {
            let (value, ground, alpha) = (i32::from(value), i32::from(ground), i32::from(*alpha));
            u8::try_from(ground + (value - ground) * alpha / 255).unwrap_or(0)
        };
        if *alpha < u8::MAX {
            (*luma, *u, *v) = (over(*luma, black), over(*u, 128), over(*v, 128));
            *alpha = u8::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, colorimetry: Option<&str>, height: i32, expected: Option<&str>) {
        assert_eq!(completed(format, colorimetry, height).as_deref(), expected, "{colorimetry:?}");
    }

    #[test]
    fn a_missing_matrix_is_filled_in() {
        check("I420", Some("1:0:0:0"), 360, Some("1:4:0:0"));
        check("I420", Some("1:0:5:1"), 1080, Some("1:4:5:1"));
        check("GRAY8", Some("2:0:0:0"), 576, Some("2:4:0:0"));
        check("I420", Some("2:0:0:0"), 720, Some("2:3:0:0"));
        check("I420", None, 576, Some("bt601"));
        check("I420_10LE", None, 577, Some("bt709"));
        check("GRAY8", None, 720, Some("1:4:0:0"));
        check("GBR", Some("1:0:0:0"), 720, None);
        check("RGBA", None, 720, None);
        check("I420", Some("0:0:0:0"), 720, None);
        check("I420", Some("1:4:0:0"), 720, None);
        check("I420", Some("bt709"), 720, None);
    }

    #[test]
    fn full_range_becomes_limited_by_name() {
        assert!(is_full("1:4:0:0") && !is_full("2:4:0:0") && !is_full("bt601") && !is_full("sRGB"));
        assert_eq!(limited("1:3:5:1").as_deref(), Some("2:3:5:1"));
        assert_eq!(limited("2:3:5:1"), None);
        assert_eq!(limited("bt709"), None);
    }

    #[test]
    fn formats_that_would_go_wrong_are_converted_first() {
        for format in ["A420", "AYUV", "RGBA", "ARGB64_LE", "GBRA_10LE", "A444_10LE", "VUYA"] {
            assert_eq!(carrier(format, None, false).as_deref(), Some("video/x-raw,format=AYUV"));
        }
        for format in ["I420", "NV12", "YUY2", "I420_10LE", "P010_10LE", "RGBx", "Y444"] {
            assert_eq!(carrier(format, Some("bt709"), false), None, "{format}");
        }
        assert_eq!(carrier("YUY2", Some("bt601"), true), None);
        assert_eq!(carrier("I422_10LE", None, true).as_deref(), Some("video/x-raw,format=I420"));
        assert_eq!(
            carrier("GRAY16_LE", Some("1:4:0:0"), false).as_deref(),
            Some("video/x-raw,format=I420,colorimetry=1:4:0:0")
        );
    }

    #[test]
    fn transparent_parts_become_black() {
        let mut pixels = [0, 200, 30, 220, 255, 200, 30, 220, 51, 116, 228, 28];
        blend(&mut pixels, 16);
        assert_eq!(pixels, [255, 16, 128, 128, 255, 200, 30, 220, 255, 36, 148, 108]);
        let mut full = [0, 200, 30, 220];
        blend(&mut full, 0);
        assert_eq!(full, [255, 0, 128, 128]);
    }
}
