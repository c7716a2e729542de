//! Asks the kernel for the free space of a disk.
//!
//! Does not: write; a disk with free space may still be read-only.

use std::path::Path;

use gio::prelude::*;

/// The bytes that are free on the disk of `path`, which must exist. May block while a network disk does not answer.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let file = gio::File::for_path(path);
    let info =
        file.query_filesystem_info(gio::FILE_ATTRIBUTE_FILESYSTEM_FREE, gio::Cancellable::NONE);
    Some(info.ok()?.attribute_uint64(gio::FILE_ATTRIBUTE_FILESYSTEM_FREE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_free_bytes_and_a_missing_path_has_none() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert_eq!(free_bytes(Path::new("/no/such/path")), None);
    }
}
