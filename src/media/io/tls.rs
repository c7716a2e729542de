//! Sets how the TLS certificate of a network camera is checked: by this system's certificate authorities, or only by
//! its pin.
//!
//! GStreamer makes the connection and GLib checks the certificate. The signal that [`guard`] connects to comes only for
//! a certificate that GLib's authorities do not accept. With a pin, every certificate must cause the signal, so GLib
//! gets a list of authorities that accepts no certificate. GLib has one such list for the process, and the process
//! captures one source at a time. Do not run an effect of the sandbox that connects to a TLS server in a process that
//! captures a camera with a pin.
//!
//! Does not: implement TLS; the package glib-networking adds it to GLib.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use gio::TlsCertificateFlags as Flags;
use gio::prelude::*;
use gstreamer as gst;

use crate::MediaError;
use crate::certificate::{Certificate, Distrust, Flaw, Trusted, judge, place};
use crate::io::running::{End, Ending};
use resilience::fingerprint::Fingerprint;
use resilience::sanitize;

/// A certificate that may not sign others (`CA:FALSE`), names no host and expired in 1970. GLib rejects an empty list.
const NOBODY: &str = include_str!("nobody.pem");

/// GLib's flags for the flaws of a certificate.
const FLAWS: [(Flags, Flaw); 7] = [
    (Flags::UNKNOWN_CA, Flaw::UnknownAuthority),
    (Flags::BAD_IDENTITY, Flaw::OtherHost),
    (Flags::NOT_ACTIVATED, Flaw::NotYetValid),
    (Flags::EXPIRED, Flaw::Expired),
    (Flags::REVOKED, Flaw::Revoked),
    (Flags::INSECURE, Flaw::Insecure),
    (Flags::GENERIC_ERROR, Flaw::Unusable),
];

/// Whether GLib's list of authorities is [`NOBODY`].
static IS_NOBODY: AtomicBool = AtomicBool::new(false);

/// Checks the certificates that `camera`, an `rtspsrc` for `url`, receives. Call it before the camera plays. A refusal
/// becomes the pipeline's `ending`.
pub(super) fn guard(
    camera: &gst::Element,
    url: &str,
    pin: Option<Fingerprint>,
    ending: &Ending,
) -> Result<(), MediaError> {
    if url.starts_with("rtsps://") && !gio::TlsBackend::default().supports_tls() {
        return Err(MediaError::NoTls);
    }
    let place = place(url);
    if url.starts_with("rtsps://") && !trusted().admit(&place, pin) {
        return Err(MediaError::PinChanged(place));
    }
    match pin {
        Some(_) => trust_nobody()?,
        None => trust_authorities(),
    }
    let ending = ending.clone();
    camera.connect("accept-certificate", false, move |values| {
        let shown = values.get(2).and_then(|value| value.get().ok()).and_then(|shown| read(&shown));
        let flaws = values.get(3).and_then(|value| value.get().ok()).map(flaws);
        // A certificate that cannot be read is refused.
        let is_trusted = match shown.zip(flaws) {
            None => false,
            Some((shown, flaws)) => match judge(pin, &shown, flaws) {
                Ok(()) => true,
                Err(refusal) => {
                    trusted().refuse(&place);
                    let distrust = Distrust { place: place.clone(), shown, refusal };
                    ending.set(End::Failed(MediaError::Distrusted(Box::new(distrust))));
                    false
                }
            },
        };
        Some(is_trusted.to_value())
    });
    Ok(())
}

fn trusted() -> MutexGuard<'static, Trusted> {
    static TRUSTED: Mutex<Trusted> = Mutex::new(Trusted::new());
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    TRUSTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks the servers that GStreamer connects to by the certificate authorities of this system.
pub(super) fn trust_authorities() {
    if IS_NOBODY.swap(false, Ordering::Relaxed) {
        gio::TlsBackend::default().set_default_database(None::<&gio::TlsDatabase>);
    }
}

/// Makes GLib accept no authority, so that each certificate is checked by the pin.
fn trust_nobody() -> Result<(), MediaError> {
    // Keep the file open, because GLib reads it again at the first handshake.
    static FILE: OnceLock<File> = OnceLock::new();
    let file = match FILE.get() {
        Some(file) => file,
        None => {
            let directory = std::env::temp_dir();
            let failed = |error| MediaError::Pin(format!("{}: {error}", directory.display()));
            let new = nobody(&directory).map_err(failed)?;
            FILE.get_or_init(|| new)
        }
    };
    let nobody = gio::TlsFileDatabase::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .map_err(|error| MediaError::Pin(error.message().to_owned()))?;
    gio::TlsBackend::default().set_default_database(Some(&nobody));
    IS_NOBODY.store(true, Ordering::Relaxed);
    Ok(())
}

/// [`NOBODY`] as a file without a name, because GLib reads authorities only from a file.
fn nobody(directory: &Path) -> io::Result<File> {
    let path = directory.join(format!("livepeer-edge-{}.pem", std::process::id()));
    let mut options = OpenOptions::new();
    // Create a new file, because other users may write to this directory too.
    let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(NOBODY.as_bytes())?;
    Ok(file)
}

fn read(shown: &gio::TlsCertificate) -> Option<Certificate> {
    let fingerprint = Fingerprint::of(&shown.certificate()?);
    let subject = shown.find_property("subject-name").and_then(|_| {
        let subject = shown.property::<Option<String>>("subject-name");
        subject.map(|subject| sanitize::message(&subject))
    });
    Some(Certificate { fingerprint, subject })
}

fn flaws(found: Flags) -> Vec<Flaw> {
    let flaws = FLAWS.iter().filter(|(flag, _)| found.contains(*flag)).map(|(_, flaw)| *flaw);
    flaws.collect()
}
