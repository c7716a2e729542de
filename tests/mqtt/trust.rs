//! Passwords and certificates: users and passwords, TLS with an authority, and TLS with a pinned certificate.
//!
//! Does not: test every certificate; `tests/connect.rs` does.

use rcgen::KeyPair;
use resilience::fingerprint::Fingerprint;
use rustls::pki_types::CertificateDer;

use super::{edge, url};
use crate::broker::Broker;
use crate::peers::{closing, pem, plain_http, self_signed, signed};
use crate::scratch::Scratch;

/// The password file of a broker, with one user. `mosquitto_passwd` made the hash from the password `secret`.
pub(crate) const USERS: (&str, &str) = (
    "users",
    "door:$7$101$zSJ0NybjySSo+YYL$orJsRXi7iIEvZNMuWnAm6j4DhB0hIDdSPXftwtJ7CrI2bNYvrLDeG6+uRyL207dHAoP8rAlVg7ln6N8iMBNogg==\n",
);

/// Starts a broker with TLS on its second port.
fn with_tls(certificate: &CertificateDer<'_>, key: &KeyPair) -> Broker {
    let certificate = pem("CERTIFICATE", certificate);
    let key = pem("PRIVATE KEY", &key.serialize_der());
    Broker::with(
        "allow_anonymous true\ncertfile DIR/certificate.pem\nkeyfile DIR/key.pem",
        &[("certificate.pem", &certificate), ("key.pem", &key)],
    )
}

pub(crate) fn tls_url(broker: &Broker) -> String {
    format!("mqtts://localhost:{}", broker.own_port)
}

/// A broker with TLS and [`USERS`] on its own port, with further files and settings; and the pin of its certificate.
pub(crate) fn locked(files: &[(&str, &str)], settings: &str) -> (Broker, String) {
    let (certificate, key) = self_signed();
    let pin = Fingerprint::of(&certificate).to_string();
    let (certificate, key) =
        (pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", &key.serialize_der()));
    let tls = "allow_anonymous false\ncertfile DIR/certificate.pem\nkeyfile DIR/key.pem";
    let settings = format!("{tls}\npassword_file DIR/users\n{settings}");
    let own = [USERS, ("certificate.pem", certificate.as_str()), ("key.pem", key.as_str())];
    (Broker::with(&settings, &[&own[..], files].concat()), pin)
}

/// Writes a file with this content. Returns the file, and its path as the place of a secret.
pub(crate) fn secret(content: &str) -> (Scratch, String) {
    let file = Scratch::new("credential");
    std::fs::write(&*file, content).unwrap();
    let place = format!("file:{}", file.display());
    (file, place)
}

#[test]
fn a_wrong_password_is_refused_and_a_new_one_is_used_without_a_restart() {
    let broker = Broker::with("allow_anonymous false\npassword_file DIR/users", &[USERS]);
    let (file, place) = secret("door:wr0ng");
    let mut edge = edge(&url(broker.own_port), &["--mqtt.credential", &place]);
    let line = edge.hear("mqtt.credential");
    assert!(line.contains("refuses the user or password") && !line.contains("wr0ng"), "{line}");
    std::fs::write(&*file, "door:secret\n").unwrap();
    edge.hear("connected again");
    assert_eq!(broker.listen().hear("/status").payload, "online");
}

#[test]
fn a_credential_without_a_colon_and_a_missing_credential_file_are_named() {
    let broker = Broker::start();
    let (_file, place) = secret("hunter2");
    let mut wrong = edge(&url(broker.port), &["--mqtt.credential", &place]);
    let line = wrong.hear("mqtt.credential");
    assert!(line.contains("user:password") && !line.contains("hunter2"), "{line}");
    let mut none = edge(&url(broker.port), &["--mqtt.credential", "file:/nowhere/secret"]);
    none.hear("mqtt.credential: /nowhere/secret: ");
}

#[test]
fn a_certificate_of_a_configured_authority_is_trusted() {
    let (authority, certificate, key) = signed();
    let broker = with_tls(&certificate, &key);
    let file = Scratch::new("ca.pem");
    std::fs::write(&*file, authority).unwrap();
    let mut edge = edge(&tls_url(&broker), &["--mqtt.ca-file", &file.to_string_lossy()]);
    edge.hear("connected");
    assert_eq!(broker.listen().hear("/status").payload, "online");
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (_, certificate, key) = signed();
    let broker = with_tls(&certificate, &key);
    let mut by_system = edge(&tls_url(&broker), &[]);
    by_system.hear("mqtt.ca-file");
    let (authority, ..) = signed();
    let file = Scratch::new("ca.pem");
    std::fs::write(&*file, authority).unwrap();
    let mut by_file = edge(&tls_url(&broker), &["--mqtt.ca-file", &file.to_string_lossy()]);
    by_file.hear("not signed by a known authority");
    let mut nowhere = edge(&tls_url(&broker), &["--mqtt.ca-file", "/nowhere/ca.pem"]);
    nowhere.hear("mqtt.ca-file: /nowhere/ca.pem");
}

#[test]
fn a_pinned_certificate_is_trusted_and_another_one_is_refused() {
    let (certificate, key) = self_signed();
    let broker = with_tls(&certificate, &key);
    let pin = Fingerprint::of(&certificate).to_string();
    let mut pinned = edge(&tls_url(&broker), &["--mqtt.pin", &pin]);
    pinned.hear("connected");
    assert_eq!(broker.listen().hear("/status").payload, "online");
    let other = Fingerprint([0x5a; 32]).to_string();
    let mut wrong = edge(&tls_url(&broker), &["--mqtt.pin", &other]);
    wrong.hear("is not the pinned one");
}

#[test]
fn peers_that_are_not_brokers_are_named() {
    let mut web = edge(&url(plain_http()), &[]);
    web.hear("does not speak MQTT 3.1.1");
    let mut closed = edge(&url(closing()), &[]);
    closed.hear("without an answer");
    let mut no_tls = edge(&format!("mqtts://127.0.0.1:{}", plain_http()), &[]);
    no_tls.hear("does not speak TLS");
}

#[test]
fn plain_mqtt_to_the_internet_is_refused_before_the_start() {
    let edge = edge("mqtt://192.0.2.7", &[]).end().with_code(2);
    assert!(edge.stderr.contains("mqtt.allow-plain"), "{}", edge.stderr);
}
