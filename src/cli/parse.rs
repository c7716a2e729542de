//! Parses arguments into a [`Command`], by the table of commands.
//!
//! Does not: check values of configuration keys; the configuration does, with all other problems.

mod usage;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use lexopt::Arg;

use super::command::{Command, Flag, NEED_SANDBOX, Question, Row, Settings, Topic, rows};
use super::completions::Shell;
use super::source::source_keys;
use crate::agent::JobWish;
use crate::config::milliseconds;

pub use usage::UsageError;

/// The default address of the sandbox: an orchestrator's port, reachable from this computer only.
const SANDBOX_ADDRESS: &str = "127.0.0.1:8935";

/// The default content type of a call.
const CALL_TYPE: &str = "application/json";

/// The longest demo, in seconds: a day.
const LONGEST_DEMO: u32 = 86_400;

/// Parses the arguments, without the program's own name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let row = match parser.next().map_err(plain)? {
        None => return Err(UsageError::NoCommand),
        Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Help(Topic::Program)),
        Some(Arg::Long("version") | Arg::Short('V')) => return Ok(Command::Version),
        Some(Arg::Value(name)) => find(&name.to_string_lossy())?,
        Some(option @ (Arg::Long(_) | Arg::Short(_))) => {
            return Err(UsageError::UnknownCommand(shown(&option)));
        }
    };
    match Said::read(row, &mut parser)? {
        Some(said) => said.command(),
        None => Ok(Command::Help(Topic::Command(row.name))),
    }
}

fn find(name: &str) -> Result<&'static Row, UsageError> {
    if let Some(row) = rows().find(|row| row.name == name) {
        return Ok(row);
    }
    Err(match NEED_SANDBOX.iter().find(|needs| **needs == name) {
        Some(name) => UsageError::NoSandbox(name),
        None => UsageError::UnknownCommand(name.to_owned()),
    })
}

