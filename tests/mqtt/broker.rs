//! Runs the MQTT broker mosquitto for a test, and a client that receives everything published on the broker.
//!
//! Does not: outlive its test; both programs are killed when they are dropped.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::scratch::Scratch;

/// The time limit of each wait: a longer wait means that the test hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// A topic with a message that the broker keeps, by which a listener notices that it is subscribed.
const READY: &str = "test/ready";
/// The number of attempts to start on a free port: another program may take the port before mosquitto does.
const PORTS: usize = 10;

/// A child process that is killed when the value is dropped.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running mosquitto.
pub(crate) struct Broker {
    program: Option<Program>,
    /// The port that accepts clients without a password.
    pub(crate) port: u16,
    /// The port with the settings of the test.
    pub(crate) own_port: u16,
    settings: String,
    directory: Scratch,
}

impl Broker {
    /// Starts a broker that accepts every client.
    pub(crate) fn start() -> Self {
        Self::with("", &[])
    }

    /// Starts a broker whose second port has these settings. `files` are names and contents of files in a directory,
    /// which `settings` call `DIR`.
    pub(crate) fn with(settings: &str, files: &[(&str, &str)]) -> Self {
        let directory = Scratch::new("mosquitto");
        std::fs::create_dir_all(&*directory).unwrap();
        for (name, content) in files {
            std::fs::write(directory.join(name), content).unwrap();
        }
        let settings = settings.replace("DIR", &directory.to_string_lossy());
        let mut broker = Self { program: None, port: 0, own_port: 0, settings, directory };
        for _ in 0..PORTS {
            // Both listeners stay open until both ports are known, so that the ports differ.
            let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            [broker.port, broker.own_port] =
                free.each_ref().map(|l| l.local_addr().unwrap().port());
            drop(free);
            if broker.run() {
                return broker;
            }
        }
        panic!("mosquitto does not start; cross/setup.sh installs it");
    }

    /// Starts mosquitto. Returns whether it listens.
    fn run(&mut self) -> bool {
        let Self { port, own_port, settings, .. } = self;
        let config = format!(
            "per_listener_settings true\nuser root\nlog_dest stderr\nlog_type all\nlistener {port} 127.0.0.1\nallow_anonymous true\nlistener {own_port} 127.0.0.1\n{}\n",
            if settings.is_empty() { "allow_anonymous true" } else { settings }
        );
        let file = self.directory.join("mosquitto.conf");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new("mosquitto")
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto, which cross/setup.sh installs");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        self.program = Some(Program(child));
        let runs = lines.by_ref().map_while(Result::ok).any(|line| line.contains(" running"));
        // The rest of the output is not needed, but must be read: a full pipe would block mosquitto.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        runs
    }

    /// Kills mosquitto.
    pub(crate) fn stop(&mut self) {
        self.program = None;
    }

    /// Starts mosquitto again on the same ports, without its earlier messages.
    pub(crate) fn start_again(&mut self) {
        assert!(self.run(), "another program has taken the port meanwhile");
    }

    /// Subscribes to all topics. The broker sends its retained messages first.
    pub(crate) fn listen(&self) -> Ear {
        self.listen_to(&["-t", "#"], "%p")
    }

    /// The same without this topic, whose messages are not text.
    #[cfg(feature = "sandbox")]
    pub(crate) fn listen_but(&self, topic: &str) -> Ear {
        self.listen_to(&["-t", "#", "-T", topic], "%p")
    }

    /// Listens to this topic, and gives the messages in hexadecimal.
    #[cfg(feature = "sandbox")]
    pub(crate) fn listen_hex(&self, topic: &str) -> Ear {
        self.listen_to(&["-t", topic], "%x")
    }

