//! Caches the last good discovery list in the state directory, for use when discovery fails.
//!
//! The first line of the file has two values. The hash of the list's URL prevents the use of a list from another
//! endpoint or for another model; it is a hash because the URL may contain a credential. The zone of the endpoint
//! limits the addresses that the list may name. A damaged file is moved aside.
//!
//! Does not: fetch lists.

use std::path::Path;

use crate::http::{AnsweringPeer, Fingerprint, Url, Zone};
use crate::limits::JSON_BODY;
use crate::orchestrator::DiscoveryList;
use resilience::state_file::io::StateFile;

/// The largest accepted file: a list and the first line.
const FILE_LIMIT: u64 = JSON_BODY as u64 + 128;

/// The cached list.
#[derive(Debug, Clone)]
pub(super) struct ListCache {
    file: StateFile,
}

impl ListCache {
    pub(super) fn new(directory: &Path) -> Self {
        let what = "list of orchestrators";
        Self { file: StateFile::new(directory, "orchestrators", what, FILE_LIMIT) }
    }

    /// Reads the list if it came from one of these URLs; `None` if it did not or cannot be read.
    pub(super) fn read(&self, from: &[Url]) -> Option<DiscoveryList> {
        let bytes = self.file.read()?;
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (line, list) = bytes.split_at(end);
        let Some((name, zone)) = std::str::from_utf8(line).ok().and_then(source) else {
            self.file.set_aside("its first line");
            return None;
        };
        let list = DiscoveryList::parse(list)
            .inspect_err(|error| self.file.set_aside(&error.to_string()))
            .ok()?;
        let url = from.iter().find(|url| hash_of(url) == name)?;
        Some(list.followed(AnsweringPeer { url, zone }))
    }

    /// Stores a list that came from this peer.
    pub(super) fn write(&self, from: AnsweringPeer<'_>, list: &DiscoveryList) {
        let mut bytes = format!("{} {}\n", hash_of(from.url), from.zone.as_str()).into_bytes();
        bytes.extend(list.to_json());
        self.file.write(&bytes);
    }
}

/// Parses the first line: the hash and the zone. Without a zone, as in files of earlier versions, the zone is the
/// farthest.
fn source(line: &str) -> Option<(Fingerprint, Zone)> {
    let (name, zone) = line.split_once(' ').unwrap_or((line, Zone::Public.as_str()));
    Some((Fingerprint::parse(name)?, Zone::parse(zone)?))
}

fn hash_of(url: &Url) -> Fingerprint {
    Fingerprint::of(url.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn far(url: &Url) -> AnsweringPeer<'_> {
        AnsweringPeer { url, zone: Zone::Public }
    }

    fn list(hosts: &[&str]) -> DiscoveryList {
        let urls: Vec<Url> = hosts.iter().map(|host| Url::parse_base(host, 1).unwrap()).collect();
        DiscoveryList::named(&urls)
    }

    /// A directory that is removed when the test ends.
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
    fn a_list_reads_back_only_for_its_own_url() {
        let directory = Scratch::new("own");
        let kept = ListCache::new(&directory.0);
        let (a, b) = (url("https://d/list?key=hunter2"), url("https://d/list?key=other"));
        assert_eq!(kept.read(std::slice::from_ref(&a)), None);
        kept.write(far(&a), &list(&["x", "y"]));
        assert_eq!(kept.read(&[b.clone(), a]), Some(list(&["x", "y"])));
        assert_eq!(kept.read(&[b]), None);
        assert!(
            !String::from_utf8(fs::read(directory.0.join("orchestrators")).unwrap())
                .unwrap()
                .contains("hunter2")
        );
    }

    #[test]
    fn a_cached_list_names_hosts_no_nearer_than_its_peer() {
        let directory = Scratch::new("zone");
        let kept = ListCache::new(&directory.0);
        let from = url("https://d.lan/list");
        let read = || {
            let list = kept.read(std::slice::from_ref(&from)).unwrap();
            let urls =
                list.entries.iter().map(|entry| (entry.address.to_string(), entry.address.reach()));
            urls.collect::<Vec<_>>()
        };
        for (zone, expected) in [(Zone::Private, 2), (Zone::Public, 1)] {
            kept.write(AnsweringPeer { url: &from, zone }, &list(&["10.0.0.1", "x"]));
            assert_eq!(read().len(), expected);
            assert!(read().iter().all(|(_, reach)| *reach == zone));
        }
        // A list written by an earlier version.
        let path = directory.0.join("orchestrators");
        let written = fs::read_to_string(&path).unwrap().replace(" public\n", "\n");
        fs::write(&path, written).unwrap();
        assert_eq!(read(), [("https://x:1".to_owned(), Zone::Public)]);
    }

    #[test]
    fn a_damaged_list_is_moved_aside() {
        let directory = Scratch::new("torn");
        let kept = ListCache::new(&directory.0);
        let from = url("https://d/list");
        let name = hash_of(&from);
        kept.write(far(&from), &list(&["x", "y"]));
        let path = directory.0.join("orchestrators");
        let whole = fs::read(&path).unwrap();
        let garbage = [&b"\0\xff\x1b"[..], b"[]", b"0123\n[]", b"\n\n\n"].map(<[u8]>::to_vec);
        let cut = [0, 1, 63, 64, 65, whole.len() / 2 + 32, whole.len() - 1];
        let cut = cut.map(|at| whole[..at].to_vec());
        let more = [format!("{name}\n[1").into_bytes(), format!("{name}\n{{}}").into_bytes()];
        for content in [&garbage[..], &cut, &more].concat() {
            fs::write(&path, &content).unwrap();
            assert_eq!(kept.read(std::slice::from_ref(&from)), None);
            assert_eq!(fs::read(path.with_extension("torn")).unwrap(), content);
            assert!(!path.exists());
        }
        kept.write(far(&from), &list(&["x"]));
        assert_eq!(kept.read(&[from]), Some(list(&["x"])));
    }
}
