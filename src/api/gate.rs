//! Decides which requests are allowed: by the host that a request names, the page that sends it, and the token.
//!
//! | check | against |
//! |---|---|
//! | `Host` is an IP address, `localhost` or this device's name | a name of another site that resolves to this device (DNS rebinding) |
//! | `Origin`, where present, is this host | a page of another site that posts or reads |
//! | `Sec-Fetch-Site`, where present, is `same-origin` or `none` | a page of another site that embeds a picture or a stream |
//! | the token, where one is configured | everybody else on the network |
//!
//! Programs send neither `Origin` nor `Sec-Fetch-Site`. A `Host` that is an IP address is safe, whichever address it
//! is: rebinding needs a name. The page and its files need no token and may be opened by a link of another site; the page
//! asks for the token itself.
//!
//! Does not: count failed tokens; a token has at least 16 bytes.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap};
use http::request::Parts;

use super::refusal::Refusal;
use resilience::secret::Secret;

/// What a path reveals or does; it decides which checks apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Nothing private: whether the program answers, and the page, which is the same for every client.
    Nothing,
    /// The state of the agent, its video, or a change.
    Private,
}

/// The rules of one API.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    /// Names of this device, in lower case.
    names: Vec<String>,
    token: Option<Secret>,
}

impl Gate {
    /// The gate of a device with this host name. Each request must carry the token, if there is one.
    pub(super) fn new(host_name: Option<&str>, token: Option<Secret>) -> Self {
        let mut names = vec!["localhost".to_owned()];
        if let Some(name) = host_name.map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            names.push(format!("{name}.local"));
            names.push(name);
        }
        Self { names, token }
    }

    /// Checks that the request names this device. Call it before anything else.
    pub(super) fn host(&self, head: &Parts) -> Result<(), Refusal> {
        let host = only(&head.headers, header::HOST)?.ok_or(Refusal::Host)?;
        // A request to a proxy names its host in the path as well.
        let both = [Some(host), head.uri.authority().map(http::uri::Authority::as_str)];
        match both.into_iter().flatten().all(|host| self.is_own(host)) {
            true => Ok(()),
            false => Err(Refusal::Host),
        }
    }

    /// Checks who sends the request for a path of this exposure.
    pub(super) fn sender(&self, head: &Parts, exposure: Exposure) -> Result<(), Refusal> {
        if exposure == Exposure::Nothing {
            return Ok(());
        }
        if !is_of_this_site(&head.headers) {
            return Err(Refusal::Origin);
        }
        match &self.token {
            Some(token) if !carries(&head.headers, token) => Err(Refusal::Token),
            Some(_) | None => Ok(()),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || self.names.iter().any(|own| own.eq_ignore_ascii_case(name.trim_end_matches('.')))
    }
}

/// The value of a header that may be there once; `None` if it is absent.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::Host),
        (Some(_), Some(_)) => Err(Refusal::Host),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether no header shows that a page of another site sent the request.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_own_origin = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        place.is_some_and(|place| place.eq_ignore_ascii_case(host))
    });
    let is_own_site = headers
        .get_all("sec-fetch-site")
        .iter()
        .all(|site| ["same-origin", "none"].iter().any(|own| site.as_bytes() == own.as_bytes()));
    is_own_origin && is_own_site
}

/// Whether the request carries the token: as `Bearer`, or as the password of any user.
fn carries(headers: &HeaderMap, token: &Secret) -> bool {
    let Some(given) = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes) else {
        return false;
    };
    let behind = |scheme: &[u8]| {
        let (head, rest) = given.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest.trim_ascii())
    };
    if let Some(given) = behind(b"bearer ") {
        return is_equal(given, token.expose().as_bytes());
    }
    let Some(pair) = behind(b"basic ").and_then(|pair| STANDARD.decode(pair).ok()) else {
        return false;
    };
    let password = pair.iter().position(|&byte| byte == b':').and_then(|at| pair.get(at + 1..));
    password.is_some_and(|password| is_equal(password, token.expose().as_bytes()))
}

