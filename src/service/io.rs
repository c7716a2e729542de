//! Sends notifications to the service manager, over the datagram socket `$NOTIFY_SOCKET`.
//!
//! A datagram that cannot be sent is dropped and logged once at debug level: the program works without the service
//! manager. No call blocks.
//!
//! Does not: read the state of a service, or start and stop services.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::service::message::Notification;
use crate::service::{Feed, Watchdog};

/// Added to the end of a wait when the time limit of the start is extended.
const START_MARGIN: Duration = Duration::from_secs(30);

/// Where the service manager listens: a path, or `@` and an abstract name.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The limit of the watchdog, in microseconds.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The process that the limit is for; this process if not set.
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The process that the service manager started (systemd 248 and newer).
const SYSTEMD_EXEC_PID: &str = "SYSTEMD_EXEC_PID";

/// Whether a service manager started this process and expects notifications: `$NOTIFY_SOCKET` is set, which only units of
/// type `notify` get; and `$SYSTEMD_EXEC_PID`, if set, is this process. `$INVOCATION_ID` is not used: shells of a desktop
/// session inherit it.
pub fn is_service() -> bool {
    is_started_as_service(|name| std::env::var_os(name), std::process::id())
}

fn is_started_as_service(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> bool {
    let is_notified = variable(NOTIFY_SOCKET).is_some_and(|name| !name.is_empty());
    let started = variable(SYSTEMD_EXEC_PID);
    is_notified && started.is_none_or(|started| started.to_str() == Some(pid.to_string().as_str()))
}

/// This program as a service.
#[derive(Debug, Default)]
pub struct Service {
    socket: Option<NotifySocket>,
    watchdog: Option<Watchdog>,
    /// The text before every status.
    notice: Option<String>,
    status: String,
    /// The text after every status.
    remark: Option<String>,
    is_starting: bool,
}

#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
    failed: bool,
}

impl Service {
    /// The service that the environment describes. Without a service manager, all calls do nothing.
    pub fn from_environment(now: Instant) -> Self {
        Self::of(|name| std::env::var_os(name), std::process::id(), now)
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, pid: u32, now: Instant) -> Self {
        let socket = variable(NOTIFY_SOCKET).filter(|name| !name.is_empty()).and_then(|name| {
            NotifySocket::at(&name).map_err(|error| log::warn!("${NOTIFY_SOCKET}: {error}")).ok()
        });
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = variable(WATCHDOG_PID).is_none() || number(WATCHDOG_PID) == Some(pid.into());
        let limit = number(WATCHDOG_USEC).filter(|limit| *limit > 0 && is_ours);
        let watchdog = socket.as_ref().and(limit);
        let watchdog = watchdog.map(|limit| Watchdog::new(Duration::from_micros(limit), now));
        Self {
            socket,
            watchdog,
            notice: None,
            status: String::new(),
            remark: None,
            is_starting: true,
        }
    }

    /// Reports the end of the start. Call it when the last part of a job runs, or when the agent waits without a
    /// limit for a camera or an orchestrator.
    pub fn ready(&mut self) {
        self.is_starting = false;
        self.send(Notification::Ready);
    }

    /// Sets the status line of `systemctl status`. `text` must not contain a channel's URL, which is a credential.
    pub fn status(&mut self, text: &str) {
        if self.status != text {
            text.clone_into(&mut self.status);
            self.send_status();
        }
    }

    /// Sets the text before every status.
    pub fn notice(&mut self, text: Option<String>) {
        if self.notice != text {
            self.notice = text;
            self.send_status();
        }
    }

    /// Sets the text after every status.
    pub fn remark(&mut self, text: Option<String>) {
        if self.remark != text {
            self.remark = text;
            self.send_status();
        }
    }

    fn send_status(&mut self) {
        let status = Some(&self.status).filter(|status| !status.is_empty());
        let parts = [self.notice.as_ref(), status, self.remark.as_ref()];
        let text = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("; ");
        self.send(Notification::Status(&text));
    }

