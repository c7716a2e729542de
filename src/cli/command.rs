//! The table of commands, and the command that a command line asks for.
//!
//! Does not: parse arguments; `parse` does, by this table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::completions::Shell;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the job of a configuration until a signal.
    Run(Settings),
    /// Run a job on a sandbox in this process.
    Demo {
        /// The time to run; `None` until a signal.
        time: Option<Duration>,
        /// The configuration.
        settings: Settings,
    },
    /// Run a local orchestrator for development.
    Sandbox {
        /// The address of the orchestrator.
        listen: SocketAddr,
        /// The address of the signer, if one is wanted.
        signer: Option<SocketAddr>,
        /// Whether jobs have to be paid.
        paying: bool,
    },
    /// Print the problems of a configuration.
    CheckConfig(Settings),
    /// Write a first configuration.
    Setup {
        /// The file to write, and the keys that are given.
        settings: Settings,
        /// Whether an existing configuration may be replaced.
        replace: bool,
    },
    /// Show the cameras, encoders and microphones of this computer.
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
        /// The file with the request body; `-` for standard input.
        data: PathBuf,
        /// The content type of the request body.
        content_type: String,
        /// The path below the runner's URL.
        path: Option<String>,
        /// The configuration.
        settings: Settings,
    },
    /// Show or remove the pinned certificates.
    Trust {
        /// The host, or host and port, whose pins are removed; `None` to show all.
        forget: Option<String>,
        /// The configuration.
        settings: Settings,
    },
    /// Ask a running agent.
    Ask {
        /// The question.
        question: Question,
        /// The configuration.
        settings: Settings,
    },
    /// Check everything that a job needs.
    Check {
        /// As JSON, for programs.
        json: bool,
        /// The configuration.
        settings: Settings,
    },
    /// Print the completion for a shell.
    Completions(Shell),
    /// Print help.
    Help(Topic),
    /// Print the version.
    Version,
}

/// A question to a running agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Show its state.
    Status {
        /// Again every second.
        watch: bool,
        /// As JSON, for programs.
        json: bool,
    },
    /// Write its newest picture to a file.
    Snapshot {
        /// The file; `-` for standard output.
        path: PathBuf,
        /// The stream: `input` or `output`.
        stream: &'static str,
    },
    /// Show or change the parameters of its job.
    Params {
        /// The JSON object; `None` to show the present parameters.
        params: Option<String>,
        /// Whether it takes the place of the present parameters.
        replace: bool,
    },
}

/// The sources of a configuration, apart from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The file.
    pub file: Option<PathBuf>,
    /// Keys and values of the command line, in their order.
    pub keys: Vec<(String, String)>,
}

/// A topic of help.
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

/// A row of the table of commands: for the help texts and the parser.
#[derive(Debug)]
pub struct Row {
    /// The name of the command.
    pub name: &'static str,
    /// The arguments of the command without dashes, if it takes any: one word for each argument.
    pub operand: Option<&'static str>,
    /// The options of the command.
    pub flags: &'static [Flag],
    /// Whether it takes every key of the configuration as `--section.key VALUE`.
    pub takes_keys: bool,
    /// The description for the user: one or two sentences.
    pub what: &'static str,
}

