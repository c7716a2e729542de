//! The rows of the gateway and of secrets: each causes an error for real, and compares its text.
//!
//! Does not: start the program.

use std::error::Error;
use std::fmt::Display;
use std::net::TcpListener;
use std::str::FromStr;
#[cfg(feature = "sandbox")]
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livepeer_gateway::http::io::service_client;
use livepeer_gateway::http::{ServiceTrust, Url};
use livepeer_gateway::job::runner::{JsonPointer, UpdateTarget};
use livepeer_gateway::orchestrator::{Capability, Endpoints};
use livepeer_gateway::payment::io::{SignerOptions, Signers, TermsRefresh};
use livepeer_gateway::payment::{PaymentKind, PaymentSession, SessionOptions, Terms};
use livepeer_gateway::price::{MaxPrice, Price};
use resilience::fault::chain;
use resilience::secret::io::read;
use resilience::secret::{Secret, SecretSource};

/// A port that nothing listens on.
fn nobody() -> Url {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Url::parse(&format!("http://{address}")).unwrap()
}

#[track_caller]
fn check<T>(result: Result<T, impl Error + 'static>, expected: &str) {
    let error = result.err().expect("an error");
    assert_eq!(chain(&error), expected);
}

#[track_caller]
fn check_text<T: FromStr<Err: Display>>(text: &str, expected: &str) {
    let error = text.parse::<T>().err().expect("an error");
    assert_eq!(error.to_string(), expected);
}

#[track_caller]
fn check_token(token: &str, expected: &str) {
    check(Endpoints::from_token(&Secret::new(token)), expected);
}

#[track_caller]
fn check_token_json(json: &str, expected: &str) {
    check_token(&STANDARD.encode(json), expected);
}

#[test]
fn row_texts_that_are_refused() {
    check(
        Url::parse("https://o example"),
        "`https://o example` is not a URL; use https://host:port",
    );
    check(Url::parse("ftp://o.example"), "scheme `ftp` is not supported; use https");
    check(Url::parse("https://u:p@o"), "a URL must not hold a user name or password");
    check(
        Url::parse_base("https://o/a?b=hunter2", 8935),
        "`https://o/a` must not have a query or fragment",
    );
    check_text::<Capability>("noop", "`noop` is not a capability; write pipeline/model");
    let known = "pipeline/m".parse::<Capability>().unwrap_err().to_string();
    assert!(
        known.starts_with("pipeline `pipeline` is unknown; the known pipelines are "),
        "{known}"
    );
    assert!(known.contains(" live-video-to-video"), "{known}");
    check_text::<JsonPointer>(
        "in",
        "is not a JSON pointer; write one such as /in or /channels/0/url",
    );
    check_text::<UpdateTarget>("update", "is not a path; write one such as /echo");
    check_text::<MaxPrice>("-1 wei per second", "price `-1` is not a number of wei");
    check_text::<MaxPrice>("1 eth per second", "price in `eth`; only wei is supported");
    check_text::<MaxPrice>("1e30 wei per second", "price `1e30` needs more than 19 digits");
    check_text::<MaxPrice>(
        "12",
        "`12` is not a price; write `<number> wei per second`, `… per 720p-pixel-second` or `… per call`",
    );
    check(Price::per_pixels(1, 0), "price of 1 wei for 0 pixels is invalid");
    check_token(&"a".repeat(20 << 10), "access token is longer than 16384 bytes");
    check_token("hunter2!", "access token is not base64; copy it whole");
    check_token_json("[]", "access token does not contain a JSON object; copy it whole");
    check_token_json(
        r#"{"signer":7}"#,
        "access token: `signer` is not usable; ask for a new token",
    );
    check_token_json(
        r#"{"signer_headers":{"a b":"c"}}"#,
        "access token: `signer_headers` contains an invalid header; ask for a new token",
    );
}

#[test]
fn row_signers_that_cannot_be_used() {
    let check = |urls: &[&str], headers, expected: &str| {
        let urls = urls.iter().map(|url| Url::parse_base(url, 8935).unwrap()).collect();
        let client = service_client(ServiceTrust::default()).unwrap();
        let options = SignerOptions { urls, headers, ..SignerOptions::default() };
        check(Signers::new(client, options), expected);
    };
    check(&[], vec![], "no signer is configured, so nothing can be paid; set signer.urls");
    check(&["https://s"; 9], vec![], "9 signers are configured; at most 8 are allowed");
    check(
        &["http://192.0.2.1:1"],
        vec![],
        "http://192.0.2.1:1: a signer on another computer needs https; \
         or set services.allow-plain-http = true",
    );
    check(
        &["https://s"],
        vec![(http::header::AUTHORIZATION, SecretSource::Environment("LE_NOT_SET".into()))],
        "environment variable LE_NOT_SET is not set; it must contain a secret",
    );
}

#[test]
fn row_secrets_that_cannot_be_read() {
    check(
        read(&SecretSource::Environment("LE_NOT_SET".into())),
        "environment variable LE_NOT_SET is not set; it must contain a secret",
    );
    check(
        read(&SecretSource::File("/nowhere/key".into())),
        "/nowhere/key: secret cannot be read: No such file or directory (os error 2)",
    );
    check(
        read(&SecretSource::File("/dev/null".into())),
        "/dev/null: a secret is one line of text, at most 8192 bytes",
    );
    assert!(
        std::env::var_os("CREDENTIALS_DIRECTORY").is_none(),
        "the tests do not run under a service manager"
    );
    check(
        read(&SecretSource::Credential("signer".into())),
        "credential signer: CREDENTIALS_DIRECTORY is not set; use LoadCredential= or a file",
    );
}

