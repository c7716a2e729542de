//! Replays a recording: sends to the sandbox the bytes that clients sent to the real Go trickle server, and compares
//! the answers byte by byte.
//!
//! The recording is tests/fixtures/trickle-transcripts.txt. The replay divides all waits of the recording and all
//! timeouts of the server by [`FASTER`]. Where the recording has no bytes for some time, the sandbox must send none.
//!
//! Not compared:
//! - the end of connections when the recorder stopped its servers (`TEARDOWN`);
//! - how many bytes a writer can send after a 404 until its connection breaks, which depends on the kernel's buffers;
//!   the connection must break.
//!
//! Does not: test cases outside of the recording; `sandbox_faults` and the unit tests of `channel` do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sandbox::{Handle, Options, Sandbox, Timings};

const RECORDING: &str = include_str!("fixtures/trickle-transcripts.txt");
/// The factor by which the replay is faster than the recording.
const FASTER: u32 = 25;
/// The time limit of the wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that ended because the recorder stopped its servers: case and name.
const TEARDOWN: [(&str, &str); 3] =
    [("zz_delete_minus", "get-2b"), ("zz_delete_minus", "pub"), ("abandoned preconnect", "sub7")];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Send(Vec<u8>),
    /// The send before this event must fail.
    SendFails,
    /// Sends bytes until the connection breaks.
    SendUntilBroken,
    Reset,
    Fin,
    Receive(Vec<u8>),
    ReceiveFin,
    /// The sweep deletes a channel while a long segment is written: its subscriber gets a part of the segment, then the
    /// end.
    Sweep,
    Remark,
}

#[derive(Debug, Clone)]
struct Line {
    at: Duration,
    who: String,
    event: Event,
    text: String,
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}

fn parse(line: &str) -> Line {
    let (at, rest) = line.trim_start().split_once(' ').unwrap();
    let at = Duration::from_secs_f64(at.parse().unwrap());
    let mut words = rest.splitn(3, ' ');
    let (who, mark, text) =
        (words.next().unwrap(), words.next().unwrap_or(""), words.next().unwrap_or(""));
    let event = match (mark, text) {
        (">", "[RST]") => Event::Reset,
        (">", "[FIN without last chunk]") => Event::Fin,
        (">", "[send failed: BrokenPipeError]") => Event::SendFails,
        (">", text) if text.starts_with("after ") => Event::SendUntilBroken,
        (">", text) => Event::Send(unescape(text)),
        ("<", "[FIN from the server]") => Event::ReceiveFin,
        ("<", text) => Event::Receive(unescape(text)),
        ("received", _) => Event::Sweep,
        (_, _) => Event::Remark,
    };
    Line { at, who: who.to_owned(), event, text: line.to_owned() }
}

/// The recording, case by case.
fn cases() -> Vec<(String, Vec<Line>)> {
    let mut cases: Vec<(String, Vec<Line>)> = Vec::new();
    for line in RECORDING.lines().filter(|l| !l.is_empty() && !l.starts_with("# ")) {
        match line.strip_prefix("### ") {
            Some(name) => cases.push((name.to_owned(), Vec::new())),
            None => cases.last_mut().unwrap().1.push(parse(line)),
        }
    }
    for (name, lines) in &mut cases {
        mend(name, lines);
    }
    cases
}

/// Corrects the events that the recorder wrote late or not at all.
fn mend(name: &str, lines: &mut Vec<Line>) {
    lines.retain(|line| {
        let teardown =
            TEARDOWN.iter().any(|(case, who)| name.starts_with(case) && line.who == *who);
        !(teardown && line.event == Event::ReceiveFin)
    });
    // The recorder logged these sends when they ended, after the events that they caused, and logged one answer between
    // two sends of the same millisecond.
    while let Some(at) = (1..lines.len()).find(|at| {
        let (before, line) = (&lines[at - 1], &lines[*at]);
        let caused = match &before.event {
            Event::Receive(_) => line.event == Event::Fin,
            Event::ReceiveFin => matches!(line.event, Event::Fin | Event::SendUntilBroken),
            Event::Send(_)
            | Event::SendFails
            | Event::SendUntilBroken
            | Event::Reset
            | Event::Fin
            | Event::Sweep
            | Event::Remark => false,
        };
        let raced = matches!(before.event, Event::Send(_))
            && name.starts_with("minus_post")
            && line.text.ends_with(r"2\r\nP \r\n")
            && before.who == "pre'";
        (caused && before.who == line.who) || raced
    }) {
        lines.swap(at - 1, at);
    }
    // The recorder did not log the answers to these requests.
    if name.starts_with("abort_retry") {
        for seq in 3..=8 {
            let post = format!("POST /ai/trickle/ar/{seq} ");
            let begin = lines.iter().position(|line| line.text.contains(&post)).unwrap();
            let end = begin
                + lines[begin..].iter().position(|l| l.text.ends_with(r"> 0\r\n\r\n")).unwrap();
            let answer = format!(
                r"{} pub < HTTP/1.1 200 OK\r\nLp-Trickle-Seq: {seq}\r\nContent-Length: 0\r\n\r\n",
                lines[end].at.as_secs_f64()
            );
            lines.insert(end + 1, parse(&answer));
        }
    }
}