/// The arguments behind a command.
struct Said {
    row: &'static Row,
    operands: Vec<OsString>,
    flags: Vec<(&'static str, OsString)>,
    keys: Vec<(String, String)>,
}

impl Said {
    /// Parses all arguments; `None` if help was asked for.
    fn read(row: &'static Row, parser: &mut lexopt::Parser) -> Result<Option<Self>, UsageError> {
        let mut said = Self { row, operands: Vec::new(), flags: Vec::new(), keys: Vec::new() };
        while let Some(argument) = parser.next().map_err(plain)? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Long(name) if row.takes_keys && name.contains('.') => {
                    let name = name.to_owned();
                    let value = text(&name, parser.value().map_err(plain)?)?;
                    said.keys.push((name, value));
                }
                Arg::Long(name) => {
                    let Some(Flag { name, value, .. }) =
                        row.flags.iter().find(|flag| flag.name == name)
                    else {
                        return Err(UsageError::UnknownOption(row, shown(&argument)));
                    };
                    if said.flags.iter().any(|(given, _)| given == name) {
                        return Err(UsageError::Twice(name));
                    }
                    let value = match *value {
                        "" => OsString::new(),
                        _ => parser.value().map_err(plain)?,
                    };
                    said.flags.push((name, value));
                }
                Arg::Short(_) => return Err(UsageError::UnknownOption(row, shown(&argument))),
                Arg::Value(value) if said.operands.len() < words(row) => said.operands.push(value),
                Arg::Value(value) => {
                    let value = value.to_string_lossy().into_owned();
                    return Err(UsageError::UnknownArgument(row, value));
                }
            }
        }
        Ok(Some(said))
    }

    fn command(mut self) -> Result<Command, UsageError> {
        match self.row.name {
            "run" => Ok(Command::Run(self.settings()?)),
            "demo" => {
                let time = self.take_text("seconds")?.map(|text| seconds(&text)).transpose()?;
                Ok(Command::Demo { time, settings: self.settings()? })
            }
            "sandbox" => {
                let listen =
                    self.take_text("listen")?.unwrap_or_else(|| SANDBOX_ADDRESS.to_owned());
                let listen = address("listen", listen)?;
                let signer = self.take_text("signer")?;
                let signer = signer.map(|text| address("signer", text)).transpose()?;
                Ok(Command::Sandbox { listen, signer, paying: self.take("paying").is_some() })
            }
            "setup" => {
                let existing = self.take_text("existing")?;
                let replace = match existing.as_deref() {
                    None | Some("keep") => false,
                    Some("replace") => true,
                    Some(found) => {
                        return Err(UsageError::NotAllowed {
                            option: "existing",
                            found: found.to_owned(),
                            allowed: "keep, replace",
                        });
                    }
                };
                Ok(Command::Setup { settings: self.settings()?, replace })
            }
            "check-config" => {
                let file = self.operands.pop().ok_or(UsageError::NoOperand(self.row))?;
                let settings = self.settings()?;
                Ok(Command::CheckConfig(Settings { file: Some(file.into()), ..settings }))
            }
            "check" => {
                let json = self.take("json").is_some();
                Ok(Command::Check { json, settings: self.settings()? })
            }
            "completions" => {
                let shell = self.operands.pop().ok_or(UsageError::NoOperand(self.row))?;
                let name = shell.to_string_lossy();
                let shell = Shell::named(&name);
                shell
                    .map(Command::Completions)
                    .ok_or_else(|| UsageError::UnknownArgument(self.row, name.clone().into_owned()))
            }
            "devices" => {
                let json = self.take("json").is_some();
                Ok(Command::Devices { json, settings: self.settings()? })
            }
            "discover" => {
                let json = self.take("json").is_some();
                Ok(Command::Discover { json, settings: self.settings()? })
            }
            "call" => {
                let data = self.take("data").ok_or(UsageError::NoFlag(self.row, "data"))?.into();
                let content_type = self.take_text("type")?;
                let content_type = content_type.unwrap_or_else(|| CALL_TYPE.to_owned());
                let path = self.take_text("path")?;
                Ok(Command::Call { data, content_type, path, settings: self.settings()? })
            }
            "status" => {
                let (watch, json) = (self.take("watch").is_some(), self.take("json").is_some());
                self.ask(Question::Status { watch, json })
            }
            "snapshot" => {
                let path = self.operands.pop().ok_or(UsageError::NoOperand(self.row))?.into();
                let stream = self.stream()?;
                self.ask(Question::Snapshot { path, stream })
            }
            "job" => {
                let wish = self.wish()?;
                self.ask(Question::Job(wish))
            }
            "params" => {
                let params = self.operands.pop().map(|json| text("params", json)).transpose()?;
                let replace = self.take("replace").is_some();
                self.ask(Question::Params { params, replace })
            }
            "budget" => self.amount().and_then(|add| self.ask(Question::Budget { add })),
            "spend" => {
                let json = self.take("json").is_some();
                Ok(Command::Spend { json, settings: self.settings()? })
            }
            "trust" => {
                let forget = self.forget()?;
                Ok(Command::Trust { forget, settings: self.settings()? })
            }
            _ => match self.operands.first().map(|topic| topic.to_string_lossy()) {
                None => Ok(Command::Help(Topic::Program)),
                Some(topic) if topic == "config" => Ok(Command::Help(Topic::Config)),
                Some(topic) if topic == "man" => Ok(Command::Help(Topic::Man)),
                Some(topic) => Ok(Command::Help(Topic::Command(find(&topic)?.name))),
            },
        }
    }

    fn ask(self, question: Question) -> Result<Command, UsageError> {
        Ok(Command::Ask { question, settings: self.settings()? })
    }

    /// The stream of a snapshot.
    fn stream(&mut self) -> Result<&'static str, UsageError> {
        match self.take_text("stream")?.as_deref() {
            None | Some("output") => Ok("output"),
            Some("input") => Ok("input"),
            Some(found) => Err(UsageError::NotAllowed {
                option: "stream",
                found: found.to_owned(),
                allowed: "input, output",
            }),
        }
    }

    /// The amount that is added to the budget.
    fn amount(&self) -> Result<Option<String>, UsageError> {
        let words: Vec<_> = self.operands.iter().map(|word| word.to_string_lossy()).collect();
        match words.as_slice() {
            [] => Ok(None),
            [add, amount] if add == "add" => Ok(Some(amount.clone().into_owned())),
            [add] if add == "add" => Err(UsageError::NoOperand(self.row)),
            [other, ..] => Err(UsageError::UnknownArgument(self.row, other.clone().into_owned())),
        }
    }

    /// The owner's wish for the job.
    fn wish(&mut self) -> Result<JobWish, UsageError> {
        let word = self.operands.pop().ok_or(UsageError::NoOperand(self.row))?;
        let time = self.take_text("for")?;
        match (word.to_string_lossy().as_ref(), time) {
            ("start", time) => {
                let time = time.map(|text| start_time(&text)).transpose()?;
                Ok(JobWish::Start { time })
            }
            ("stop", None) => Ok(JobWish::Stop),
            ("auto", None) => Ok(JobWish::Auto),
            ("stop" | "auto", Some(_)) => {
                Err(UsageError::UnknownOption(self.row, "--for without start".to_owned()))
            }
            (other, _) => Err(UsageError::UnknownArgument(self.row, other.to_owned())),
        }
    }

    /// The host whose pins are removed.
    fn forget(&self) -> Result<Option<String>, UsageError> {
        let words: Vec<_> = self.operands.iter().map(|word| word.to_string_lossy()).collect();
        match words.as_slice() {
            [list] if list == "list" => Ok(None),
            [forget, host] if forget == "forget" => Ok(Some(host.clone().into_owned())),
            [list, rest] if list == "list" => {
                Err(UsageError::UnknownArgument(self.row, rest.clone().into_owned()))
            }
            [] | [_] => Err(UsageError::NoOperand(self.row)),
            [other, ..] => Err(UsageError::UnknownArgument(self.row, other.clone().into_owned())),
        }
    }

    /// The configuration's file and keys. Keys in full override short options.
    fn settings(mut self) -> Result<Settings, UsageError> {
        let mut keys = Vec::new();
        if let Some(source) = self.take_text("source")? {
            keys.extend(source_keys(&source)?);
        }
        if let Some(app) = self.take_text("app")? {
            keys.push(("runner.app".to_owned(), app));
        }
        if let Some(path) = self.take_text("output")? {
            keys.push(("output.path".to_owned(), path));
        }
        let file = self.take("config").map(Into::into);
        keys.append(&mut self.keys);
        Ok(Settings { file, keys })
    }

    fn take(&mut self, name: &str) -> Option<OsString> {
        let at = self.flags.iter().position(|(given, _)| *given == name)?;
        Some(self.flags.swap_remove(at).1)
    }

    fn take_text(&mut self, name: &str) -> Result<Option<String>, UsageError> {
        self.take(name).map(|value| text(name, value)).transpose()
    }
}