#[test]
fn row_a_maximum_price_of_another_unit() {
    let max_price = Some("1 wei per call".parse().unwrap());
    let options = SessionOptions { max_price, ..SessionOptions::default() };
    let terms = Terms::Params(String::new());
    check(
        PaymentSession::new(PaymentKind::Lv2v, terms, None, options),
        "max-price `1 wei per call` does not fit this job, which is paid by `720p-pixel-seconds`",
    );
}

#[tokio::test]
async fn row_fresh_terms_of_an_orchestrator_that_is_gone() {
    let client = service_client(ServiceTrust::default()).unwrap();
    let url = nobody();
    let terms = TermsRefresh::new(client, &url, "0x00".to_owned()).terms("m").await;
    let expected = format!("{}: connection refused; nothing listens on this port", url.authority());
    check(terms, &expected);
}

#[cfg(feature = "sandbox")]
mod on_a_sandbox {
    use bytes::Bytes;
    use livepeer_gateway::{
        JobOptions, LiveVideoJob, Network, OrchestratorSession, PaymentSetup, StartedJob, Stop,
        messages,
    };
    use sandbox::{CallFailure, Endpoint, Failure, Handle, Options, Sandbox, StartFailure};

    use super::*;

    /// Starts an orchestrator that demands payment. Returns it with a network that pays.
    fn paid() -> (Handle, Network) {
        let signer = Some(sandbox::SignerOptions::default());
        let options = Options { price: Some(10), signer, ..Options::default() };
        let sandbox = Sandbox::start(options).unwrap();
        let mut network = Network::default();
        let signer = Url::parse(&sandbox.signer_url().unwrap()).unwrap();
        let signers = Arc::new(Signers::at(network.client.clone(), signer).unwrap());
        network.payments = Some(PaymentSetup { signers, options: SessionOptions::default() });
        (sandbox, network)
    }

    async fn start(sandbox: &Handle, network: &Network) -> Result<StartedJob, Box<dyn Error>> {
        let url = Url::parse_base(&sandbox.url(), 8935)?;
        let model = "live-video-to-video/m".parse()?;
        let session = OrchestratorSession::open(network, &url, &model).await?;
        let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
        Ok(LiveVideoJob::start(session, &options, 0.5).await?)
    }

    #[tokio::test]
    async fn row_a_payment_that_the_orchestrator_refuses() {
        let (sandbox, network) = paid();
        let answer = StartFailure::Answer { status: 402, body: "too little".to_owned() };
        sandbox.always(Failure::Start(answer));
        let error = start(&sandbox, &network).await.expect_err("no job");
        let expected =
            format!("{}: orchestrator refused the payment (402): too little", sandbox.url());
        assert_eq!(chain(&*error), expected);
    }

    #[tokio::test]
    async fn row_a_signer_that_makes_no_first_payment() {
        let (sandbox, network) = paid();
        sandbox.always(Failure::Call(Endpoint::MakePayment, CallFailure::status(482)));
        let error = start(&sandbox, &network).await.expect_err("no job");
        assert_eq!(
            chain(&*error),
            "the signer makes no first payment, without which no job starts"
        );
        let (sandbox, network) = paid();
        sandbox.always(Failure::Call(Endpoint::MakePayment, CallFailure::status(481)));
        let text = chain(&*start(&sandbox, &network).await.expect_err("no job"));
        let signer = Url::parse(&sandbox.signer_url().unwrap()).unwrap();
        let expected =
            format!("signer {} finds the orchestrator too expensive", signer.authority());
        assert!(text.starts_with(&expected), "{text}");
    }

    #[tokio::test]
    async fn row_refused_or_invalid_fresh_terms() {
        let (sandbox, network) = paid();
        let url = Url::parse(&sandbox.url()).unwrap();
        let peer = url.authority();
        let refresh = TermsRefresh::new(network.client.clone(), &url, "0x00".to_owned());
        for (failure, expected) in [
            (CallFailure::status(404), format!("{peer}: no fresh terms, status 404")),
            (
                CallFailure::Garbage,
                format!("{peer}: answer is not the JSON expected, at line 1 column 1"),
            ),
        ] {
            sandbox.once(Failure::Call(Endpoint::Refresh, failure));
            check(refresh.terms("m").await, &expected);
        }
    }

    #[tokio::test]
    async fn row_a_job_whose_orchestrator_is_gone() {
        let sandbox = Sandbox::start(Options::default()).unwrap();
        let network = Network::default();
        let job = start(&sandbox, &network).await.unwrap();
        let peer = Url::parse(&sandbox.url()).unwrap().authority().clone();
        sandbox.stop();
        let (video, pieces) = messages();
        video.try_send(Bytes::from_static(b"segment")).unwrap();
        let (_stopper, stop) = Stop::new();
        let error = job.run(&network, pieces, stop).await.expect_err("nobody is there");
        let text = chain(&error);
        let begin =
            format!("the job's video cannot be published: publish channel at https://{peer}: ");
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.ends_with("connection refused; nothing listens on this port"), "{text}");
    }
}
