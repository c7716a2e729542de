//! Finds a V4L2 camera by the configured name: a path, or a part of its persistent name.
//!
//! `/dev/videoN` changes on replug and reboot. The names below `/dev/v4l/by-id` (maker, model, serial number) and
//! `/dev/v4l/by-path` (the port) are persistent. A camera has several nodes; the one that ends in `index0` provides
//! the pictures.
//!
//! Some nodes of the Pi belong to its camera port or its codecs. They list formats like a camera but never deliver a
//! picture. The names that the kernel gives them show which ones they are.
//!
//! Does not: read the directories.

use std::path::{Path, PathBuf};

/// Result of looking up a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// One camera.
    One(PathBuf),
    /// No camera matches.
    None,
    /// Several cameras match; a longer name is needed.
    Several(Vec<PathBuf>),
}

/// Looks `name` up among the nodes at `paths`.
pub(crate) fn find(name: &Path, paths: &[PathBuf]) -> Found {
    if name.is_absolute() {
        return Found::One(name.to_owned());
    }
    let name = name.to_string_lossy();
    let ends =
        |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy() == name);
    if let Some(path) = paths.iter().find(ends) {
        return Found::One(path.clone());
    }
    let holds = |path: &&PathBuf| {
        let file = path.file_name().map(|file| file.to_string_lossy()).unwrap_or_default();
        provides_pictures(path) && file.to_lowercase().contains(&name.to_lowercase())
    };
    let mut found: Vec<PathBuf> = paths.iter().filter(holds).cloned().collect();
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => Found::One(path),
        (Some(path), false) => {
            found.push(path);
            Found::Several(found)
        }
        (None, _) => Found::None,
    }
}

/// The nodes of `paths` that may provide pictures: by-id first, then by-path, then the others by number.
pub(crate) fn by_preference(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.retain(|path| provides_pictures(path));
    paths.sort_by_key(|path| {
        let text = path.to_string_lossy();
        let rank = match () {
            () if text.contains("/by-id/") => 0,
            () if text.contains("/by-path/") => 1,
            () => 2,
        };
        let number = text.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
        (rank, if rank == 2 { number.unwrap_or(u32::MAX) } else { 0 }, path.clone())
    });
    paths
}

/// The kernel's names for nodes that are not cameras: image processors of the Pi 3, 4 and 5, the receiver of the Pi 5
/// (only libcamera can set it up), and codecs.
const NOT_CAMERAS: [&str; 4] = ["bcm2835-isp", "bcm2835-codec", "pispbe", "rp1-cfe"];

/// Whether a node with this kernel name may be a camera.
pub(crate) fn is_camera(kernel_name: &str) -> bool {
    !NOT_CAMERAS.iter().any(|part| kernel_name.starts_with(part))
}

fn provides_pictures(path: &Path) -> bool {
    let file = path.file_name().map(|file| file.to_string_lossy()).unwrap_or_default();
    match file.rsplit_once("-video-index") {
        Some((_, index)) => index == "0",
        None => file.starts_with("video"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Vec<PathBuf> {
        [
            "/dev/video10",
            "/dev/video2",
            "/dev/video0",
            "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0",
            "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_A1B2C3D4-video-index0",
            "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_A1B2C3D4-video-index1",
            "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_FFFF0000-video-index0",
            "/dev/vbi0",
        ]
        .map(PathBuf::from)
        .into()
    }

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(find(Path::new(name), &paths()), Found::One(expected.into()));
    }

    #[test]
    fn a_path_is_used_unchanged_and_a_name_is_looked_up() {
        check("/dev/video99", "/dev/video99");
        let id = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_A1B2C3D4-video-index";
        check("A1B2C3D4", &format!("{id}0"));
        check("a1b2c3d4", &format!("{id}0"));
        check("usb-046d_HD_Pro_Webcam_C920_A1B2C3D4-video-index1", &format!("{id}1"));
        check("usb-0:2:1.0", "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0");
        check("video0", "/dev/video0");
    }

    #[test]
    fn a_name_must_match_one_camera() {
        assert_eq!(find(Path::new("Logitech"), &paths()), Found::None);
        assert_eq!(find(Path::new("x"), &[]), Found::None);
        let Found::Several(both) = find(Path::new("C920"), &paths()) else { panic!() };
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn nodes_of_the_pi_itself_are_not_cameras() {
        for part in
            ["bcm2835-isp0-capture0", "bcm2835-codec-encode", "pispbe-output0", "rp1-cfe-csi2_ch0"]
        {
            assert!(!is_camera(part), "{part}");
        }
        for camera in ["HD Pro Webcam C920", "unicam-image", "vivid-000-vid-cap", ""] {
            assert!(is_camera(camera), "{camera}");
        }
    }

    #[test]
    fn persistent_names_come_first() {
        let sorted = by_preference(paths());
        let names: Vec<_> = sorted.iter().map(|path| path.to_string_lossy()).collect();
        assert_eq!(
            names,
            [
                "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_A1B2C3D4-video-index0",
                "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_FFFF0000-video-index0",
                "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0",
                "/dev/video0",
                "/dev/video2",
                "/dev/video10",
            ]
        );
    }
}
