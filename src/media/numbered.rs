//! Decides about numbered files: their names, their order, and which to remove.
//!
//! `/srv/out.ts` gives `/srv/out-00000042-20261121T080312Z.ts`. The number gives the order, because the clock may be
//! wrong; the time is the file's beginning by the clock, in UTC. Files of earlier runs count like new ones, so a crash
//! cannot make the directory grow without a limit.
//!
//! Does not: read directories or remove files; `io::numbered` does.

use std::collections::VecDeque;
use std::path::Path;

use crate::target::Numbered;

/// The most files that are counted. Older ones are left alone.
pub(crate) const FILES: usize = 100_000;

/// The name of numbered files, without number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Naming {
    stem: String,
    extension: String,
}

/// A file of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    pub(crate) number: u64,
    /// The digits `YYYYMMDDhhmmss` of its beginning.
    pub(crate) began: u64,
    pub(crate) bytes: u64,
}

impl Naming {
    /// The naming of files beside `path`. A name that is not UTF-8 is `output`.
    pub(crate) fn of(path: &Path) -> Self {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let extension = path.extension().and_then(|extension| extension.to_str());
        Self {
            stem: stem.unwrap_or("output").to_owned(),
            extension: extension.unwrap_or("ts").to_owned(),
        }
    }

    /// The name of `file`.
    pub(crate) fn name(&self, file: &File) -> String {
        let (date, time) = (file.began / 1_000_000, file.began % 1_000_000);
        let Self { stem, extension } = self;
        format!("{stem}-{:08}-{date:08}T{time:06}Z.{extension}", file.number)
    }

    /// The file with this name; `None` for every other name.
    pub(crate) fn read(&self, name: &str, bytes: u64) -> Option<File> {
        let rest = name.strip_prefix(&self.stem)?.strip_prefix('-')?;
        let (rest, extension) = rest.rsplit_once('.')?;
        let (number, began) = rest.split_once('-')?;
        let (date, time) = began.strip_suffix('Z')?.split_once('T')?;
        let (date, time): (u64, u64) = (date.parse().ok()?, time.parse().ok()?);
        let began = date.checked_mul(1_000_000)?.checked_add(time)?;
        let file = File { number: number.parse().ok()?, began, bytes };
        (extension == self.extension && self.name(&file) == name).then_some(file)
    }
}

/// The existing files, from the oldest to the newest.
#[derive(Debug)]
pub(crate) struct Files {
    files: VecDeque<File>,
    bytes: u64,
    max_files: usize,
    max_bytes: u64,
}

impl Files {
    /// The list of the files that were `found`, in any order.
    pub(crate) fn new(options: &Numbered, mut found: Vec<File>) -> Self {
        found.sort_unstable();
        let excess = found.len().saturating_sub(FILES);
        let files: VecDeque<File> = found.into_iter().skip(excess).collect();
        Self {
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
            max_files: options.max_files.unwrap_or(usize::MAX),
            max_bytes: options.max_bytes.unwrap_or(u64::MAX),
        }
    }

    /// The number of the next file.
    pub(crate) fn next_number(&self) -> u64 {
        self.files.back().map_or(1, |last| last.number.saturating_add(1))
    }

    /// The next file to remove, so that one more file has room, of which `bytes` are written. Call it until it returns
    /// `None`.
    pub(crate) fn pop(&mut self, bytes: u64) -> Option<File> {
        let has_room =
            self.files.len() < self.max_files && self.bytes.saturating_add(bytes) <= self.max_bytes;
        if has_room {
            return None;
        }
        let oldest = self.files.pop_front()?;
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        Some(oldest)
    }

    /// The bytes that one more file may have.
    pub(crate) fn room(&self) -> u64 {
        self.max_bytes.saturating_sub(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(max_files: Option<usize>, max_bytes: Option<u64>) -> Numbered {
        let path = "/srv/out.ts".into();
        Numbered { path, file_bytes: None, file_time: None, max_files, max_bytes }
    }

    fn file(number: u64, bytes: u64) -> File {
        File { number, began: 20_261_121_080_312, bytes }
    }

    #[test]
    fn a_name_reads_back_and_other_names_are_left_alone() {
        let naming = Naming::of(Path::new("/srv/out.ts"));
        assert_eq!(naming.name(&file(42, 7)), "out-00000042-20261121T080312Z.ts");
        for number in [0, 42, 123_456_789, u64::MAX] {
            let file = file(number, 7);
            assert_eq!(naming.read(&naming.name(&file), 7), Some(file));
        }
        for name in [
            "",
            "out.ts",
            "out-1.ts",
            "out-42-20261121T080312Z.ts",
            "out-00000042-20261121T080312Z.mp4",
            "out-00000042-20261121T080312Z.ts.part",
            "out-2-00000042-20261121T080312Z.ts",
            "out-00000042-20261121T080312.ts",
            "out-99999999999999999999-20261121T080312Z.ts",
            "out-00000042-99999999999999999999T080312Z.ts",
            "other-00000042-20261121T080312Z.ts",
        ] {
            assert_eq!(naming.read(name, 7), None, "{name}");
        }
    }

    /// Of the files found, gives the numbers that are removed for one more file of `bytes`, and the room it has.
    #[track_caller]
    fn check(options: &Numbered, found: &[File], bytes: u64, removed: &[u64], room: u64) {
        let mut files = Files::new(options, found.to_vec());
        let gone: Vec<u64> =
            std::iter::from_fn(|| files.pop(bytes)).map(|file| file.number).collect();
        assert_eq!((gone.as_slice(), files.room()), (removed, room));
    }

    #[test]
    fn the_oldest_files_are_removed_until_one_more_has_room() {
        let found = [file(9, 10), file(7, 10), file(8, 10)];
        check(&options(None, None), &found, 0, &[], u64::MAX - 30);
        check(&options(Some(4), None), &found, 0, &[], u64::MAX - 30);
        check(&options(Some(3), None), &found, 0, &[7], u64::MAX - 20);
        check(&options(Some(1), None), &found, 0, &[7, 8, 9], u64::MAX);
        check(&options(None, Some(30)), &found, 0, &[], 0);
        check(&options(None, Some(30)), &found, 1, &[7], 10);
        check(&options(None, Some(30)), &found, 30, &[7, 8, 9], 30);
        assert_eq!(Files::new(&options(None, None), found.to_vec()).next_number(), 10);
        assert_eq!(Files::new(&options(None, None), Vec::new()).next_number(), 1);
    }

    #[test]
    fn one_file_takes_at_most_half_of_the_room() {
        let most = |file_bytes, max_bytes| {
            Numbered { file_bytes, ..options(None, max_bytes) }.most_of_one()
        };
        assert_eq!(most(None, None), None);
        assert_eq!(most(Some(8), Some(10)), Some(5));
        assert_eq!(most(Some(3), Some(10)), Some(3));
        assert_eq!(most(Some(3), None), Some(3));
    }
}
