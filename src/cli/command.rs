//! The command that a command line asks for, and what the table of commands is made of.
//!
//! Does not: parse arguments; `parse` does, by this table.

mod rows;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::completions::Shell;
use crate::agent::JobWish;

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
    /// Show what was paid.
    Spend {
        /// As JSON, for programs.
        json: bool,
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
    /// Start or stop its job.
    Job(JobWish),
    /// Show or change the parameters of its job.
    Params {
        /// The JSON object; `None` to show the present parameters.
        params: Option<String>,
        /// Whether it takes the place of the present parameters.
        replace: bool,
    },
    /// Show or raise its budget.
    Budget {
        /// The amount to add for the present period; `None` to show the budget.
        add: Option<String>,
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

/// The commands of this build.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    rows::ROWS.iter().filter(|row| cfg!(feature = "sandbox") || !NEED_SANDBOX.contains(&row.name))
}

/// Commands that a build without the feature `sandbox` does not have.
pub(super) const NEED_SANDBOX: [&str; 2] = ["demo", "sandbox"];