/// An option.
#[derive(Debug)]
pub struct Flag {
    /// The name of the option without dashes.
    pub name: &'static str,
    /// The placeholder of the option's value; empty for a flag.
    pub value: &'static str,
    /// The description for the user.
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

static ROWS: [Row; 15] = [
    Row {
        name: "run",
        operand: None,
        flags: &[CONFIG],
        takes_keys: true,
        what: "Captures the camera, runs the job, receives the processed video. Ends at SIGINT or SIGTERM.",
    },
    Row {
        name: "demo",
        operand: None,
        flags: &[
            CONFIG,
            Flag {
                name: "seconds",
                value: "N",
                what: "The time to run, 1 to 86400; until Ctrl-C if not given.",
            },
            SOURCE,
            Flag {
                name: "output",
                value: "FILE",
                what: "The file for the processed video, as MPEG-TS; - for standard output.",
            },
        ],
        takes_keys: true,
        what: "Runs a job on this computer alone: agent and orchestrator in one process, over real \
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
                what: "Also runs a signer at this address. Its key is public and without value.",
            },
            Flag {
                name: "paying",
                value: "",
                what: "Requires payment for jobs and runners, by such a signer.",
            },
        ],
        takes_keys: false,
        what: "Runs an orchestrator that echoes the video, and its runners, to develop against.",
    },
    Row {
        name: "setup",
        operand: None,
        flags: &[
            Flag {
                name: "config",
                value: "FILE",
                what: "The file to write; /etc/livepeer-edge/livepeer-edge.toml if not given.",
            },
            SOURCE,
            Flag {
                name: "output",
                value: "FILE",
                what: "The file for the processed video, as MPEG-TS.",
            },
            Flag {
                name: "existing",
                value: "WORD",
                what: "keep (the default) or replace an existing configuration.",
            },
        ],
        takes_keys: true,
        what: "Writes a first configuration. At a terminal it asks for the settings that the options do not give.",
    },
    Row {
        name: "check",
        operand: None,
        flags: &[
            Flag {
                name: "config",
                value: "FILE",
                what: "The configuration, in TOML; that of the service if neither it nor a key is given.",
            },
            Flag { name: "json", value: "", what: "Prints JSON, for programs." },
        ],
        takes_keys: true,
        what: "Checks all that a job needs, from the camera to the price, and says what to do. Nothing is \
               started or paid. Exit code 1 if a check failed.",
    },
    Row {
        name: "check-config",
        operand: Some("FILE"),
        flags: &[],
        takes_keys: true,
        what: "Checks a configuration and prints all problems.",
    },
    Row {
        name: "devices",
        operand: None,
        flags: &[CONFIG, Flag { name: "json", value: "", what: "Prints JSON, for programs." }],
        takes_keys: true,
        what: "Shows the cameras, encoders and microphones of this computer, by the names that the \
               configuration takes, and tests each of them.",
    },
    Row {
        name: "discover",
        operand: None,
        flags: &[CONFIG, Flag { name: "json", value: "", what: "Prints JSON, for programs." }],
        takes_keys: true,
        what: "Shows the orchestrators and runners that can be found: what they offer, at which price, \
               and why some are rejected.",
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
            Flag { name: "data", value: "FILE", what: "The file to send; - for standard input." },
            Flag {
                name: "type",
                value: "TYPE",
                what: "The content type of the data; application/json if not given.",
            },
        ],
        takes_keys: true,
        what: "Calls a single-shot runner, pays it, and writes its answer to standard output as it arrives.",
    },
    Row {
        name: "trust",
        operand: Some("list|forget HOST"),
        flags: &[CONFIG],
        takes_keys: true,
        what: "Shows the pinned certificates, or removes those of a host or of host:port. \
               A running agent keeps the pins that it has loaded.",
    },
    Row {
        name: "status",
        operand: None,
        flags: &[
            CONFIG,
            Flag { name: "watch", value: "", what: "Shows it again every second, until Ctrl-C." },
            Flag { name: "json", value: "", what: "Prints JSON, for programs." },
        ],
        takes_keys: true,
        what: "Shows the state of the running agent: each link from the camera to the outputs, why it \
               waits or failed, and what to do.",
    },
    Row {
        name: "snapshot",
        operand: Some("FILE"),
        flags: &[
            CONFIG,
            Flag { name: "stream", value: "STREAM", what: "output (the default) or input." },
        ],
        takes_keys: true,
        what: "Writes the newest picture of the running agent to a file, as JPEG; - for standard output.",
    },
    Row {
        name: "params",
        operand: Some("[JSON]"),
        flags: &[
            CONFIG,
            Flag {
                name: "replace",
                value: "",
                what: "The object takes the place of all parameters; else it is merged into them.",
            },
        ],
        takes_keys: true,
        what: "Shows the parameters of the running job, or changes them by a JSON object and says \
               whether the model took them.",
    },
    Row {
        name: "completions",
        operand: Some("bash|zsh|fish"),
        flags: &[],
        takes_keys: false,
        what: "Prints the completion of commands, options and keys for a shell.",
    },
    Row {
        name: "help",
        operand: Some("TOPIC"),
        flags: &[],
        takes_keys: false,
        what: "Explains a command; `help config` prints a complete configuration file.",
    },
];
