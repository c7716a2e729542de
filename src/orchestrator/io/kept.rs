//! Keeps the last good discovery list in the state directory, for the time when discovery fails.
//!
//! The first line says where the list came from (as a hash: the URL may hold a credential), so that a list of
//! another endpoint, or for another model, is never taken for it. The file is written whole, to a new file
//! that then takes the old one's name, and only when something changed: flash memory wears out.
//!
//! Does not: fetch lists.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::capacity::JSON_BODY;
use crate::http::{Fingerprint, Url};
use crate::orchestrator::DiscoveryList;

/// The largest file that is read: a list and its first line.
const FILE_LIMIT: u64 = JSON_BODY as u64 + 128;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("orchestrators") }
    }

    /// The list kept from one of these URLs; nothing where it is of another, or cannot be read.
    pub(super) fn read(&self, from: &[Url]) -> Option<DiscoveryList> {
        let bytes = read(&self.path)?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, list) = (bytes.get(..end)?, bytes.get(end + 1..)?);
        if !from.iter().any(|url| name_of(url).as_bytes() == line) {
            return None;
        }
        DiscoveryList::parse(list)
            .inspect_err(|error| log::warn!("{}: {error}", self.path.display()))
            .ok()
    }

    /// Keeps the list that came from this URL.
    pub(super) fn write(&self, from: &Url, list: &DiscoveryList) {
        let mut bytes = name_of(from).into_bytes();
        bytes.push(b'\n');
        bytes.extend(list.to_json());
        if read(&self.path).is_some_and(|old| old == bytes) {
            return;
        }
        if let Err(error) = write(&self.path, &bytes) {
            let path = self.path.display();
            log::warn!("{path}: the list of orchestrators cannot be kept ({error})");
        }
    }
}

fn name_of(url: &Url) -> String {
    Fingerprint::of(url.to_string().as_bytes()).to_string()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes));
    match read {
        Ok(_) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            log::warn!("{}: the list of orchestrators cannot be read ({error})", path.display());
            None
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn list(hosts: &[&str]) -> DiscoveryList {
        let urls: Vec<Url> = hosts.iter().map(|host| Url::parse_base(host, 1).unwrap()).collect();
        DiscoveryList::named(&urls)
    }

    /// A directory that is gone when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("kept-{}-{name}", std::process::id())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_list_reads_back_for_its_own_url_alone() {
        let directory = Scratch::new("own");
        let kept = Kept::new(&directory.0);
        let (a, b) = (url("https://d/list?key=hunter2"), url("https://d/list?key=other"));
        assert_eq!(kept.read(std::slice::from_ref(&a)), None);
        kept.write(&a, &list(&["x", "y"]));
        assert_eq!(kept.read(&[b.clone(), a]), Some(list(&["x", "y"])));
        assert_eq!(kept.read(&[b]), None);
        assert!(!String::from_utf8(fs::read(&kept.path).unwrap()).unwrap().contains("hunter2"));
    }

    #[test]
    fn the_same_list_is_not_written_again() {
        use std::os::unix::fs::MetadataExt;
        let directory = Scratch::new("same");
        let kept = Kept::new(&directory.0);
        let from = url("https://d/list");
        let inode = || fs::metadata(&kept.path).unwrap().ino();
        kept.write(&from, &list(&["x"]));
        let first = inode();
        kept.write(&from, &list(&["x"]));
        assert_eq!(inode(), first);
        kept.write(&from, &list(&["y"]));
        assert_ne!(inode(), first);
    }

    #[test]
    fn what_is_no_kept_list_is_none() {
        let directory = Scratch::new("torn");
        fs::create_dir_all(&directory.0).unwrap();
        let kept = Kept::new(&directory.0);
        let from = url("https://d/list");
        let name = name_of(&from);
        for content in
            [String::new(), name.clone(), format!("{name}\n"), format!("{name}\n[1"), "[]".into()]
        {
            fs::write(&kept.path, content).unwrap();
            assert_eq!(kept.read(std::slice::from_ref(&from)), None);
        }
        Kept::new(Path::new("/proc/nowhere")).write(&from, &list(&["x"]));
    }
}