    /// Reports that frames moved.
    pub fn alive(&mut self, now: Instant) {
        let feed = self.watchdog.as_mut().map(|watchdog| watchdog.on_progress(now));
        self.feed(feed);
    }

    /// Reports that no frames will move before `until`, for a known reason. Extends the time limit of a start in
    /// progress to that time.
    pub fn wait(&mut self, until: Instant, now: Instant) {
        if self.is_starting {
            let time = until.saturating_duration_since(now) + START_MARGIN;
            self.send(Notification::Extend(time));
        }
        let feed = self.watchdog.as_mut().map(|watchdog| watchdog.on_wait(until, now));
        self.feed(feed);
    }

    /// Call it at the time of [`Self::poll_timeout`], or earlier.
    pub fn tick(&mut self, now: Instant) {
        let feed = self.watchdog.as_mut().map(|watchdog| watchdog.on_tick(now));
        self.feed(feed);
    }

    /// When [`Self::tick`] has to be called next; `None` without a watchdog.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(Watchdog::poll_timeout)
    }

    /// Reports that the stop has begun.
    pub fn stopping(&mut self) {
        self.send(Notification::Stopping);
    }

    fn feed(&mut self, feed: Option<Feed>) {
        match feed {
            Some(Feed::Now) => self.send(Notification::Watchdog),
            Some(Feed::No) | None => {}
        }
    }

    fn send(&mut self, message: Notification<'_>) {
        if let Some(socket) = &mut self.socket {
            socket.send(message);
        }
    }
}

