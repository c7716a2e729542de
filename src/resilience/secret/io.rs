//! Reads secrets from where they are kept: a file, the service manager's credentials, the environment.
//!
//! Does not: cache what it read, or watch for changes; call `read` again for the present value.

use std::env::VarError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::secret::{Secret, SecretSource};

/// The longest secret. Go's HTTP server accepts 1 MiB of headers, but proxies accept only 8 KiB.
const SECRET_BYTES: usize = 8 << 10;

/// The variable in which the service manager gives the path of its credentials' directory (systemd.exec).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Why a secret could not be read. It names the place of the secret, never the content.
#[derive(Debug)]
pub enum SecretError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// The environment variable is not set.
    Environment(String),
    /// `$CREDENTIALS_DIRECTORY` is not set: no service manager passed credentials to this process.
    NoCredentials(String),
    /// The content is empty, not UTF-8, longer than `SECRET_BYTES`, or not one line of text; or the path is not a regular file.
    Content(SecretSource),
    /// The secret has characters that this header's value cannot have.
    Header(HeaderName),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, _) => write!(f, "{}: secret cannot be read", path.display()),
            Self::Environment(name) => {
                write!(f, "environment variable {name} is not set; it must contain a secret")
            }
            Self::NoCredentials(name) => write!(
                f,
                "credential {name}: {CREDENTIALS_DIRECTORY} is not set; use LoadCredential= or a file"
            ),
            Self::Content(source) => {
                write!(f, "{source}: a secret is one line of text, at most {SECRET_BYTES} bytes")
            }
            Self::Header(name) => {
                write!(f, "header {name}: the secret has a character that a header cannot have")
            }
        }
    }
}

impl std::error::Error for SecretError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::Environment(_) | Self::NoCredentials(_) | Self::Content(_) | Self::Header(_) => {
                None
            }
        }
    }
}

/// Reads the current secret. White space around it is dropped, because editors end files with a newline.
pub fn read(source: &SecretSource) -> Result<Secret, SecretError> {
    let text = match source {
        SecretSource::Given(secret) => return Ok(secret.clone()),
        SecretSource::Environment(name) => {
            std::env::var(name).map_err(|error| of_variable(&error, name))?
        }
        SecretSource::File(path) => read_file(path, source)?,
        SecretSource::Credential(name) => {
            let directory = std::env::var_os(CREDENTIALS_DIRECTORY)
                .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
            read_file(&Path::new(&directory).join(name), source)?
        }
    };
    let text = text.trim();
    if text.is_empty() || text.len() > SECRET_BYTES || text.contains(['\n', '\r', '\0']) {
        return Err(SecretError::Content(source.clone()));
    }
    Ok(Secret::new(text))
}

fn of_variable(error: &VarError, name: &str) -> SecretError {
    match error {
        VarError::NotPresent => SecretError::Environment(name.to_owned()),
        VarError::NotUnicode(_) => SecretError::Content(SecretSource::Environment(name.to_owned())),
    }
}

/// Reads the current values of all these headers. Each value is marked sensitive, so that `Debug` does not print it.
pub fn read_headers(
    sources: &[(HeaderName, SecretSource)],
) -> Result<HeaderMap<HeaderValue>, SecretError> {
    let mut headers = HeaderMap::new();
    for (name, source) in sources {
        let mut value = HeaderValue::from_str(read(source)?.expose())
            .map_err(|_| SecretError::Header(name.clone()))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

fn read_file(path: &Path, source: &SecretSource) -> Result<String, SecretError> {
    let failed = |error| SecretError::File(path.to_owned(), error);
    // Checked before opening: opening a named pipe blocks until a writer opens it too.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(SecretError::Content(source.clone()));
    }
    let mut text = String::new();
    let limit = u64::try_from(SECRET_BYTES).unwrap_or(u64::MAX).saturating_add(8);
    match File::open(path).map_err(failed)?.take(limit).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(SecretError::Content(source.clone()))
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("secret-{}-{name}", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[track_caller]
    fn check(name: &str, content: &[u8], expected: Option<&str>) {
        let file = Scratch::new(name, content);
        let secret = read(&SecretSource::File(file.0.clone()));
        assert_eq!(secret.as_ref().ok().map(Secret::expose), expected, "{secret:?}");
    }

    #[test]
    fn a_secret_is_one_line_of_bounded_text() {
        check("plain", b"Bearer abc", Some("Bearer abc"));
        check("newline", b"  Bearer abc\r\n", Some("Bearer abc"));
        check("longest", &[b'x'; SECRET_BYTES], Some("x".repeat(SECRET_BYTES).as_str()));
        check("too-long", &[b'x'; SECRET_BYTES + 1], None);
        check("empty", b"\n", None);
        check("two-lines", b"a\nb", None);
        check("no-text", &[0xff, 0xfe], None);
    }

    #[test]
    fn an_error_names_the_place_without_the_secret() {
        let file = Scratch::new("header", "hunter2\u{7f}".as_bytes());
        let source = SecretSource::File(file.0.clone());
        let error = read_headers(&[(http::header::AUTHORIZATION, source)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "header authorization: the secret has a character that a header cannot have"
        );
        let gone = SecretSource::File("/nowhere/key".into());
        assert_eq!(read(&gone).unwrap_err().to_string(), "/nowhere/key: secret cannot be read");
        let unset = SecretSource::Environment("LIVEPEER_EDGE_NOT_SET".into());
        assert_eq!(
            read(&unset).unwrap_err().to_string(),
            "environment variable LIVEPEER_EDGE_NOT_SET is not set; it must contain a secret"
        );
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_not_reported_as_unset() {
        let error = of_variable(&VarError::NotUnicode("hunter2".into()), "KEY").to_string();
        assert!(error.starts_with("environment variable KEY: a secret is one line of text"));
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn headers_never_show_their_values() {
        let sources =
            [(http::header::AUTHORIZATION, SecretSource::Given(Secret::new("Bearer hunter2")))];
        let headers = read_headers(&sources).unwrap();
        assert_eq!(headers[http::header::AUTHORIZATION], "Bearer hunter2");
        assert!(!format!("{headers:?} {sources:?}").contains("hunter2"));
    }
}
