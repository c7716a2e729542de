//! A text that is never printed, such as a payment, a credential or a signer header, and the place from which such a
//! text is read.
//!
//! Does not: overwrite the memory of a secret when it is dropped.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub mod io;

/// A secret text. `Debug` and `Display` print `***`; only [`Secret::expose`] returns the text, so that each
/// use can be found by that name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`, which is not printed from here on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Use it only for what is sent to a peer; do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The place of a secret, from which it can be read again when it changes. The command line is never such a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The secret itself, as part of an access token.
    Given(Secret),
    /// A file that holds only the secret.
    File(PathBuf),
    /// A file in `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredential=`).
    Credential(String),
    /// An environment variable.
    Environment(String),
}

/// The error for a text that does not name the place of a secret. It does not contain the text, which may be the
/// secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSource;

impl fmt::Display for NoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "does not name the place of a secret; write file:/path, credential:NAME or env:VARIABLE, never the secret itself",
        )
    }
}

impl std::error::Error for NoSource {}

impl FromStr for SecretSource {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        let (kind, rest) = text.split_once(':').ok_or(NoSource)?;
        let is_name = !rest.is_empty() && !rest.contains(['/', '=', '\0']);
        match kind {
            "file" if rest.starts_with('/') && !rest.contains('\0') => Ok(Self::File(rest.into())),
            "credential" if is_name && rest != ".." && rest != "." => {
                Ok(Self::Credential(rest.to_owned()))
            }
            "env" if is_name => Ok(Self::Environment(rest.to_owned())),
            _ => Err(NoSource),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("given secret"),
            Self::File(path) => path.display().fmt(f),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_kind() {
        let check = |text: &str, expected| assert_eq!(text.parse(), expected, "{text}");
        check("file:/run/key", Ok(SecretSource::File("/run/key".into())));
        check("credential:signer", Ok(SecretSource::Credential("signer".into())));
        check("env:KEY", Ok(SecretSource::Environment("KEY".into())));
        for wrong in [
            "",
            "hunter2",
            "Bearer abc",
            "file:key",
            "file:",
            "env:",
            "env:A=B",
            "credential:",
            "credential:../key",
            "credential:..",
            "token:abc",
        ] {
            check(wrong, Err(NoSource));
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