/// Sandboxes in place of the recorded servers: with autocreate, without autocreate, and with a short sweep interval.
struct Servers {
    auto: Handle,
    strict: Handle,
    sweeping: Handle,
}

impl Servers {
    fn start() -> Self {
        let timings = Timings {
            continue_every: Duration::from_secs(10) / FASTER,
            linger: Duration::from_millis(500) / FASTER,
            ..Timings::default()
        };
        let options = Options { plain_http: true, timings, ..Options::default() };
        let strict = Sandbox::start(options.clone()).unwrap();
        for i in 1..=5 {
            strict.create_channel(&format!("pre{i}"), "video/MP2T");
        }
        let options = Options { autocreate: true, ..options };
        let sweep = Duration::from_secs(1) / FASTER;
        let timings = Timings { idle: 4 * sweep, sweep, ..timings };
        let sweeping = Sandbox::start(Options { timings, ..options.clone() }).unwrap();
        Self { auto: Sandbox::start(options).unwrap(), strict, sweeping }
    }

    /// The server that has the channel of this request.
    fn address(&self, request: &[u8]) -> SocketAddr {
        let request = String::from_utf8_lossy(request);
        let name = request.split('/').nth(3).unwrap().split([' ', '/']).next().unwrap();
        match name {
            "nope" | "ghost" => self.strict.address(),
            name if name.starts_with("pre") => self.strict.address(),
            "sw" | "lg" => self.sweeping.address(),
            _ => self.auto.address(),
        }
    }
}

struct Connection {
    tcp: TcpStream,
    ended: bool,
}

impl Connection {
    fn open(server: SocketAddr) -> Self {
        let tcp = TcpStream::connect(server).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { tcp, ended: false }
    }

    /// The bytes that have arrived but were not read.
    fn unread(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        self.tcp.set_nonblocking(true).unwrap();
        let read = self.tcp.peek(&mut bytes).unwrap_or(0);
        self.tcp.set_nonblocking(false).unwrap();
        bytes.truncate(read);
        bytes
    }

    #[track_caller]
    fn receive(&mut self, expected: &[u8], line: &str) {
        let mut received = Vec::new();
        let mut byte = [0];
        while received.len() < expected.len() {
            match self.tcp.read(&mut byte) {
                Ok(1) => received.push(byte[0]),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error} at\n{line}"),
            }
        }
        let (received, expected) =
            (String::from_utf8_lossy(&received), String::from_utf8_lossy(expected));
        assert_eq!(received, expected, "at\n{line}");
    }

    fn send_until_broken(&mut self, bytes: &[u8]) {
        let begin = Instant::now();
        while self.tcp.write_all(bytes).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "the connection does not break");
        }
    }
}

