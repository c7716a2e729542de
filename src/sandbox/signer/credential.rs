//! Identifies the caller of the signer by the configured header.
//!
//! A missing header is refused with 401 and a wrong value with 403, as by the proxies in front of real signers.
//!
//! Does not: read other headers.

use crate::options::SignerOptions;
use crate::signer::SignerRefusal;

/// The owner of the credential in the required header; empty if no header is required.
pub(crate) fn identity(
    options: &SignerOptions,
    value: Option<&str>,
) -> Result<String, SignerRefusal> {
    let Some(header) = &options.header else { return Ok(String::new()) };
    let Some(value) = value else {
        return Err(SignerRefusal::new(401, format!("missing header {header}")));
    };
    let known = options.credentials.iter().find(|credential| credential.value == value);
    known.map(|credential| credential.owner.clone()).ok_or_else(|| {
        // Some servers repeat the secret in their answer; the gateway must not print it.
        SignerRefusal::new(403, format!("unknown credential {value}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credential;

    #[test]
    fn only_known_credentials_are_accepted() {
        let credential = |value: &str| Credential { value: value.into(), owner: "me".into() };
        let mut options = SignerOptions {
            header: Some("Authorization".into()),
            credentials: vec![credential("Bearer a"), credential("Bearer b")],
            ..SignerOptions::default()
        };
        let check = |options: &SignerOptions, value, expected: Result<&str, u16>| {
            let found = identity(options, value);
            assert_eq!(found.as_deref().map_err(|refusal| refusal.status), expected);
        };
        check(&options, Some("Bearer b"), Ok("me"));
        check(&options, Some("Bearer c"), Err(403));
        check(&options, Some(""), Err(403));
        check(&options, None, Err(401));
        options.header = None;
        check(&options, None, Ok(""));
    }
}
