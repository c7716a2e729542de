//! The outputs as written, and the rules between the keys of one output.
//!
//! `[output]`, the environment and the arguments describe one output; each `[[output]]` table describes one more.
//!
//! Does not: open outputs, or read credentials.

use std::path::PathBuf;
use std::time::Duration;

use super::draft::{Objection, missing};
use super::options::{Output, StreamOf};
use super::problem::{Complaint, Origin, Problem};
use media::{Address, Feed, Numbered, StreamTarget, Target, is_mp4, stream};
use resilience::secret::SecretSource;

/// The most outputs: each has a thread and a queue.
pub(super) const MOST: usize = 8;

/// One output as written.
#[derive(Debug, Default)]
pub(super) struct DraftOutput {
    pub(super) kind: Option<OutputKind>,
    pub(super) name: Option<String>,
    pub(super) stream: StreamOf,
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
    pub(super) credential: Option<SecretSource>,
    pub(super) fragment: Option<String>,
    pub(super) feed: Feed,
    pub(super) file_bytes: Option<u64>,
    pub(super) file_time: Option<Duration>,
    pub(super) max_files: Option<usize>,
    pub(super) max_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputKind {
    File,
    Stdout,
    Display,
    Rtmp,
    Rtsp,
    Srt,
    Udp,
    Pipeline,
}

impl DraftOutput {
    /// Whether this output writes to standard output.
    pub(super) fn is_stdout(&self) -> bool {
        match self.kind {
            Some(kind) => kind == OutputKind::Stdout,
            None => self.path.as_deref() == Some("-"),
        }
    }

    /// The output, which is the `number`th one; `None` if nothing is to be written. The error is every
    /// objection.
    pub(super) fn finish(self, number: usize) -> Result<Option<Output>, Vec<Objection>> {
        let kind = match (self.kind, self.path.as_deref()) {
            (Some(kind), _) => kind,
            (None, Some("-")) => OutputKind::Stdout,
            (None, Some(path)) if !path.is_empty() => OutputKind::File,
            (None, _) if self.url.is_some() || self.credential.is_some() => {
                return Err(vec![missing("output.kind", "an output with a URL needs it")]);
            }
            (None, _) if self.fragment.is_some() => {
                return Err(vec![missing("output.kind", "an output with a fragment needs it")]);
            }
            (None, _) => return Ok(None),
        };
        let mut objections = self.unused(kind);
        let (name, stream) = (self.name.clone(), self.stream);
        let target = match self.target(kind) {
            Ok(target) if objections.is_empty() => target,
            Ok(_) => return Err(objections),
            Err(objection) => {
                objections.push(objection);
                return Err(objections);
            }
        };
        let name = name.unwrap_or_else(|| match target.path() {
            Some(path) => path.display().to_string(),
            None => format!("{}-{number}", target.kind()),
        });
        Ok(Some(Output { name, stream, target }))
    }

