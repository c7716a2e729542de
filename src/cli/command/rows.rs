//! The table of commands. **To add a command, add a row**, and a variant of `Command`.
//!
//! Does not: parse arguments; `parse` does, by this table.

use super::{Flag, Row};

const SOURCE: Flag = Flag {
    name: "source",
    value: "SOURCE",
    what: "test, auto, libcamera, nvargus, PATH, file:PATH, v4l2:DEVICE, rtsp://HOST/PATH or pipeline:FRAGMENT.",
};
const CONFIG: Flag = Flag { name: "config", value: "FILE", what: "The configuration, in TOML." };

pub(super) static ROWS: [Row; 18] = [
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
        name: "job",
        operand: Some("start|stop|auto"),
        flags: &[
            CONFIG,
            Flag {
                name: "for",
                value: "TIME",
                what: "The time of a start, such as 10min; then job.when decides again. Until another wish if not given.",
            },
        ],
        takes_keys: true,
        what: "Starts or stops the job of the running agent, or lets job.when decide (auto). The agent keeps \
               the wish over restarts. While no job runs, capture goes on, and nothing is sent or paid.",
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
        name: "spend",
        operand: None,
        flags: &[CONFIG, Flag { name: "json", value: "", what: "Prints JSON, for programs." }],
        takes_keys: true,
        what: "Shows what was paid today and this month, for each orchestrator and model, and what is left \
               of the budget. It needs no running agent.",
    },
    Row {
        name: "budget",
        operand: Some("[add AMOUNT]"),
        flags: &[CONFIG],
        takes_keys: true,
        what: "Shows the budgets of the running agent, or adds an amount such as 0.01ETH or 1GB to one for the \
               present period. A job that waits for it starts again.",
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
