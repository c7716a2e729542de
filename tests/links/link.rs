//! The network of an agent: a network namespace, and a link to it whose rate, delay and loss a test sets.
//!
//! ```text
//!  namespace of this process                       namespace edgeN
//!  orchestrators at 10.77.N.1 ── nearN ═ link.py ═ farN ── the agent at 10.77.N.2
//! ```
//!
//! Does not: change the network of the computer: everything is in a namespace that `main` creates, and is removed with
//! that namespace.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sandbox::Options;

use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;

/// The traffic of the link in one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Second {
    /// The end of the second.
    pub(crate) at: Instant,
    /// Bytes of packets from the agent.
    pub(crate) bytes: u64,
}

/// The network namespace of an agent, and the link to the namespace.
pub(crate) struct Link {
    nth: u8,
    process: Child,
    control: ChildStdin,
    seconds: Arc<Mutex<Vec<Second>>>,
}

/// Runs the command `ip` with these arguments. Panics if it fails.
#[track_caller]
pub(crate) fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Link {
    /// Creates a namespace and a link to it, without delay or loss.
    pub(crate) fn new() -> Self {
        static NTH: AtomicU8 = AtomicU8::new(1);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let emulator = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/links/link.py");
        let mut process = Command::new("python3")
            .args([emulator, &format!("near{nth}"), &format!("far{nth}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let control = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let seconds = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seconds);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let bytes = line.split(' ').next().unwrap().parse().unwrap();
                told.lock().unwrap().push(Second { at: Instant::now(), bytes });
            }
        });
        let link = Self { nth, process, control, seconds };
        let space = link.namespace();
        ip(&format!("netns add {space}"));
        ip(&format!("link set far{nth} netns {space}"));
        ip(&format!("addr add 10.77.{nth}.1/24 dev near{nth}"));
        ip(&format!("link set near{nth} up"));
        for words in ["link set lo up", &format!("link set far{nth} up")] {
            ip(&format!("-n {space} {words}"));
        }
        link.give_address(2);
        link.set_as_the_package_does();
        link
    }

    /// The name of the namespace.
    pub(crate) fn namespace(&self) -> String {
        format!("edge{}", self.nth)
    }

    /// The address of a host outside the namespace.
    pub(crate) fn host(&self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 77, self.nth, last))
    }

    /// Applies the kernel settings of the Debian package inside the namespace.
    fn set_as_the_package_does(&self) {
        let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/60-livepeer-edge.conf");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(), "sysctl", "-q", "-p", settings]);
        assert!(command.status().unwrap().success(), "{settings}");
    }

    /// Adds an address outside the namespace.
    pub(crate) fn add_host(&self, last: u8) -> IpAddr {
        ip(&format!("addr add 10.77.{0}.{last}/24 dev near{0}", self.nth));
        self.host(last)
    }

    /// Gives the namespace this address, and a default route.
    pub(crate) fn give_address(&self, last: u8) {
        let (space, nth) = (self.namespace(), self.nth);
        ip(&format!("-n {space} addr add 10.77.{nth}.{last}/24 dev far{nth}"));
        let from = format!("dev far{nth} src 10.77.{nth}.{last}");
        // Devices use CUBIC, and the computer that runs the test may have another default.
        for to in [format!("10.77.{nth}.0/24 {from}"), format!("default via 10.77.{nth}.1 {from}")]
        {
            ip(&format!("-n {space} route replace {to} congctl cubic"));
        }
    }

    /// Removes this address from the namespace.
    pub(crate) fn take_address(&self, last: u8) {
        let (space, nth) = (self.namespace(), self.nth);
        ip(&format!("-n {space} addr del 10.77.{nth}.{last}/24 dev far{nth}"));
    }

    /// Sets the name server of the agent.
    pub(crate) fn resolve_at(&self, server: IpAddr) {
        let folder = format!("/etc/netns/{}", self.namespace());
        fs::create_dir_all(&folder).unwrap();
        fs::write(format!("{folder}/resolv.conf"), format!("nameserver {server}\n")).unwrap();
        fs::write(format!("{folder}/nsswitch.conf"), "hosts: files dns\n").unwrap();
    }

    /// Changes the link. `words` are settings for `link.py`, e.g. `rate=1000000 delay=0.15`. Returns the time.
    pub(crate) fn make(&mut self, words: &str) -> Instant {
        writeln!(self.control, "{words}").unwrap();
        Instant::now()
    }

    /// Starts an orchestrator outside the namespace.
    pub(crate) fn place(&self) -> Place {
        let listen = SocketAddr::new(self.host(1), 0);
        Place::with(Options { listen, ..Options::default() })
    }

    /// Starts `job` inside the namespace.
    pub(crate) fn start(&self, scene: &Scene, job: &Command) -> Program {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace()]);
        command.arg(job.get_program()).args(job.get_args());
        for (name, value) in job.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // The systemd units set this too.
        command.env("RES_OPTIONS", "timeout:1 attempts:2");
        scene.program("agent", command)
    }

    /// The bytes from the agent in each whole second since `then`.
    pub(crate) fn seconds_since(&self, then: Instant) -> Vec<u64> {
        let seconds = self.seconds.lock().unwrap();
        let whole = seconds.iter().filter(|second| second.at >= then + Duration::from_secs(1));
        whole.map(|second| second.bytes).collect()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
