//! Names a source for users.
//!
//! Does not: name a network camera by its whole address, which may contain a key.

use crate::Source;
use crate::io::camera;
use crate::io::rtsp::host;

/// The name of `source`: of a V4L2 camera, the kernel's name; of a network camera, its host; of the user's fragment, its
/// first element without properties, which may contain a key.
pub(super) fn title(source: &Source) -> String {
    match source {
        Source::Auto => "camera".to_owned(),
        Source::Test => "test picture".to_owned(),
        Source::File { path, .. } => {
            let name = path.file_name().map(|name| name.to_string_lossy());
            format!("file {}", name.unwrap_or_default())
        }
        Source::V4l2 { device, .. } => {
            camera::kernel_name(device).unwrap_or_else(|| device.display().to_string())
        }
        Source::Libcamera { camera: None } => "libcamera".to_owned(),
        Source::Libcamera { camera: Some(name) } => format!("libcamera {name}"),
        Source::NvArgus { sensor } => format!("nvargus {sensor}"),
        Source::Rtsp { url, .. } => format!("network camera {}", host(url)),
        Source::Pipeline { fragment } => match first_element(fragment) {
            Some(element) => format!("pipeline of {element}"),
            None => "pipeline".to_owned(),
        },
    }
}

/// The first word of a fragment, if it can be the name of an element.
fn first_element(fragment: &str) -> Option<&str> {
    let first = fragment.split_whitespace().next()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    first.chars().all(is_name).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CameraFormat;

    #[test]
    fn a_pipeline_is_named_by_its_first_element_alone() {
        #[track_caller]
        fn check(fragment: &str, expected: &str) {
            assert_eq!(title(&Source::Pipeline { fragment: fragment.to_owned() }), expected);
        }
        check("libcamerasrc ! videoconvert", "pipeline of libcamerasrc");
        check(" souphttpsrc location=https://u:p@cam/ ! decodebin", "pipeline of souphttpsrc");
        check("location=https://u:p@cam/", "pipeline");
        check("", "pipeline");
    }

    #[test]
    fn a_network_camera_is_named_by_its_host_alone() {
        #[track_caller]
        fn check(url: &str, expected: &str) {
            let format = CameraFormat::Auto;
            let source = Source::Rtsp { url: url.to_owned(), credential: None, pin: None, format };
            assert_eq!(title(&source), expected);
        }
        check("rtsp://10.0.0.9:8554/live?key=secret", "network camera 10.0.0.9:8554");
        check("rtsp://u:p@door.local", "network camera door.local");
        check("rtsp://[fe80::1]:554/a@b", "network camera [fe80::1]:554");
    }
}
