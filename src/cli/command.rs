//! The commands: their table, and what a command line comes to.
//!
//! Does not: read arguments; `parse` does, by this table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the job of a configuration until a signal.
    Run(Settings),
    /// Run a job on a sandbox in this process.
    Demo {
        /// How long; `None` until a signal.
        time: Option<Duration>,
        /// The configuration.
        settings: Settings,
    },
    /// Run an orchestrator for others to build against.
    Sandbox {
        /// Where it listens.
        listen: SocketAddr,
        /// Where its signer listens, if it has one.
        signer: Option<SocketAddr>,
        /// It wants to be paid.
        paying: bool,
    },
    /// Print the problems of a configuration.
    CheckConfig(Settings),
    /// Write a first configuration.
    Setup {
        /// Where to, and what is known already.
        settings: Settings,
        /// Whether a configuration that is there may go.
        replace: bool,
    },
    /// Show the cameras, encoders and microphones of this machine.
    Devices {
        /// As JSON, for programs.
        json: bool,
        /// The configuration.
        settings: Settings,
    },
    /// Show the orchestrators and runners that can be found.
    Discover {
        /// As JSON, for programs.
        json: bool,
        /// The configuration.
        settings: Settings,
    },
    /// Call a single-shot runner.
    Call {
        /// The file that is sent; `-` for standard input.
        data: PathBuf,
        /// Its type.
        content_type: String,
        /// The path below the runner's URL.
        path: Option<String>,
        /// The configuration.
        settings: Settings,
    },
    /// Show or forget the pinned certificates.
    Trust {
        /// The one to forget, by host or host and port; `None` to show all.
        forget: Option<String>,
        /// The configuration.
        settings: Settings,
    },
    /// Print help.
    Help(Topic),
    /// Print the version.
    Version,
}

/// Where a configuration comes from, apart from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The file.
    pub file: Option<PathBuf>,
    /// Keys and values of the command line, in their order.
    pub keys: Vec<(String, String)>,
}

/// What help is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The program.
    Program,
    /// One command, by its name.
    Command(&'static str),
    /// The configuration: a complete example file.
    Config,
    /// The manual page, for packages.
    Man,
}

/// A command as help shows it and arguments are read.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its arguments without dashes, if it takes any: so many words, so many arguments.
    pub operand: Option<&'static str>,
    /// Its options.
    pub flags: &'static [Flag],
    /// Whether it takes every key of the configuration as `--section.key VALUE`.
    pub takes_keys: bool,
    /// What it does, in one or two sentences.
    pub what: &'static str,
}

/// An option.
#[derive(Debug)]
pub struct Flag {
    /// Its name without dashes.
    pub name: &'static str,
    /// What its value is called; empty if it takes none.
    pub value: &'static str,
    /// What it means.
    pub what: &'static str,
}

impl Flag {
    /// The option as it is written: `--config FILE`, `--json`.
    pub fn usage(&self) -> String {
        format!("--{} {}", self.name, self.value).trim_end().to_owned()
    }
}

const SOURCE: Flag = Flag {
    name: "source",
    value: "SOURCE",
    what: "test, auto, libcamera, nvargus, PATH, file:PATH, v4l2:DEVICE, rtsp://HOST/PATH or pipeline:FRAGMENT.",
};
const CONFIG: Flag = Flag { name: "config", value: "FILE", what: "The configuration, in TOML." };

/// The commands of this build.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| cfg!(feature = "sandbox") || !NEED_SANDBOX.contains(&row.name))
}

/// Commands that a build without the feature `sandbox` does not have.
pub(super) const NEED_SANDBOX: [&str; 2] = ["demo", "sandbox"];

static ROWS: [Row; 10] = [
    Row {
        name: "run",
        operand: None,
        flags: &[CONFIG],
        takes_keys: true,
        what: "Captures the camera, runs the job, brings the video back. Ends at SIGINT or SIGTERM.",
    },
    Row {
        name: "demo",
        operand: None,
        flags: &[
            CONFIG,
            Flag { name: "seconds", value: "N", what: "How long, 1 to 86400; else until Ctrl-C." },
            SOURCE,
            Flag {
                name: "output",
                value: "FILE",
                what: "Gets the returned video, as MPEG-TS; - for standard output.",
            },
        ],
        takes_keys: true,
        what: "Runs the whole way on this machine: agent and orchestrator in one process, over real \
               sockets. Exit code 1 if anything was lost or violated.",
    },
    Row {
        name: "sandbox",
        operand: None,
        flags: &[
            Flag {
                name: "listen",
                value: "ADDRESS",
                what: "IP address and port; 127.0.0.1:8935 if not given.",
            },
            Flag {
                name: "signer",
                value: "ADDRESS",
                what: "Runs a signer too, here. Its key is known to everybody and worth nothing.",
            },
            Flag {
                name: "paying",
                value: "",
                what: "Wants to be paid for jobs and runners, by such a signer.",
            },
        ],
        takes_keys: false,
        what: "Runs an orchestrator that echoes the video, and its runners, for people who build against \
               them.",
    },
    Row {
        name: "setup",
        operand: None,
        flags: &[
            Flag {
                name: "config",
                value: "FILE",
                what: "Where to write; /etc/livepeer-edge/livepeer-edge.toml if not given.",
            },
            SOURCE,
            Flag { name: "output", value: "FILE", what: "Gets the returned video, as MPEG-TS." },
            Flag {
                name: "existing",
                value: "WORD",
                what: "keep (by itself) or replace a configuration that is there.",
            },
        ],
        takes_keys: true,
        what: "Writes a first configuration. At a terminal it asks for what the options do not say.",
    },
    Row {
        name: "check-config",
        operand: Some("FILE"),
        flags: &[],
        takes_keys: true,
        what: "Says whether a configuration is right, and if not, everything that is wrong with it.",
    },
    Row {
        name: "devices",
        operand: None,
        flags: &[CONFIG, Flag { name: "json", value: "", what: "Prints JSON, for programs." }],
        takes_keys: true,
        what: "Shows the cameras, encoders and microphones of this machine, by the names that the \
               configuration takes, and tries each.",
    },
    Row {
        name: "discover",
        operand: None,
        flags: &[CONFIG, Flag { name: "json", value: "", what: "Prints JSON, for programs." }],
        takes_keys: true,
        what: "Shows the orchestrators and runners that can be found: what they offer, at which price, \
               and why some are out of the question.",
    },
    Row {
        name: "call",
        operand: None,
        flags: &[
            CONFIG,
            Flag { name: "app", value: "NAME", what: "The app of the runner; else runner.app." },
            Flag {
                name: "path",
                value: "PATH",
                what: "The path of the app that is called, such as /v1/images; its root if not given.",
            },
            Flag { name: "data", value: "FILE", what: "What is sent; - for standard input." },
            Flag {
                name: "type",
                value: "TYPE",
                what: "The type of what is sent; application/json if not given.",
            },
        ],
        takes_keys: true,
        what: "Calls a single-shot runner, pays it, and writes its answer to standard output as it comes.",
    },
    Row {
        name: "trust",
        operand: Some("list|forget HOST"),
        flags: &[CONFIG],
        takes_keys: true,
        what: "Shows the certificates that are pinned, or forgets those of a host or of host:port. \
               An agent that runs goes on with what it knows.",
    },
    Row {
        name: "help",
        operand: Some("TOPIC"),
        flags: &[],
        takes_keys: false,
        what: "Explains a command; `help config` prints a complete configuration file.",
    },
];