    fn listen_to(&self, topics: &[&str], payload: &str) -> Ear {
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-q", "1", "-p", &self.port.to_string()])
            .args(topics)
            .args(["-t", READY])
            .args(["-F", &format!("%r %q %t {payload}")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub, which cross/setup.sh installs");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ((say, heard), (ready, is_ready)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            lines.map_while(Result::ok).map(|line| Message::of(&line)).all(|message| {
                if message.topic == READY {
                    // Nobody waits for a second one.
                    let _ = ready.send(());
                    return true;
                }
                say.send(message).is_ok()
            });
        });
        let (program, known) = (Program(child), RefCell::default());
        self.publish_kept(READY, "ready");
        is_ready.recv_timeout(LIMIT).expect("a subscription");
        Ear { _program: program, heard, known }
    }

    /// Publishes a message, which the broker has taken when this returns.
    pub(crate) fn publish(&self, topic: &str, message: &str) {
        self.run_publisher(topic, &["-q", "1", "-s"], message);
    }

    /// Publishes a message that the broker keeps.
    pub(crate) fn publish_kept(&self, topic: &str, message: &str) {
        self.run_publisher(topic, &["-q", "1", "-r", "-s"], message);
    }

    /// Publishes many messages at once.
    pub(crate) fn flood(&self, topic: &str, count: usize) {
        self.run_publisher(topic, &["-q", "0", "-l"], &"x\n".repeat(count));
    }

    fn run_publisher(&self, topic: &str, how: &[&str], input: &str) {
        let mut child = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic])
            .args(how)
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub, which cross/setup.sh installs");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{topic}");
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The broker sent it as a retained message.
    pub(crate) is_kept: bool,
    pub(crate) qos: u8,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

impl Message {
    fn of(line: &str) -> Self {
        let mut parts = line.splitn(4, ' ');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (is_kept, qos) = (part() == "1", part().parse().unwrap());
        Self { is_kept, qos, topic: part(), payload: part() }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|e| panic!("{e}: {}", self.payload))
    }
}

/// The messages that a broker sends to a subscriber.
pub(crate) struct Ear {
    _program: Program,
    heard: Receiver<Message>,
    /// All messages, each with whether a test has waited for it.
    known: RefCell<Vec<(Message, bool)>>,
}

impl Ear {
    /// Waits for a message whose topic ends with `topic`, and was not returned before.
    #[track_caller]
    pub(crate) fn hear(&self, topic: &str) -> Message {
        self.hear_if(topic, |_| true)
    }

    /// Waits for a message whose topic ends with `topic` and that `fits`.
    #[track_caller]
    pub(crate) fn hear_if(&self, topic: &str, fits: impl Fn(&Message) -> bool) -> Message {
        let heard = self.hear_within(LIMIT, topic, fits);
        heard.unwrap_or_else(|| panic!("nothing on {topic} in {:#?}", self.known.borrow()))
    }

    /// The same if it comes soon.
    pub(crate) fn hear_soon(
        &self,
        topic: &str,
        fits: impl Fn(&Message) -> bool,
    ) -> Option<Message> {
        self.hear_within(Duration::from_millis(500), topic, fits)
    }

    /// All messages up to now.
    pub(crate) fn so_far(&self) -> Vec<Message> {
        let mut known = self.known.borrow_mut();
        known.extend(self.heard.try_iter().map(|message| (message, false)));
        known.iter().map(|(message, _)| message.clone()).collect()
    }

    fn hear_within(
        &self,
        limit: Duration,
        topic: &str,
        fits: impl Fn(&Message) -> bool,
    ) -> Option<Message> {
        let by = Instant::now() + limit;
        let mut known = self.known.borrow_mut();
        let is_it = |message: &Message| message.topic.ends_with(topic) && fits(message);
        if let Some((message, is_used)) =
            known.iter_mut().find(|(message, is_used)| !is_used && is_it(message))
        {
            *is_used = true;
            return Some(message.clone());
        }
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let message = self.heard.recv_timeout(left).ok()?;
            let is_it = is_it(&message);
            known.push((message.clone(), is_it));
            if is_it {
                return Some(message);
            }
        }
    }
}
