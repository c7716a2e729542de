//! Names a source for users.
//!
//! Does not: name a network camera by its whole address, which may contain a key.

use crate::Source;
use crate::io::camera;
use crate::io::rtsp::host;

/// The name of `source`: of a V4L2 camera, the kernel's name; of a network camera, its host.
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
        Source::Pipeline { .. } => "pipeline".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CameraFormat;

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