impl NotifySocket {
    fn at(name: &OsString) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, failed: false })
    }

    fn send(&mut self, message: Notification<'_>) {
        let sent = self.socket.send_to_addr(message.text().as_bytes(), &self.address);
        if let Err(error) = sent {
            if !self.failed {
                log::debug!("the service manager cannot be notified: {error}");
            }
            self.failed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn service(variables: &[(&str, &str)], now: Instant) -> Service {
        let of = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Service::of(of, 7, now)
    }

    /// The socket of a service manager, removed with its test.
    struct Listener {
        socket: UnixDatagram,
        path: PathBuf,
    }

    impl Listener {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            let socket = UnixDatagram::bind(&path).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            Self { socket, path }
        }

        /// Sent datagrams are in the socket's queue already.
        fn heard(&self) -> Vec<String> {
            self.socket.set_nonblocking(true).expect("a socket");
            let mut texts = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                texts.push(String::from_utf8(buffer[..length].to_vec()).expect("UTF-8"));
            }
            texts
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    #[test]
    fn start_job_and_stop_are_notified_in_order() {
        let listener = Listener::new("edge-notify");
        let path = listener.path.to_str().expect("UTF-8");
        let now = Instant::now();
        let limit = LIMIT.as_micros().to_string();
        let variables = [(NOTIFY_SOCKET, path), (WATCHDOG_USEC, &limit), (WATCHDOG_PID, "7")];
        let mut service = service(&variables, now);
        service.status("opening the camera");
        service.status("opening the camera");
        assert_eq!(service.poll_timeout(), Some(now));
        service.wait(now + LIMIT, now);
        service.ready();
        service.wait(now + LIMIT, now);
        service.status("live");
        let later = now + LIMIT / 3;
        assert_eq!(service.poll_timeout(), Some(later));
        service.alive(later);
        service.tick(later + LIMIT / 3);
        service.stopping();
        let expected = [
            "STATUS=opening the camera",
            "EXTEND_TIMEOUT_USEC=60000000",
            "WATCHDOG=1",
            "READY=1",
            "STATUS=live",
            "WATCHDOG=1",
            "STOPPING=1",
        ];
        assert_eq!(listener.heard(), expected);
    }

    #[test]
    fn a_notice_stands_before_every_status() {
        let listener = Listener::new("edge-notice");
        let path = listener.path.to_str().expect("UTF-8");
        let mut service = service(&[(NOTIFY_SOCKET, path)], Instant::now());
        service.notice(Some("old configuration".to_owned()));
        service.status("starting");
        service.notice(Some("old configuration".to_owned()));
        service.status("live");
        service.notice(None);
        let expected = [
            "STATUS=old configuration",
            "STATUS=old configuration; starting",
            "STATUS=old configuration; live",
            "STATUS=live",
        ];
        assert_eq!(listener.heard(), expected);
    }

    #[test]
    fn a_start_by_a_service_manager_is_distinguished_from_one_by_hand() {
        #[track_caller]
        fn check(variables: &[(&str, &str)], expected: bool) {
            let of = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(is_started_as_service(of, 7), expected, "{variables:?}");
        }
        check(&[], false);
        check(&[(NOTIFY_SOCKET, "/run/systemd/notify")], true);
        check(&[(NOTIFY_SOCKET, "/run/systemd/notify"), (SYSTEMD_EXEC_PID, "7")], true);
        // A program that a service started, and that inherited its variables.
        check(&[(NOTIFY_SOCKET, "/run/systemd/notify"), (SYSTEMD_EXEC_PID, "8")], false);
        check(&[(NOTIFY_SOCKET, "")], false);
        check(&[("INVOCATION_ID", "0123"), ("STATE_DIRECTORY", "/var/lib/edge")], false);
        check(&[(SYSTEMD_EXEC_PID, "7")], false);
    }

    #[test]
    fn an_abstract_socket_name_works() {
        let name = format!("edge-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        service(&[(NOTIFY_SOCKET, &format!("@{name}"))], Instant::now()).ready();
        socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..length], b"READY=1");
    }

    #[test]
    fn only_our_watchdog_is_fed() {
        #[track_caller]
        fn check(variables: &[(&str, &str)], expected: bool) {
            let mut all = vec![(NOTIFY_SOCKET, "/nowhere/notify")];
            all.extend(variables);
            let service = service(&all, Instant::now());
            assert_eq!(service.poll_timeout().is_some(), expected, "{variables:?}");
        }
        check(&[], false);
        check(&[(WATCHDOG_USEC, "30000000")], true);
        check(&[(WATCHDOG_USEC, "30000000"), (WATCHDOG_PID, "7")], true);
        check(&[(WATCHDOG_USEC, "30000000"), (WATCHDOG_PID, "8")], false);
        check(&[(WATCHDOG_USEC, "30000000"), (WATCHDOG_PID, "")], false);
        check(&[(WATCHDOG_USEC, "0")], false);
        check(&[(WATCHDOG_USEC, "soon")], false);
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        let variables: [&[(&str, &str)]; 4] = [
            &[(WATCHDOG_USEC, "30000000")],
            &[(NOTIFY_SOCKET, "")],
            &[(NOTIFY_SOCKET, "/nowhere/notify")],
            &[(NOTIFY_SOCKET, "@\u{0}")],
        ];
        for variables in variables {
            let now = Instant::now();
            let mut service = service(variables, now);
            service.ready();
            service.status("live");
            service.alive(now);
            service.stopping();
        }
        assert_eq!(Service::default().poll_timeout(), None);
    }

    #[test]
    fn a_manager_that_does_not_read_does_not_delay_the_agent() {
        let listener = Listener::new("edge-notify-full");
        let path = listener.path.to_str().expect("UTF-8");
        let mut service = service(&[(NOTIFY_SOCKET, path)], Instant::now());
        // More than a socket's queue holds (net.unix.max_dgram_qlen is 10 to 512).
        for nth in 0..2000 {
            service.status(&nth.to_string());
        }
        assert!(service.socket.as_ref().is_some_and(|socket| socket.failed));
        assert_eq!(listener.heard().first().map(String::as_str), Some("STATUS=0"));
    }
}
