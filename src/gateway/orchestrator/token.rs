//! Parses an access token, which holds all connection settings, and merges it with configured endpoints.
//!
//! A token is base64 (standard alphabet, padded) of a JSON object in which every key is optional. Parsing is strict:
//! a wrong type or an empty text is a mistake in the token. Unknown keys are ignored.
//!
//! A value in the token overrides the configured one. Orchestrators are then found in this order: by name, at the
//! discovery endpoint, at the signers (protocol.md, section 8).
//!
//! Does not: call any endpoint, or show the content of a token in an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use serde_json::{Map, Value};

use crate::http::Url;
use crate::limits::CANDIDATES;
use resilience::secret::{Secret, SecretSource};

/// The longest access token.
const TOKEN_BYTES: usize = 16 << 10;

/// The default port of an orchestrator (protocol.md, "words").
const ORCHESTRATOR_PORT: u16 = 8935;
/// The default port of a signer: that of https (go-livepeer `doc/remote-signer.md`).
const SIGNER_PORT: u16 = 443;

/// Headers for every call to an endpoint.
pub type Headers = Vec<(HeaderName, SecretSource)>;

/// The endpoints of orchestrators, signers and discovery, from the configuration, a token, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoints {
    /// Named orchestrators.
    pub orchestrators: Vec<Url>,
    /// Remote signers, in order of preference.
    pub signers: Vec<Url>,
    /// Headers for the signers.
    pub signer_headers: Headers,
    /// The discovery endpoint, which serves a list of orchestrators.
    pub discovery: Option<Url>,
    /// Headers for the discovery endpoint.
    pub discovery_headers: Headers,
}

/// One strategy to find orchestrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryStrategy<'a> {
    /// Use these orchestrators.
    Named(&'a [Url]),
    /// Fetch the list of a discovery endpoint.
    Discovery(&'a Url, &'a Headers),
    /// Fetch the list of a signer, at `/discover-orchestrators`.
    Signer(&'a Url, &'a Headers),
}

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than 16 KiB.
    #[error("access token is longer than {TOKEN_BYTES} bytes")]
    TooLong,
    /// Not base64 of the standard alphabet with padding.
    #[error("access token is not base64; copy it whole")]
    Base64,
    /// Not a JSON object.
    #[error("access token does not contain a JSON object; copy it whole")]
    Json,
    /// The value of this key has a wrong type, is empty, or is not a URL.
    #[error("access token: `{0}` is not usable; ask for a new token")]
    Value(&'static str),
    /// A header under this key has an invalid name or value.
    #[error("access token: `{0}` contains an invalid header; ask for a new token")]
    Header(&'static str),
}

impl Endpoints {
    /// Parses the endpoints in a token.
    pub fn from_token(token: &Secret) -> Result<Self, TokenError> {
        let text = token.expose().trim();
        if text.len() > TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let json = STANDARD.decode(text).map_err(|_| TokenError::Base64)?;
        let map: Map<String, Value> =
            serde_json::from_slice(&json).map_err(|_| TokenError::Json)?;
        let orchestrators = match value(&map, "orchestrators") {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() <= CANDIDATES => items
                .iter()
                .map(|item| base_url("orchestrators", item, ORCHESTRATOR_PORT))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(TokenError::Value("orchestrators")),
        };
        let signer =
            value(&map, "signer").map(|item| base_url("signer", item, SIGNER_PORT)).transpose()?;
        let discovery = value(&map, "discovery").map(|item| whole_url("discovery", item));
        Ok(Self {
            orchestrators,
            signers: signer.into_iter().collect(),
            signer_headers: headers(&map, "signer_headers")?,
            discovery: discovery.transpose()?,
            discovery_headers: headers(&map, "discovery_headers")?,
        })
    }

    /// Fills the values that are missing here with those of `given`.
    #[must_use]
    pub fn or(self, given: Self) -> Self {
        fn first<T>(ours: Vec<T>, given: Vec<T>) -> Vec<T> {
            if ours.is_empty() { given } else { ours }
        }
        Self {
            orchestrators: first(self.orchestrators, given.orchestrators),
            signers: first(self.signers, given.signers),
            signer_headers: first(self.signer_headers, given.signer_headers),
            discovery: self.discovery.or(given.discovery),
            discovery_headers: first(self.discovery_headers, given.discovery_headers),
        }
    }

    /// The strategies to find orchestrators, in the order to try them.
    pub fn strategies(&self) -> Vec<DiscoveryStrategy<'_>> {
        let named = (!self.orchestrators.is_empty())
            .then_some(DiscoveryStrategy::Named(&self.orchestrators));
        let list = self
            .discovery
            .as_ref()
            .map(|url| DiscoveryStrategy::Discovery(url, &self.discovery_headers));
        let signers =
            self.signers.iter().map(|url| DiscoveryStrategy::Signer(url, &self.signer_headers));
        named.into_iter().chain(list).chain(signers).collect()
    }
}

