//! Sets how the TLS certificate of a network camera is checked: by this system's certificate authorities, or only by
//! its pin; and says why the certificate of an output's server is refused.
//!
//! GStreamer makes the connection and GLib checks the certificate. The signal that [`guard`] connects to comes only for
//! a certificate that GLib's authorities do not accept. With a pin, every certificate must cause the signal, so GLib
//! gets a list of authorities that accepts no certificate. GLib has one such list for the process, and the process
//! captures one source at a time. Do not run an effect of the sandbox that connects to a TLS server in a process that
//! captures a camera with a pin.
//!
//! Does not: implement TLS; the package glib-networking adds it to GLib.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What GLib keeps for the whole process. It is a static because GLib's own state is one.
struct Glib {
    /// Whether GLib's list of authorities is [`NOBODY`].
    is_nobody: bool,
    /// The file with [`NOBODY`]. It stays open, as GLib reads it again at the first handshake.
    nobody: Option<File>,
    /// The cameras whose TLS sessions GLib may resume.
    trusted: Trusted,
}

static GLIB: Mutex<Glib> =
    Mutex::new(Glib { is_nobody: false, nobody: None, trusted: Trusted::new() });

fn glib() -> MutexGuard<'static, Glib> {
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    GLIB.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let changed = |place: &str| MediaError::PinChanged(place.to_owned());
    if url.starts_with("rtsps://") {
        if !glib().trusted.allows(&place, pin) {
            return Err(changed(&place));
        }
        // The first request is sent as soon as the TLS session is made.
        let (camera_place, ended) = (place.clone(), ending.clone());
        camera.connect("before-send", false, move |_| {
            let is_allowed = glib().trusted.note(&camera_place, pin);
            if !is_allowed {
                ended.set(End::Failed(changed(&camera_place)));
            }
            Some(is_allowed.to_value())
        });
    }
    match pin {
        Some(_) => glib().trust_nobody()?,
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
                    glib().trusted.refuse(&place);
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

/// Checks the servers that GStreamer connects to by the certificate authorities of this system.
pub(super) fn trust_authorities() {
    let mut glib = glib();
    if glib.is_nobody {
        gio::TlsBackend::default().set_default_database(None::<&gio::TlsDatabase>);
        glib.is_nobody = false;
    }
}

/// Whether the servers of output `name` can be checked by this system's authorities. While a camera is pinned, GLib
/// accepts no authority, so a server cannot be checked.
pub(super) fn check_authorities(name: &str) -> Result<(), MediaError> {
    if !gio::TlsBackend::default().supports_tls() {
        return Err(MediaError::NoTls);
    }
    if glib().is_nobody {
        return Err(MediaError::OutputUnchecked(name.to_owned()));
    }
    Ok(())
}

/// Calls `refused` with the reason when `sink`, an `rtspclientsink`, refuses the certificate of its server.
pub(super) fn on_refusal(sink: &gst::Element, refused: impl Fn(String) + Send + Sync + 'static) {
    sink.connect("accept-certificate", false, move |values| {
        let found = values.get(3).and_then(|value| value.get().ok()).map(flaws).unwrap_or_default();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        refused(format!("the server's certificate is refused: {}", found.join(", ")));
        Some(false.to_value())
    });
}

impl Glib {
    /// Makes GLib accept no authority, so that each certificate is checked by the pin.
    fn trust_nobody(&mut self) -> Result<(), MediaError> {
        let directory = std::env::temp_dir();
        let failed = |error| MediaError::Pin(format!("{}: {error}", directory.display()));
        let file = match self.nobody.take() {
            Some(file) => file,
            None => nobody(&directory).map_err(failed)?,
        };
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.nobody = Some(file);
        let nobody = gio::TlsFileDatabase::new(path)
            .map_err(|error| MediaError::Pin(error.message().to_owned()))?;
        gio::TlsBackend::default().set_default_database(Some(&nobody));
        self.is_nobody = true;
        Ok(())
    }
}

/// [`NOBODY`] as a file without a name, because GLib reads authorities only from a file.
///
/// Other users may write to `directory` too: the file must be new, only this user may open it, and nobody can know its
/// name beforehand. (`O_TMPFILE` needs no name, but overlayfs lacks it before Linux 6.1.)
fn nobody(directory: &Path) -> io::Result<File> {
    // The standard library's source of random numbers: its keys come from the kernel.
    let random = RandomState::new().hash_one(0);
    let path = directory.join(format!("livepeer-edge-{random:016x}.pem"));
    let mut options = OpenOptions::new();
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn the_list_of_nobody_is_a_private_file_without_a_name() {
        let directory = std::env::temp_dir().join(format!("le-nobody-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let files = [nobody(&directory).unwrap(), nobody(&directory).unwrap()];
        for file in &files {
            let metadata = file.metadata().unwrap();
            assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (0o600, 0));
            let mut written = vec![0; NOBODY.len()];
            file.read_exact_at(&mut written, 0).unwrap();
            assert_eq!((written, metadata.len()), (NOBODY.into(), NOBODY.len() as u64));
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(&directory).unwrap();
        assert_eq!(nobody(&directory).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