/// The number of arguments without dashes that a command takes.
fn words(row: &Row) -> usize {
    row.operand.map_or(0, |operand| operand.split(' ').count())
}

fn address(option: &'static str, text: String) -> Result<SocketAddr, UsageError> {
    text.parse().map_err(|_| UsageError::NotAllowed {
        option,
        found: text,
        allowed: "IP address and port, such as 127.0.0.1:8935 or [::]:8935",
    })
}

fn seconds(text: &str) -> Result<Duration, UsageError> {
    let number = text.parse::<u32>().ok().filter(|n| (1..=LONGEST_DEMO).contains(n));
    number.map(|n| Duration::from_secs(u64::from(n))).ok_or_else(|| UsageError::NotAllowed {
        option: "seconds",
        found: text.to_owned(),
        allowed: "1 to 86400",
    })
}

/// The time of a start, in whole seconds.
fn start_time(text: &str) -> Result<Duration, UsageError> {
    let seconds = milliseconds(text).map(|time| time / 1000).filter(|time| *time > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| UsageError::NotAllowed {
        option: "for",
        found: text.to_owned(),
        allowed: "a time of 1 s or more, such as 90s, 10min or 2h",
    })
}

fn text(option: &str, value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|_| UsageError::NotText(format!("--{option}")))
}

fn shown(argument: &Arg<'_>) -> String {
    match argument {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(name) => format!("-{name}"),
        Arg::Value(value) => value.to_string_lossy().into_owned(),
    }
}