/// Compares in a time that depends on the lengths alone.
fn is_equal(given: &[u8], expected: &[u8]) -> bool {
    let differ =
        given.iter().zip(expected).fold(0, |differ, (a, b)| std::hint::black_box(differ | (a ^ b)));
    given.len() == expected.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse battery";

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/status");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn gate(token: Option<&str>) -> Gate {
        Gate::new(Some("Camera-7\n"), token.map(Secret::new))
    }

    #[track_caller]
    fn check_host(headers: &[(&str, &str)], expected: bool) {
        assert_eq!(gate(None).host(&head(headers)).is_ok(), expected, "{headers:?}");
    }

    #[test]
    fn a_host_is_an_address_or_a_name_of_this_device() {
        for own in [
            "localhost",
            "LOCALHOST:8787",
            "localhost.",
            "127.0.0.1:8787",
            "127.0.0.1",
            "[::1]:8787",
            "[::1]",
            "192.168.1.7:80",
            "camera-7:8787",
            "camera-7.local",
        ] {
            check_host(&[("host", own)], true);
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "camera-70",
            "local",
            ":8787",
            "[::1",
            "[localhost]",
            "127.0.0.1:8787:80",
        ] {
            check_host(&[("host", other)], false);
        }
        check_host(&[], false);
        check_host(&[("host", "localhost"), ("host", "localhost")], false);
    }

    #[test]
    fn a_host_in_the_path_counts_too() {
        let request =
            http::Request::builder().uri("http://evil.example/").header("host", "localhost");
        let head = request.body(()).unwrap().into_parts().0;
        assert_eq!(gate(None).host(&head), Err(Refusal::Host));
    }

    #[track_caller]
    fn check_sender(token: Option<&str>, headers: &[(&str, &str)], expected: Result<(), Refusal>) {
        let all: Vec<_> = [("host", "localhost:8787")].iter().chain(headers).copied().collect();
        assert_eq!(gate(token).sender(&head(&all), Exposure::Private), expected, "{headers:?}");
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let refused = Err(Refusal::Origin);
        check_sender(None, &[], Ok(()));
        check_sender(None, &[("origin", "http://localhost:8787")], Ok(()));
        check_sender(None, &[("origin", "https://LOCALHOST:8787")], Ok(()));
        check_sender(None, &[("sec-fetch-site", "same-origin")], Ok(()));
        check_sender(None, &[("sec-fetch-site", "none")], Ok(()));
        check_sender(None, &[("origin", "http://localhost:8788")], refused.clone());
        check_sender(None, &[("origin", "http://evil.example")], refused.clone());
        check_sender(None, &[("origin", "null")], refused.clone());
        check_sender(None, &[("origin", "localhost:8787")], refused.clone());
        check_sender(None, &[("sec-fetch-site", "cross-site")], refused.clone());
        check_sender(None, &[("sec-fetch-site", "same-site")], refused.clone());
        let both = [("origin", "http://localhost:8787"), ("origin", "http://evil.example")];
        check_sender(None, &both, refused);
    }

    #[test]
    fn a_token_is_carried_in_either_way() {
        let refused = Err(Refusal::Token);
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let token = Some(TOKEN);
        check_sender(token, &[("authorization", &format!("Bearer {TOKEN}"))], Ok(()));
        check_sender(token, &[("authorization", &format!("bearer {TOKEN}"))], Ok(()));
        check_sender(token, &[("authorization", &basic(&format!("admin:{TOKEN}")))], Ok(()));
        check_sender(token, &[("authorization", &basic(&format!(":{TOKEN}")))], Ok(()));
        check_sender(token, &[], refused.clone());
        for wrong in ["Bearer", "Bearer ", "Bearer correct horse batterx", "Basic x", TOKEN] {
            check_sender(token, &[("authorization", wrong)], refused.clone());
        }
        check_sender(token, &[("authorization", &format!("Bearer {TOKEN}y"))], refused.clone());
        check_sender(token, &[("authorization", &basic(TOKEN))], refused);
    }

    #[test]
    fn what_reveals_nothing_may_be_opened_from_another_site_without_a_token() {
        let linked = head(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(gate(Some(TOKEN)).sender(&linked, Exposure::Nothing), Ok(()));
        assert_eq!(gate(None).sender(&linked, Exposure::Private), Err(Refusal::Origin));
    }
}