    /// Objections to keys that this kind does not use, so that a key at the wrong output is noticed.
    fn unused(&self, kind: OutputKind) -> Vec<Objection> {
        use OutputKind::{File, Pipeline, Rtmp, Rtsp, Srt, Udp};
        let is_of = |kinds: &[OutputKind]| kinds.contains(&kind);
        let path = self.path.as_deref().is_some_and(|path| !path.is_empty() && path != "-");
        let rows: [(&'static str, bool, &[OutputKind]); 9] = [
            ("output.path", path, &[File]),
            ("output.url", self.url.is_some(), &[Rtmp, Rtsp, Srt, Udp]),
            ("output.credential", self.credential.is_some(), &[Rtmp, Rtsp, Srt]),
            ("output.fragment", self.fragment.is_some(), &[Pipeline]),
            ("output.feed", self.feed != Feed::default(), &[Pipeline]),
            ("output.file-size", self.file_bytes.is_some(), &[File]),
            ("output.file-time", self.file_time.is_some(), &[File]),
            ("output.max-files", self.max_files.is_some(), &[File]),
            ("output.max-size", self.max_bytes.is_some(), &[File]),
        ];
        let unused = rows.into_iter().filter(|(_, is_set, kinds)| *is_set && !is_of(kinds));
        let wrong = || Complaint::Wrong("is not used by this kind of output".to_owned());
        unused.map(|(key, ..)| (key, wrong())).collect()
    }

    fn target(self, kind: OutputKind) -> Result<Target, Objection> {
        match kind {
            OutputKind::Stdout => Ok(Target::Stdout),
            OutputKind::File => self.file(),
            OutputKind::Display => Ok(Target::Stream(StreamTarget::Display)),
            OutputKind::Pipeline => {
                let Self { fragment, feed, .. } = self;
                fragment
                    .map(|fragment| Target::Stream(StreamTarget::Pipeline { fragment, feed }))
                    .ok_or_else(|| {
                        missing("output.fragment", "output.kind = \"pipeline\" needs it")
                    })
            }
            OutputKind::Udp => {
                let url = self.url.unwrap_or_default();
                let place = url.strip_prefix("udp://").map(|place| place.trim_end_matches('/'));
                let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
                place
                    .filter(|place| {
                        place
                            .rsplit_once(':')
                            .is_some_and(|(host, port)| !host.is_empty() && is_port(port))
                    })
                    .map(|place| Target::Udp(place.to_owned()))
                    .ok_or_else(|| wrong_url("udp://HOST:PORT"))
            }
            OutputKind::Rtmp => {
                self.address(StreamTarget::Rtmp, "rtmp://HOST/APP/STREAM, or rtmps://")
            }
            OutputKind::Rtsp => self.address(StreamTarget::Rtsp, "rtsp://HOST/PATH, or rtsps://"),
            OutputKind::Srt => {
                self.address(StreamTarget::Srt, "srt://HOST:PORT, or srt://:PORT?mode=listener")
            }
        }
    }

    fn file(self) -> Result<Target, Objection> {
        let Self { path, file_bytes, file_time, max_files, max_bytes, .. } = self;
        let path = path
            .filter(|path| !path.is_empty() && path != "-")
            .map(PathBuf::from)
            .ok_or_else(|| missing("output.path", "output.kind = \"file\" needs it"))?;
        let is_numbered = file_bytes.is_some()
            || file_time.is_some()
            || max_files.is_some()
            || max_bytes.is_some();
        if is_numbered && file_bytes.is_none() && file_time.is_none() && max_bytes.is_none() {
            return Err(missing(
                "output.file-time",
                "output.max-files needs it, or output.file-size",
            ));
        }
        Ok(match is_numbered || is_mp4(&path) {
            true => {
                Target::Numbered(Numbered { path, file_bytes, file_time, max_files, max_bytes })
            }
            false => Target::File(path),
        })
    }

    fn address(self, of: fn(Address) -> StreamTarget, form: &str) -> Result<Target, Objection> {
        let address = match (self.url, self.credential) {
            (Some(_), Some(_)) => {
                let reason = "would not be used; output.credential holds the whole URL";
                return Err(("output.url", Complaint::Wrong(reason.to_owned())));
            }
            (None, None) => {
                return Err(missing(
                    "output.url",
                    "this kind of output needs it, or output.credential",
                ));
            }
            (None, Some(place)) => return Ok(Target::Stream(of(Address::Secret(place)))),
            (Some(url), None) => url,
        };
        let target = of(Address::Plain(address.clone()));
        if !stream::is_address(&address, stream::schemes(&target)) {
            return Err(wrong_url(form));
        }
        if stream::has_secret(&address) {
            let reason =
                "has a password: put the whole URL into a file, and name that in output.credential";
            return Err(("output.url", Complaint::Wrong(reason.to_owned())));
        }
        Ok(Target::Stream(target))
    }
}

fn wrong_url(form: &str) -> Objection {
    ("output.url", Complaint::Wrong(format!("must be {form}")))
}

/// Problems of outputs beside each other: too many, or two with the same file or name. `origin` returns where a key of
/// the output with this number is.
pub(super) fn repeated(outputs: &[Output], origin: impl Fn(usize, &str) -> Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, output) in outputs.iter().enumerate() {
        let is_again = output.target.path().is_some()
            && outputs.iter().take(number).any(|other| other.target.path() == output.target.path());
        let has_name = outputs.iter().take(number).any(|other| other.name == output.name);
        let (key, reason) = match (number == MOST, is_again, has_name) {
            (true, ..) => ("output", format!("at most {MOST} outputs are possible")),
            (false, true, _) => ("output.path", "another output writes there too".to_owned()),
            (false, false, true) => ("output.name", "another output has this name".to_owned()),
            (false, false, false) => continue,
        };
        let (origin, complaint) = (origin(number, key), Complaint::Wrong(reason));
        problems.push(Problem { origin, key: key.to_owned(), complaint });
    }
    problems
}
