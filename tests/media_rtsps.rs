//! Captures from network cameras over TLS: which certificates are trusted, and the errors for the others.
//!
//! Does not: change the certificate authorities of the computer; they are set for this process only.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod peers;
mod rtsp_camera;

use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge::Edge;
use edge::scratch::Scratch;
use gio::prelude::*;
use media::certificate::{Certificate, Distrust, Flaw, Refusal};
use media::io::{AccessUnits, Capture, End};
use media::{CameraFormat, MediaError, Options, Source};
use peers::Authority;
use rcgen::KeyPair;
use resilience::fault::Fault;
use resilience::fingerprint::Fingerprint;
use rtsp_camera::{Camera, Credential, Recording, Scheme, Switches, Tls};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// The time limit of a test: a test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

const OTHER: Fingerprint = Fingerprint([0x5a; 32]);

/// Takes the lock of the tests. GLib has one list of authorities for the whole process, so only one test may capture at
/// a time.
fn alone() -> MutexGuard<'static, ()> {
    static SOURCE: Mutex<()> = Mutex::new(());
    SOURCE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a camera. Returns it with the fingerprint of its certificate. The camera runs until the process ends:
/// otherwise another camera could get the same port, and GLib would resume the TLS sessions of the first one.
fn camera(signed: (CertificateDer<'static>, KeyPair)) -> (&'static Camera, Fingerprint) {
    camera_for(signed, None)
}

/// Like [`camera`], but the camera requires `credential`.
fn camera_for(
    (certificate, key): (CertificateDer<'static>, KeyPair),
    credential: Option<Credential>,
) -> (&'static Camera, Fingerprint) {
    let fingerprint = Fingerprint::of(&certificate);
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let tls = Some(Tls::new(certificate, key));
    let switches = Switches { tls, credential, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    (Box::leak(Box::new(camera)), fingerprint)
}

fn options(camera: &Camera, pin: Option<Fingerprint>, format: CameraFormat) -> Options {
    let source = Source::Rtsp { url: camera.url(), credential: None, pin, format };
    Options { source, ..Options::default() }
}

/// The file with the only authority of the process. GLib may read the file at any time, so keep the value until the
/// capture ends.
struct Installed(#[expect(dead_code, reason = "removes the file when it is dropped")] Scratch);

impl Installed {
    /// Makes this the only authority of the process. A capture with a pin, and the capture after it, replace the list.
    fn new(authority: &Authority) -> Self {
        let path = Scratch::new("authority.pem");
        std::fs::write(&*path, authority.pem()).unwrap();
        let database = gio::TlsFileDatabase::new(&*path).unwrap();
        gio::TlsBackend::default().set_default_database(Some(&database));
        Self(path)
    }
}

/// Captures, and returns the error; `None` if video arrives. `authority` is installed before.
#[track_caller]
fn failure(options: &Options, authority: Option<&Authority>) -> Option<MediaError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _runtime = runtime.enter();
    let capture = match Capture::open(options, AccessUnits::new()) {
        Ok(capture) => capture,
        Err(error) => return Some(error),
    };
    let _installed = authority.map(Installed::new);
    runtime.block_on(async {
        capture.play();
        let mut pieces = capture.pieces();
        let end = async {
            tokio::select! {
                piece = pieces.next() => match piece {
                    Some(_) => None,
                    None => Some(capture.ended().await),
                },
                end = capture.ended() => Some(end),
            }
        };
        let end = tokio::time::timeout(LIMIT, end).await.expect("it hangs");
        capture.stop().await;
        end.map(|end| match end {
            End::Failed(error) => error,
            End::EndOfStream => panic!("the camera never ends its stream"),
        })
    })
}

/// The reason in an error of a refused certificate. Panics at any other result.
#[track_caller]
fn refusal(error: Option<MediaError>) -> Refusal {
    match error {
        Some(MediaError::Distrusted(distrust)) => distrust.refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_pinned_certificate_is_trusted() {
    let _alone = alone();
    for format in [CameraFormat::Auto, CameraFormat::H264] {
        let (camera, pin) = camera(peers::self_signed());
        // The certificate is refused at the first and at later attempts.
        for _ in 0..2 {
            let error = failure(&options(camera, Some(OTHER), format), None)
                .expect("another certificate is pinned");
            let text = error.to_string();
            assert_eq!(error.fault(), Fault::GiveUp);
            for part in [camera.host(), OTHER.to_string(), pin.to_string(), "source.pin".into()] {
                assert!(text.contains(&part), "{part}: {text}");
            }
            assert_eq!(refusal(Some(error)), Refusal::NotPinned { pinned: OTHER });
        }
        assert!(camera.seen().methods.is_empty(), "no RTSP request was sent");
        for _ in 0..2 {
            assert_eq!(failure(&options(camera, Some(pin), format), None), None);
        }
    }
}

/// When TLS resumes a session, the camera sends no certificate that could be compared with the new pin.
#[test]
fn a_new_pin_for_a_camera_with_a_tls_session_needs_a_restart() {
    let _alone = alone();
    let (camera, pin) = camera(peers::self_signed());
    assert_eq!(failure(&options(camera, Some(pin), CameraFormat::H264), None), None);
    for other in [Some(OTHER), None] {
        let error = failure(&options(camera, other, CameraFormat::H264), None);
        assert_eq!(error, Some(MediaError::PinChanged(camera.host())));
    }
    assert_eq!(failure(&options(camera, Some(pin), CameraFormat::H264), None), None);
}

/// A camera that refuses the password has made a TLS session before, so a new pin needs a restart; a camera that did
/// not answer has not.
#[test]
fn a_new_pin_needs_no_restart_if_there_was_no_tls_session() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let unreachable = |pin| {
        let (url, format) = (format!("rtsps://{host}/video"), CameraFormat::H264);
        let source = Source::Rtsp { url, credential: None, pin, format };
        match failure(&Options { source, ..Options::default() }, None) {
            Some(MediaError::Unreachable { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    for pin in [None, Some(OTHER), Some(Fingerprint([1; 32])), None] {
        unreachable(pin);
    }

    let credential =
        Some(Credential { user: "a".into(), password: "b".into(), scheme: Scheme::Basic });
    let (camera, pin) = camera_for(peers::self_signed(), credential);
    let refused = failure(&options(camera, Some(pin), CameraFormat::H264), None);
    assert!(matches!(refused, Some(MediaError::Unauthorized { .. })), "{refused:?}");
    let error = failure(&options(camera, Some(OTHER), CameraFormat::H264), None);
    assert_eq!(error, Some(MediaError::PinChanged(camera.host())));
}

#[test]
fn the_error_for_a_self_signed_certificate_shows_the_fingerprint_to_pin() {
    let _alone = alone();
    for format in [CameraFormat::Auto, CameraFormat::H264] {
        let (camera, fingerprint) = camera(peers::self_signed());
        let error = failure(&options(camera, None, format), None).expect("no authority");
        let text = error.to_string();
        let MediaError::Distrusted(distrust) = &error else { panic!("{error:?}") };
        let Distrust { place, shown, refusal } = &**distrust;
        assert_eq!(*place, camera.host());
        let subject = Some("CN=rcgen self signed cert".to_owned());
        assert_eq!(*shown, Certificate { fingerprint, subject });
        assert_eq!(*refusal, Refusal::NotVouched(vec![Flaw::UnknownAuthority]));
        assert_eq!(error.fault(), Fault::GiveUp);
        for part in [fingerprint.to_string(), camera.host(), "rcgen self signed cert".into()] {
            assert!(text.contains(&part), "{part}: {text}");
        }
        // The user copies the fingerprint from the error.
        let copied = text.split(|c: char| !c.is_ascii_hexdigit()).find_map(Fingerprint::parse);
        assert_eq!(failure(&options(camera, copied, format), None), None);
    }
}

#[test]
fn without_a_pin_authority_host_name_and_validity_are_checked() {
    let _alone = alone();
    let authority = Authority::new("an authority of the test");
    let check = |signed, expected: &[Flaw], fault: Option<Fault>| {
        let (camera, _) = camera(signed);
        let options = options(camera, None, CameraFormat::H264);
        let error = failure(&options, Some(&authority));
        assert_eq!(error.as_ref().map(MediaError::fault), fault, "{error:?}");
        if fault.is_some() {
            assert_eq!(refusal(error), Refusal::NotVouched(expected.to_vec()));
            assert!(camera.seen().methods.is_empty(), "no RTSP request was sent");
        }
    };
    check(authority.sign(&["127.0.0.1"]), &[], None);
    // An expired certificate is retried, because the clock may be wrong and set later.
    check(authority.sign_ended(&["127.0.0.1"]), &[Flaw::Expired], Some(Fault::Retry));
    check(authority.sign(&["camera.example"]), &[Flaw::OtherHost], Some(Fault::GiveUp));
    check(
        Authority::new("another one").sign(&["127.0.0.1"]),
        &[Flaw::UnknownAuthority],
        Some(Fault::GiveUp),
    );
}

#[test]
fn a_pin_replaces_the_checks_of_authority_host_name_and_validity() {
    let _alone = alone();
    let authority = Authority::new("an authority of the test");
    let (camera, _) = camera(authority.sign(&["127.0.0.1"]));
    let _installed = Installed::new(&authority);
    let error = failure(&options(camera, Some(OTHER), CameraFormat::H264), None);
    assert_eq!(refusal(error), Refusal::NotPinned { pinned: OTHER });

    let (camera, pin) = self::camera(authority.sign_ended(&["camera.example"]));
    assert_eq!(failure(&options(camera, Some(pin), CameraFormat::H264), None), None);
}

#[test]
fn if_glib_lacks_tls_the_error_names_the_package() {
    let source = ["run", "--source.kind", "rtsp", "--source.url", "rtsps://127.0.0.1:1/video"];
    let job =
        ["--job.on-loss", "exit", "--orchestrator.urls", "127.0.0.1:1", "--job.model", "noop"];
    let modules = [("GIO_MODULE_DIR", "/nonexistent")];
    let ended = Edge::start_with(&[&source[..], &job].concat(), &modules).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("install the package glib-networking"), "{}", ended.stderr);
}
