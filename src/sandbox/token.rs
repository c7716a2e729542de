//! Issues and checks auth tokens, which the orchestrator sends with the info and requires with every call.
//!
//! A token is an HMAC over its session id and expiration, as on go-livepeer, so issued tokens are not stored.
//!
//! Does not: read the clock.

use std::time::Duration;

use bytes::Bytes;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use livepeer_gateway::orchestrator::proto::AuthToken;

/// Makes and checks tokens with one secret key.
pub(crate) struct Tokens {
    key: hmac::Key,
}

/// Why a token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// The token was not issued by this sandbox, or was changed.
    Forged,
    /// The token has expired.
    Expired,
}

impl Tokens {
    /// `key` must be random.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// Makes a token for `session` that is valid for `validity` from `now` (time since 1970).
    pub(crate) fn make(&self, session: &str, now: Duration, validity: Duration) -> AuthToken {
        let expiration = i64::try_from(now.saturating_add(validity).as_secs()).unwrap_or(i64::MAX);
        let tag = hmac::sign(&self.key, &content(session, expiration));
        AuthToken {
            token: Bytes::copy_from_slice(tag.as_ref()),
            session_id: session.to_owned(),
            expiration,
        }
    }

    /// Fails unless this sandbox issued the token and it is still valid at `now` (time since 1970).
    pub(crate) fn check(&self, token: &AuthToken, now: Duration) -> Result<(), BadToken> {
        hmac::verify(&self.key, &content(&token.session_id, token.expiration), &token.token)
            .map_err(|_| BadToken::Forged)?;
        match u64::try_from(token.expiration) {
            Ok(expiration) if now.as_secs() < expiration => Ok(()),
            Ok(_) | Err(_) => Err(BadToken::Expired),
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(***)")
    }
}

/// Returns N random bytes. If the system gives none, logs a warning and returns zeros, since no secret of a sandbox has
/// any value.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        log::warn!("sandbox: cannot read random bytes from the system; using zeros");
    }
    bytes
}

/// A random id of 8 hexadecimal digits.
pub(crate) fn random_id() -> String {
    random::<4>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content(session: &str, expiration: i64) -> Vec<u8> {
    format!("{session}|{expiration}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unexpired_tokens_of_the_same_key_are_accepted() {
        let (now, half_hour) = (Duration::from_secs(1_800_000_000), Duration::from_secs(1800));
        let tokens = Tokens::new(&[7; 32]);
        let token = tokens.make("abc", now, half_hour);
        assert_eq!(tokens.check(&token, now), Ok(()));
        assert_eq!(tokens.check(&token, now + half_hour - Duration::from_secs(1)), Ok(()));
        assert_eq!(tokens.check(&token, now + half_hour), Err(BadToken::Expired));
        let later = AuthToken { expiration: token.expiration + 1, ..token.clone() };
        assert_eq!(tokens.check(&later, now), Err(BadToken::Forged));
        assert_eq!(Tokens::new(&[8; 32]).check(&token, now), Err(BadToken::Forged));
        assert_eq!(tokens.check(&AuthToken::default(), now), Err(BadToken::Forged));
    }
}