/// Translates the errors of the argument parser.
fn plain(error: lexopt::Error) -> UsageError {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => UsageError::NeedlessValue(option),
        lexopt::Error::MissingValue { option } => UsageError::NoValue(option.unwrap_or_default()),
        lexopt::Error::UnexpectedOption(_)
        | lexopt::Error::UnexpectedArgument(_)
        | lexopt::Error::ParsingFailed { .. }
        | lexopt::Error::NonUnicodeValue(_)
        | lexopt::Error::Custom(_) => UsageError::NoValue(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Command, &str>) {
        let found = parse(line.split_whitespace().map(OsString::from));
        assert_eq!(found.map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{line}");
    }

    fn settings(file: Option<&str>, keys: &[(&str, &str)]) -> Settings {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Settings { file: file.map(Into::into), keys: keys.iter().map(owned).collect() }
    }

    #[test]
    fn a_budget_is_shown_or_raised() {
        let ask = |add: Option<&str>| {
            let question = Question::Budget { add: add.map(str::to_owned) };
            Ok(Command::Ask { question, settings: Settings::default() })
        };
        check("budget", ask(None));
        check("budget add 1GB", ask(Some("1GB")));
        let usage = "[add AMOUNT] is missing; use livepeer-edge budget [add AMOUNT]";
        check("budget add", Err(usage));
        let usage = "`budget` does not take `1GB`; it takes: [add AMOUNT], --config FILE, --section.key VALUE, --help";
        check("budget 1GB", Err(usage));
        let settings = Settings::default();
        check("spend --json", Ok(Command::Spend { json: true, settings }));
    }

    #[test]
    fn a_run_takes_a_file_and_keys() {
        check("run", Ok(Command::Run(Settings::default())));
        check("run --config a.toml", Ok(Command::Run(settings(Some("a.toml"), &[]))));
        check("run --config=a.toml", Ok(Command::Run(settings(Some("a.toml"), &[]))));
        let keys = [("video.fps", "12"), ("log.level", "debug")];
        check("run --video.fps 12 --log.level=debug", Ok(Command::Run(settings(None, &keys))));
    }

    #[test]
    fn a_job_is_started_for_some_time_or_until_another_wish() {
        let ask = |wish| {
            Ok(Command::Ask { question: Question::Job(wish), settings: Settings::default() })
        };
        let start = |minutes: u64| JobWish::Start { time: Some(Duration::from_secs(60 * minutes)) };
        check("job start", ask(JobWish::Start { time: None }));
        check("job start --for 10m", ask(start(10)));
        check("job --for=2h start", ask(start(120)));
        check("job stop", ask(JobWish::Stop));
        check("job auto", ask(JobWish::Auto));
        let takes =
            "it takes: start|stop|auto, --config FILE, --for TIME, --section.key VALUE, --help";
        check("job", Err("start|stop|auto is missing; use livepeer-edge job start|stop|auto"));
        check("job go", Err(&format!("`job` does not take `go`; {takes}")));
        check(
            "job stop --for 1h",
            Err(&format!("`job` has no option --for without start; {takes}")),
        );
        let allowed = "allowed: a time of 1 s or more, such as 90s, 10min or 2h";
        for found in ["10", "0s", "999ms", "soon"] {
            let error = format!("--for: found `{found}`; {allowed}");
            check(&format!("job start --for {found}"), Err(&error));
        }
    }

    #[test]
    #[cfg(feature = "sandbox")]
    fn a_demo_has_short_forms() {
        let demo = |time: Option<u64>, keys: &[(&str, &str)]| {
            let time = time.map(Duration::from_secs);
            Ok(Command::Demo { time, settings: settings(None, keys) })
        };
        check("demo", demo(None, &[]));
        check("demo --seconds 10 --output o.ts", demo(Some(10), &[("output.path", "o.ts")]));
        check("demo --output -", demo(None, &[("output.path", "-")]));
        check("demo --source test", demo(None, &[("source.kind", "test")]));
        let file = [("source.kind", "file"), ("source.path", "C:a.mp4"), ("source.repeat", "true")];
        check("demo --source.repeat true --source file:C:a.mp4", demo(None, &file));
        let camera = [("source.kind", "v4l2"), ("source.device", "/dev/video0")];
        check("demo --source v4l2:/dev/video0", demo(None, &camera));
        check("demo --source auto", demo(None, &[("source.kind", "auto")]));
        let network = [("source.kind", "rtsp"), ("source.url", "rtsps://cam/1")];
        check("demo --source rtsps://cam/1", demo(None, &network));
        let own = [("source.kind", "pipeline"), ("source.fragment", "videotestsrc")];
        check("demo --source pipeline:videotestsrc", demo(None, &own));
    }

    #[test]
    #[cfg(feature = "sandbox")]
    fn a_sandbox_listens_on_loopback_by_default() {
        let at = |text: &str| text.parse().expect("an address");
        let sandbox =
            |listen: &str| Ok(Command::Sandbox { listen: at(listen), signer: None, paying: false });
        check("sandbox", sandbox("127.0.0.1:8935"));
        let paying = Command::Sandbox {
            listen: at("127.0.0.1:8935"),
            signer: Some(at("127.0.0.1:7936")),
            paying: true,
        };
        check("sandbox --paying --signer 127.0.0.1:7936", Ok(paying));
        check("sandbox --paying=yes", Err("--paying takes no value"));
        check("sandbox --listen [::]:1", sandbox("[::]:1"));
    }

    #[test]
    #[cfg(not(feature = "sandbox"))]
    fn a_build_without_the_sandbox_names_the_reason() {
        let expected = "`demo` is not in this build; build it with the feature `sandbox`";
        check("demo --seconds 1", Err(expected));
    }

    #[test]
    fn the_network_is_asked_shown_and_forgotten() {
        let plain = || settings(None, &[]);
        check("devices", Ok(Command::Devices { json: false, settings: plain() }));
        check("discover", Ok(Command::Discover { json: false, settings: plain() }));
        let found = settings(Some("a"), &[]);
        check("discover --json --config a", Ok(Command::Discover { json: true, settings: found }));
        check("discover --json=yes", Err("--json takes no value"));
        let call = |kind: &str, keys: &[(&str, &str)]| {
            let (data, content_type) = ("d".into(), kind.to_owned());
            Ok(Command::Call { data, content_type, path: None, settings: settings(None, keys) })
        };
        check("call --app e --data d", call("application/json", &[("runner.app", "e")]));
        check("call --data d --type text/plain", call("text/plain", &[]));
        let below = Command::Call {
            data: "d".into(),
            content_type: "application/json".to_owned(),
            path: Some("/v1/x?y".to_owned()),
            settings: plain(),
        };
        check("call --path /v1/x?y --data d", Ok(below));
        let takes = "--config FILE, --app NAME, --path PATH, --data FILE, --type TYPE, \
                     --section.key VALUE, --help";
        check("call --app e", Err(&format!("--data is missing; `call` takes: {takes}")));
        check("trust list", Ok(Command::Trust { forget: None, settings: plain() }));
        let forget = Some("[::1]:8935".to_owned());
        check("trust forget [::1]:8935", Ok(Command::Trust { forget, settings: plain() }));
        let missing =
            || Err("list|forget HOST is missing; use livepeer-edge trust list|forget HOST");
        check("trust", missing());
        check("trust forget", missing());
        let takes = "list|forget HOST, --config FILE, --section.key VALUE, --help";
        check("trust list a", Err(&format!("`trust` does not take `a`; it takes: {takes}")));
        check("trust drop a", Err(&format!("`trust` does not take `drop`; it takes: {takes}")));
        check("trust forget a b", Err(&format!("`trust` does not take `b`; it takes: {takes}")));
    }

    #[test]
    fn every_command_has_help() {
        check("--help", Ok(Command::Help(Topic::Program)));
        check("-h", Ok(Command::Help(Topic::Program)));
        check("help", Ok(Command::Help(Topic::Program)));
        check("help config", Ok(Command::Help(Topic::Config)));
        check("help man", Ok(Command::Help(Topic::Man)));
        check("help run", Ok(Command::Help(Topic::Command("run"))));
        check("run --config a.toml --help", Ok(Command::Help(Topic::Command("run"))));
        check("--version", Ok(Command::Version));
        check("-V", Ok(Command::Version));
    }

    #[test]
    fn a_check_needs_a_file() {
        check("check-config a.toml", Ok(Command::CheckConfig(settings(Some("a.toml"), &[]))));
        check("check-config", Err("FILE is missing; use livepeer-edge check-config FILE"));
        check(
            "check-config a b",
            Err("`check-config` does not take `b`; it takes: FILE, --section.key VALUE, --help"),
        );
    }

    #[test]
    fn a_setup_does_not_overwrite_by_default() {
        let setup = |file: Option<&str>, keys: &[(&str, &str)], replace| {
            Ok(Command::Setup { settings: settings(file, keys), replace })
        };
        check("setup", setup(None, &[], false));
        check("setup --existing keep", setup(None, &[], false));
        check("setup --existing replace --config a.toml", setup(Some("a.toml"), &[], true));
        let keys = [("source.kind", "test"), ("output.path", "a.ts"), ("job.model", "m")];
        check("setup --source test --output a.ts --job.model m", setup(None, &keys, false));
        let refused = "--existing: found `yes`; allowed: keep, replace";
        check("setup --existing yes", Err(refused));
    }

    #[test]
    fn wrong_usage_is_an_error_with_the_right_usage() {
        check(
            "run a.toml",
            Err(
                "`run` does not take `a.toml`; it takes: --config FILE, --section.key VALUE, --help",
            ),
        );
        check(
            "run --confg a",
            Err(
                "`run` has no option --confg; it takes: --config FILE, --section.key VALUE, --help",
            ),
        );
        check(
            "run -c a",
            Err("`run` has no option -c; it takes: --config FILE, --section.key VALUE, --help"),
        );
        check("run --config", Err("--config needs a value"));
        check("run --video.fps", Err("--video.fps needs a value"));
        check("run --help=yes", Ok(Command::Help(Topic::Command("run"))));
        check("run --config a --config b", Err("--config is given twice"));
        check(
            "help --video.fps 3",
            Err("`help` has no option --video.fps; it takes: TOPIC, --help"),
        );
    }

    #[test]
    #[cfg(feature = "sandbox")]
    fn a_wrong_value_is_an_error_with_the_allowed_values() {
        let names = "run, demo, sandbox, setup, check, check-config, devices, discover, call, trust, \
                     status, snapshot, job, params, spend, budget, completions, help";
        check("", Err(&format!("no command; use one of: {names}")));
        check("rum", Err(&format!("unknown command `rum`; use one of: {names}")));
        check("--config a", Err(&format!("unknown command `--config`; use one of: {names}")));
        check("help me", Err(&format!("unknown command `me`; use one of: {names}")));
        for bad in ["0", "-1", "86401", "ten", "1.5"] {
            let expected = format!("--seconds: found `{bad}`; allowed: 1 to 86400");
            check(&format!("demo --seconds {bad}"), Err(&expected));
        }
        for bad in ["webcam", "file", "file:", "test:", "v4l2"] {
            let allowed = "test, auto, libcamera, nvargus, PATH, file:PATH, v4l2:DEVICE, rtsp://HOST/PATH, pipeline:FRAGMENT";
            let expected = format!("--source: found `{bad}`; allowed: {allowed}");
            check(&format!("demo --source {bad}"), Err(&expected));
        }
        for bad in ["localhost:1", "8935", "127.0.0.1"] {
            let allowed = "IP address and port, such as 127.0.0.1:8935 or [::]:8935";
            let expected = format!("--listen: found `{bad}`; allowed: {allowed}");
            check(&format!("sandbox --listen {bad}"), Err(&expected));
            let expected = format!("--signer: found `{bad}`; allowed: {allowed}");
            check(&format!("sandbox --signer {bad}"), Err(&expected));
        }
    }

    #[test]
    fn a_path_may_be_any_bytes_and_a_key_must_be_text() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = || OsString::from_vec(vec![0xff]);
        let line = |flag: &str| [OsString::from("run"), flag.into(), bytes()];
        let run = Settings { file: Some(bytes().into()), keys: Vec::new() };
        assert_eq!(parse(line("--config")), Ok(Command::Run(run)));
        assert_eq!(parse(line("--output.path")), Err(UsageError::NotText("--output.path".into())));
    }
}