struct Replay {
    servers: Servers,
    connections: HashMap<(String, SocketAddr), Connection>,
    /// The server to which each name sent last.
    last: HashMap<String, SocketAddr>,
    /// The name that sent last.
    sender: Option<String>,
    /// The thread that writes a long segment until the sweep deletes the channel.
    writer: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Replay {
    fn connection(&mut self, who: &str) -> &mut Connection {
        let key = (who.to_owned(), self.last[who]);
        self.connections.get_mut(&key).unwrap()
    }

    /// Asserts that no byte comes for `time`, and that all bytes were read.
    #[track_caller]
    fn quiet(&self, time: Duration, line: &str) {
        std::thread::sleep(time);
        for ((who, _), connection) in &self.connections {
            let unread = connection.unread();
            let unread = String::from_utf8_lossy(&unread);
            assert_eq!(unread, "", "{who} received too much before\n{line}");
        }
    }

    fn case(&mut self, name: &str, lines: &[Line]) {
        for (at, line) in lines.iter().enumerate() {
            let gap = at
                .checked_sub(1)
                .map_or(Duration::ZERO, |before| line.at - lines[before].at.min(line.at));
            let receives =
                matches!(line.event, Event::Receive(_) | Event::ReceiveFin | Event::Sweep);
            if !receives && gap >= Duration::from_millis(100) && !name.starts_with("idle_sweep") {
                self.quiet((gap / FASTER).max(Duration::from_millis(4)), &line.text);
            }
            let fails = lines.get(at + 1).is_some_and(|next| next.event == Event::SendFails);
            self.play(line, fails);
        }
        self.quiet(Duration::from_millis(4), "the end of the case");
    }

    fn play(&mut self, line: &Line, fails: bool) {
        let who = line.who.as_str();
        match &line.event {
            Event::Send(bytes) if fails => self.connection(who).send_until_broken(bytes),
            Event::Send(bytes) => {
                // Bytes of another connection that were sent earlier must arrive earlier.
                if self.sender.replace(who.to_owned()).is_some_and(|last| last != who) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                if bytes.windows(8).any(|w| w == b"HTTP/1.1") {
                    let server = self.servers.address(bytes);
                    let key = (who.to_owned(), server);
                    self.last.insert(who.to_owned(), server);
                    if self.connections.get(&key).is_none_or(|c| c.ended) {
                        self.connections.insert(key, Connection::open(server));
                    }
                }
                self.connection(who).tcp.write_all(bytes).unwrap();
                if who == "long" && bytes == b"1\r\nx\r\n" {
                    self.write_on();
                }
            }
            Event::Receive(bytes) => self.connection(who).receive(bytes, &line.text),
            Event::ReceiveFin => {
                let connection = self.connection(who);
                let mut rest = Vec::new();
                // A close with unread bytes is a reset, which also counts as an end.
                let _reset = connection.tcp.read_to_end(&mut rest).is_err();
                assert_eq!(String::from_utf8_lossy(&rest), "", "at\n{}", line.text);
                connection.ended = true;
            }
            Event::Fin => self.connection(who).tcp.shutdown(Shutdown::Write).unwrap(),
            Event::Reset => {
                let key = (who.to_owned(), self.last[who]);
                reset(self.connections.remove(&key).unwrap());
            }
            Event::SendUntilBroken => self.connection(who).send_until_broken(&[b'1'; 1 << 16]),
            Event::Sweep => self.sweep(),
            Event::SendFails | Event::Remark => {}
        }
    }

    /// Starts a thread that writes a byte every 2 ms. The recorded client wrote more slowly.
    fn write_on(&mut self) {
        let (stop, stopped) = mpsc::channel::<()>();
        let mut tcp = self.connection("long").tcp.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let wait = Duration::from_millis(2);
            while stopped.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Timeout) {
                tcp.write_all(b"1\r\nx\r\n").unwrap();
            }
        });
        self.writer = Some((stop, thread));
    }

    /// Waits until the sweep ends the subscriber while its segment is being written.
    fn sweep(&mut self) {
        let begin = Instant::now();
        let subscriber = loop {
            let subscriber = self.connection("sub").unread();
            if subscriber.ends_with(b"\r\n0\r\n\r\n") {
                break subscriber;
            }
            assert!(begin.elapsed() < PATIENCE, "the channel is not swept");
            std::thread::sleep(Duration::from_millis(1));
        };
        let (stop, thread) = self.writer.take().unwrap();
        drop(stop);
        thread.join().unwrap();
        let text = String::from_utf8(subscriber.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nLp-Trickle-Latest: 1\r\n\
             Lp-Trickle-Seq: 0\r\nTransfer-Encoding: chunked"
        );
        let written = body.matches('x').count();
        assert!(written > 10, "the subscriber got {written} bytes");
        self.connection("sub").receive(&subscriber, "");
    }
}

/// Ends a connection with an RST.
fn reset(connection: Connection) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        connection.tcp.set_nonblocking(true).unwrap();
        let tcp = tokio::net::TcpStream::from_std(connection.tcp).unwrap();
        tcp.set_zero_linger().unwrap();
    });
}

fn publish(server: SocketAddr, name: &str, seq: u32) {
    let mut connection = Connection::open(server);
    let request = format!(
        "POST /ai/trickle/{name}/{seq} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n\
         Content-Length: 4\r\n\r\nseg{seq}",
        if name == "w" { "" } else { "video/mp2t" }
    );
    connection.tcp.write_all(request.as_bytes()).unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\nLp-Trickle-Seq: {seq}\r\nContent-Length: 0\r\n\r\n");
    connection.receive(answer.as_bytes(), "publish");
}

#[test]
fn the_sandbox_gives_the_answers_of_the_real_server() {
    let mut replay = Replay {
        servers: Servers::start(),
        connections: HashMap::new(),
        last: HashMap::new(),
        sender: None,
        writer: None,
    };
    let cases = cases();
    assert_eq!(cases.len(), 25, "the recording has changed");
    for (name, lines) in &cases {
        let begin = Instant::now();
        let auto = replay.servers.auto.address();
        match name.split([':', ' ']).next().unwrap() {
            "expired" => (0..7).for_each(|seq| publish(auto, "ex", seq)),
            "window" => (0..7).for_each(|seq| publish(auto, "w", seq)),
            _ => {}
        }
        if !name.starts_with("abandoned") {
            replay.connections.clear();
        }
        replay.case(name, lines);
        println!("{:6.3} s {name}", begin.elapsed().as_secs_f64());
    }
}
