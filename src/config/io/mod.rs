//! Reads file and environment, and keeps the last working configuration.
//!
//! Does not: check values; [`super::resolve`] does.

mod kept;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::variables::has_prefix;
use super::{Complaint, Layers, Problem, Purpose, Resolved, resolve_all};
use resilience::fault::chain;

pub use kept::KeptConfig;

/// The largest file that is read. A whole example file is a hundredth of it.
const FILE_BYTES: u64 = 1 << 20;

/// Variables of the system that name the state directory.
const STATE_VARIABLES: [&str; 3] = ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"];

/// Why a configuration could not be loaded.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file is too long for a configuration.
    TooLong(PathBuf),
    /// An environment variable is not UTF-8.
    NotText(String),
    /// The configuration is wrong; at least one problem.
    Wrong(Vec<Problem>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => write!(f, "cannot read configuration {}", path.display()),
            Self::TooLong(path) => {
                write!(f, "{} is longer than {FILE_BYTES} bytes: no configuration", path.display())
            }
            Self::NotText(name) => write!(f, "environment variable {name} is not UTF-8"),
            Self::Wrong(problems) => match problems.as_slice() {
                [problem] => fmt::Display::fmt(problem, f),
                problems => {
                    write!(f, "{} problems in the configuration", problems.len())?;
                    problems.iter().try_for_each(|problem| write!(f, "\n{problem}"))
                }
            },
        }
    }
}

impl Error {
    /// One problem in one line: a refused value if there is one, else a missing key.
    pub fn first(&self) -> String {
        let is_there = |p: &&Problem| !matches!(p.complaint, Complaint::Missing { .. });
        match self {
            Self::Wrong(problems) => {
                let first = problems.iter().find(is_there).or(problems.first());
                first.map(ToString::to_string).unwrap_or_default()
            }
            Self::Read(..) | Self::TooLong(_) | Self::NotText(_) => chain(self),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::TooLong(_) | Self::NotText(_) | Self::Wrong(_) => None,
        }
    }
}

/// Loads the configuration from the file, if one is given, the environment of this process, and the keys and values of
/// the command line.
pub fn load(
    file: Option<&Path>,
    arguments: Vec<(String, String)>,
    purpose: Purpose,
) -> Result<Resolved, Error> {
    let file = match file {
        Some(path) => Some((path.display().to_string(), read(path)?)),
        None => None,
    };
    let layers = Layers { file, environment: environment()?, arguments };
    resolve_all(&layers, purpose).map_err(Error::Wrong)
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::Read(path.to_owned(), error);
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(Error::TooLong(path.to_owned()));
    }
    Ok(text)
}

/// The variables of the system that name the state directory.
fn state_variables() -> BTreeMap<String, String> {
    let text = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    STATE_VARIABLES.into_iter().filter_map(text).collect()
}

fn environment() -> Result<BTreeMap<String, String>, Error> {
    let ours = |name: &str| has_prefix(name) || STATE_VARIABLES.contains(&name);
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| ours(name))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Error::NotText(name)),
        })
        .collect()
}