/// The value of `key`; `None` if it is absent or `null`.
fn value<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

fn text<'a>(key: &'static str, value: &'a Value) -> Result<&'a str, TokenError> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
    text.ok_or(TokenError::Value(key))
}

fn base_url(key: &'static str, value: &Value, port: u16) -> Result<Url, TokenError> {
    Url::parse_base(text(key, value)?, port).map_err(|_| TokenError::Value(key))
}

/// Parses the URL of a discovery endpoint, which may have a path and a query.
fn whole_url(key: &'static str, value: &Value) -> Result<Url, TokenError> {
    let text = text(key, value)?;
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("https://{text}"))
    };
    url.map_err(|_| TokenError::Value(key))
}

fn headers(map: &Map<String, Value>, key: &'static str) -> Result<Headers, TokenError> {
    let headers = match value(map, key) {
        None => return Ok(Vec::new()),
        Some(Value::Object(headers)) => headers,
        Some(_) => return Err(TokenError::Value(key)),
    };
    let header = |(name, value): (&String, &Value)| {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| TokenError::Header(key))?;
        let value = text(key, value)?;
        http::HeaderValue::try_from(value).map_err(|_| TokenError::Header(key))?;
        Ok((name, SecretSource::Given(Secret::new(value))))
    };
    headers.iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(json: &Value) -> Secret {
        Secret::new(STANDARD.encode(json.to_string()))
    }

    fn url(text: &str) -> Url {
        Url::parse_base(text, ORCHESTRATOR_PORT).unwrap()
    }

    fn given(secret: &str) -> Headers {
        vec![(http::header::AUTHORIZATION, SecretSource::Given(Secret::new(secret)))]
    }

    #[test]
    fn a_token_contains_all_settings() {
        let read = Endpoints::from_token(&token(&json!({
            "orchestrators": ["https://a.example:1/", "b.example"],
            "signer": "signer.example",
            "signer_headers": {"Authorization": "Bearer x"},
            "discovery": "https://d.example/list?team=1",
            "discovery_headers": {"authorization": "Bearer y"},
            "from": "the future",
        })));
        let expected = Endpoints {
            orchestrators: vec![url("https://a.example:1"), url("https://b.example:8935")],
            signers: vec![url("https://signer.example:443")],
            signer_headers: given("Bearer x"),
            discovery: Some(Url::parse("https://d.example/list?team=1").unwrap()),
            discovery_headers: given("Bearer y"),
        };
        assert_eq!(read, Ok(expected));
        assert_eq!(Endpoints::from_token(&token(&json!({}))), Ok(Endpoints::default()));
        assert_eq!(
            Endpoints::from_token(&token(&json!({"signer": null}))),
            Ok(Endpoints::default())
        );
    }

    #[track_caller]
    fn check(json: Value, expected: TokenError) {
        assert_eq!(Endpoints::from_token(&token(&json)), Err(expected), "{json}");
    }

    #[test]
    fn wrong_types_and_empty_texts_are_refused() {
        check(json!([]), TokenError::Json);
        check(json!("signer"), TokenError::Json);
        for wrong in
            [json!(""), json!("  "), json!(1), json!([]), json!({}), json!(true), json!("ftp://x")]
        {
            check(json!({"signer": wrong}), TokenError::Value("signer"));
            check(json!({"discovery": wrong}), TokenError::Value("discovery"));
            check(json!({"orchestrators": [wrong]}), TokenError::Value("orchestrators"));
        }
        check(json!({"orchestrators": "https://a"}), TokenError::Value("orchestrators"));
        check(
            json!({"orchestrators": vec!["a"; CANDIDATES + 1]}),
            TokenError::Value("orchestrators"),
        );
        check(json!({"signer": "https://u:hunter2@s"}), TokenError::Value("signer"));
        check(json!({"signer": "https://s?x=1"}), TokenError::Value("signer"));
        for key in ["signer_headers", "discovery_headers"] {
            check(json!({key: ["a"]}), TokenError::Value(key));
            check(json!({key: {"a": 1}}), TokenError::Value(key));
            check(json!({key: {"a": ""}}), TokenError::Value(key));
            check(json!({key: {"a b": "c"}}), TokenError::Header(key));
            check(json!({key: {"a": "b\r\nc: d"}}), TokenError::Header(key));
        }
    }

    #[track_caller]
    fn check_text(text: &str, expected: TokenError) {
        assert_eq!(Endpoints::from_token(&Secret::new(text)), Err(expected));
    }

    #[test]
    fn each_malformed_token_has_its_error() {
        check_text("", TokenError::Json);
        check_text("e30", TokenError::Base64);
        check_text("e3-0", TokenError::Base64);
        check_text("{\"signer\":\"x\"}", TokenError::Base64);
        check_text("bm8ganNvbg==", TokenError::Json);
        check_text(&"A".repeat(TOKEN_BYTES + 1), TokenError::TooLong);
        assert!(Endpoints::from_token(&Secret::new(" e30=\n")).is_ok());
    }

    #[test]
    fn the_token_overrides_value_by_value() {
        let theirs = Endpoints {
            orchestrators: vec![url("a")],
            signers: vec![url("s1"), url("s2")],
            signer_headers: given("theirs"),
            discovery: Some(url("d")),
            discovery_headers: given("theirs"),
        };
        assert_eq!(Endpoints::default().or(theirs.clone()), theirs);
        let ours = Endpoints {
            signers: vec![url("s3")],
            discovery: Some(url("e")),
            ..Endpoints::default()
        };
        let both = ours.clone().or(theirs.clone());
        assert_eq!(both, Endpoints { signers: ours.signers, discovery: ours.discovery, ..theirs });
    }

    #[test]
    fn orchestrators_are_found_by_name_then_discovery_then_signer() {
        let all = Endpoints {
            orchestrators: vec![url("a")],
            signers: vec![url("s1"), url("s2")],
            signer_headers: given("s"),
            discovery: Some(url("d")),
            discovery_headers: given("d"),
        };
        let (d, s) = (given("d"), given("s"));
        let (named, at) = ([url("a")], [url("d"), url("s1"), url("s2")]);
        let expected = [
            DiscoveryStrategy::Named(&named),
            DiscoveryStrategy::Discovery(&at[0], &d),
            DiscoveryStrategy::Signer(&at[1], &s),
            DiscoveryStrategy::Signer(&at[2], &s),
        ];
        assert_eq!(all.strategies(), expected);
        assert_eq!(Endpoints::default().strategies(), []);
    }

    #[test]
    fn debug_hides_a_token_and_hostile_tokens_do_not_panic() {
        let whole = token(&json!({"signer": "s", "signer_headers": {"authorization": "hunter2"}}));
        let read = Endpoints::from_token(&whole).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
        let bytes = whole.expose().as_bytes();
        for at in 0..bytes.len() {
            let _ = Endpoints::from_token(&Secret::new(&whole.expose()[..at]));
            for value in [b'A', b'/', b'=', b'~'] {
                let mut bytes = bytes.to_vec();
                bytes[at] = value;
                let _ = Endpoints::from_token(&Secret::new(String::from_utf8(bytes).unwrap()));
            }
        }
    }
}
