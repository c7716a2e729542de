//! Reads the commands that come from the broker, and decides which are carried out.
//!
//! | topic | message |
//! |---|---|
//! | `PREFIX/set` | a JSON object: `params` (an object) with `replace` (true or false), or `job` (`start` with `for`, `stop` or `auto`), or `restart` (true); `id` for the answer |
//! | `PREFIX/params/set` | a JSON object, merged into the parameters |
//! | `PREFIX/prompt/set` | text, which becomes the parameter `prompt` |
//! | `PREFIX/job/set` | `start`, `stop` or `auto` |
//! | `PREFIX/restart/set` | `restart` |
//!
//! Each command gets one answer. A command that the broker has kept is refused: it would be carried out again with each
//! connection. Of a flood, one command is refused with an answer, and the others are dropped.
//!
//! Does not: carry commands out.

use std::time::{Duration, Instant};

use heapless::Deque;
use serde_json::{Map, Value, json};

use super::allowance::Allowance;
use super::error::CommandError;
use super::limits::{COMMANDS, COMMANDS_PER_SECOND, ID_BYTES, RESTART_PAUSE};
use super::topics::Place;
use crate::agent::{Edit, JobWish};
use crate::config::milliseconds;

/// What the agent is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    /// Other parameters.
    Params(Map<String, Value>, Edit),
    /// A job or none.
    Job(JobWish),
    /// A new job.
    Restart,
}

/// A command with what its answer needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) asker: Asker,
    pub(super) command: Command,
}

/// Where a command came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asker {
    place: Place,
    /// The id of the request; `null` without one.
    id: Value,
}

impl Asker {
    /// The answer: on success these fields beside `ok`, or why the command was refused.
    pub(super) fn answer(self, result: Result<Map<String, Value>, CommandError>) -> Value {
        let Self { place, id } = self;
        let (is_ok, mut fields) = match result {
            Ok(fields) => (true, fields),
            Err(error) => {
                (false, [("error".to_owned(), error.to_string().into())].into_iter().collect())
            }
        };
        fields.insert("to".to_owned(), place.name().into());
        fields.insert("ok".to_owned(), is_ok.into());
        if !id.is_null() {
            fields.insert("id".to_owned(), id);
        }
        Value::Object(fields)
    }
}

/// The commands that wait, and how many more are taken.
#[derive(Debug)]
pub(super) struct Commands {
    waiting: Deque<Asked, COMMANDS>,
    allowance: Allowance,
    /// The present flood got an answer.
    is_flood_answered: bool,
    restarted: Option<Instant>,
}

impl Commands {
    pub(super) fn new(now: Instant) -> Self {
        let allowance = Allowance::new(COMMANDS_PER_SECOND, now);
        Self { waiting: Deque::new(), allowance, is_flood_answered: false, restarted: None }
    }

    /// Takes a message. Returns the answer if the command is refused at once.
    pub(super) fn on_message(
        &mut self,
        place: Place,
        payload: &[u8],
        is_kept: bool,
        now: Instant,
    ) -> Option<Value> {
        if self.is_too_much(now) {
            let is_first = !std::mem::replace(&mut self.is_flood_answered, true);
            let asker = Asker { place, id: Value::Null };
            return is_first.then(|| asker.answer(Err(CommandError::TooMany)));
        }
        let (id, read) =
            if is_kept { (Value::Null, Err(CommandError::Kept)) } else { read(place, payload) };
        let asker = Asker { place, id };
        let command = match read.and_then(|command| self.admit(command, now)) {
            Ok(command) => command,
            Err(error) => return Some(asker.answer(Err(error))),
        };
        let refused = self.waiting.push_back(Asked { asker, command }).err()?;
        Some(refused.asker.answer(Err(CommandError::Busy)))
    }

    /// Takes a message that was too long to be read. Returns the answer, unless there are too many.
    pub(super) fn on_too_long(&mut self, bytes: usize, now: Instant) -> Option<Value> {
        let asker = Asker { place: Place::Set, id: Value::Null };
        (!self.is_too_much(now)).then(|| asker.answer(Err(CommandError::TooLong(bytes))))
    }

    /// The next command to carry out.
    pub(super) fn next(&mut self) -> Option<Asked> {
        self.waiting.pop_front()
    }

    /// Counts a message. Returns whether it is one of a flood.
    fn is_too_much(&mut self, now: Instant) -> bool {
        if self.allowance.ready_at() > now {
            return true;
        }
        self.allowance.spend(1, now);
        self.is_flood_answered = false;
        false
    }

    fn admit(&mut self, command: Command, now: Instant) -> Result<Command, CommandError> {
        if command == Command::Restart {
            let is_soon = |at: Instant| now.saturating_duration_since(at) < RESTART_PAUSE;
            if self.restarted.is_some_and(is_soon) {
                return Err(CommandError::TooSoon);
            }
            self.restarted = Some(now);
        }
        Ok(command)
    }
}

/// Reads a command, and the id of the request.
fn read(place: Place, payload: &[u8]) -> (Value, Result<Command, CommandError>) {
    let command = match place {
        Place::Set => return read_object(payload),
        Place::Params => object(payload).map(|params| Command::Params(params, Edit::Merge)),
        Place::Prompt => prompt(payload),
        Place::Job => match wish(std::str::from_utf8(payload).unwrap_or_default()) {
            Some(wish) => Ok(Command::Job(wish)),
            None => Err(CommandError::Word(WISHES)),
        },
        Place::Restart if payload == b"restart" => Ok(Command::Restart),
        Place::Restart => Err(CommandError::Word("restart")),
    };
    (Value::Null, command)
}

const WISHES: &str = "start, stop or auto";

fn wish(word: &str) -> Option<JobWish> {
    match word {
        "start" => Some(JobWish::Start { time: None }),
        "stop" => Some(JobWish::Stop),
        "auto" => Some(JobWish::Auto),
        _ => None,
    }
}

/// The wish of this word, for the time that a start may have with it.
fn job(word: &Value, time: Option<Value>) -> Result<Command, CommandError> {
    let wish = word.as_str().and_then(wish).ok_or(CommandError::Value("job", WISHES))?;
    match (wish, time) {
        (wish, None) => Ok(Command::Job(wish)),
        (JobWish::Start { .. }, Some(time)) => {
            let time = time.as_str().and_then(milliseconds).filter(|time| *time > 0);
            let wrong = CommandError::Value("for", "a duration with its unit, such as 10 min");
            let time = time.map(Duration::from_millis).ok_or(wrong)?;
            Ok(Command::Job(JobWish::Start { time: Some(time) }))
        }
        (JobWish::Stop | JobWish::Auto, Some(_)) => Err(CommandError::UnknownKey),
    }
}

fn object(payload: &[u8]) -> Result<Map<String, Value>, CommandError> {
    serde_json::from_slice(payload).map_err(|_| CommandError::NoObject)
}

fn prompt(payload: &[u8]) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(payload).map_err(|_| CommandError::NoText)?;
    let Value::Object(params) = json!({ "prompt": text }) else { return Err(CommandError::NoText) };
    Ok(Command::Params(params, Edit::Merge))
}

fn read_object(payload: &[u8]) -> (Value, Result<Command, CommandError>) {
    let mut object = match object(payload) {
        Ok(object) => object,
        Err(error) => return (Value::Null, Err(error)),
    };
    let id = object.remove("id").unwrap_or_default();
    let is_usable = match &id {
        Value::Null | Value::Number(_) => true,
        Value::String(text) => text.len() <= ID_BYTES,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    match is_usable {
        true => (id, command_of(object)),
        false => (Value::Null, Err(CommandError::Id)),
    }
}

/// The command of an object without its id: exactly one, with its own keys.
fn command_of(mut object: Map<String, Value>) -> Result<Command, CommandError> {
    let wishes = ["params", "job", "restart"].map(|key| object.remove(key));
    let command = match wishes {
        [Some(Value::Object(params)), None, None] => {
            let edit = match object.remove("replace") {
                None | Some(Value::Bool(false)) => Edit::Merge,
                Some(Value::Bool(true)) => Edit::Replace,
                Some(_) => return Err(CommandError::Value("replace", "true or false")),
            };
            Command::Params(params, edit)
        }
        [Some(_), None, None] => return Err(CommandError::Value("params", "an object")),
        [None, Some(word), None] => job(&word, object.remove("for"))?,
        [None, None, Some(Value::Bool(true))] => Command::Restart,
        [None, None, Some(_)] => return Err(CommandError::Value("restart", "true")),
        _ => return Err(CommandError::NotOne),
    };
    // The name of an unknown key is the sender's, and may be long: it is not repeated.
    if object.is_empty() { Ok(command) } else { Err(CommandError::UnknownKey) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &Value, edit: Edit) -> Command {
        Command::Params(value.as_object().cloned().unwrap(), edit)
    }

    /// Checks what a message on `PREFIX/set` becomes: a command with an id, or an error with these words.
    #[track_caller]
    fn check(place: Place, message: &str, expected: Result<(Command, Value), &str>) {
        let (id, read) = read(place, message.as_bytes());
        match (read, expected) {
            (Ok(command), Ok(expected)) => assert_eq!((command, id), expected, "{message}"),
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{message}: {text}");
            }
            (read, _) => panic!("{message}: {read:?}"),
        }
    }

    #[test]
    fn commands_are_objects_with_one_wish() {
        let cat = json!({ "prompt": "a cat" });
        let merge = params(&cat, Edit::Merge);
        let set = |message: &str, expected| check(Place::Set, message, expected);
        set(r#"{"params":{"prompt":"a cat"}}"#, Ok((merge.clone(), Value::Null)));
        set(r#"{"params":{"prompt":"a cat"},"replace":false,"id":7}"#, Ok((merge, json!(7))));
        set(
            r#"{"params":{"prompt":"a cat"},"replace":true,"id":"x"}"#,
            Ok((params(&cat, Edit::Replace), json!("x"))),
        );
        set(r#"{"restart":true,"id":null}"#, Ok((Command::Restart, Value::Null)));
        let time = Some(Duration::from_secs(600));
        for (message, wish) in [
            (r#"{"job":"start"}"#, JobWish::Start { time: None }),
            (r#"{"job":"start","for":"10 min"}"#, JobWish::Start { time }),
            (r#"{"job":"stop"}"#, JobWish::Stop),
            (r#"{"job":"auto"}"#, JobWish::Auto),
        ] {
            set(message, Ok((Command::Job(wish), Value::Null)));
        }
        for (wrong, part) in [
            ("", "JSON object"),
            ("[]", "JSON object"),
            ("{\"params\":{}", "JSON object"),
            ("\u{0}\u{1}", "JSON object"),
            ("{}", "exactly one"),
            (r#"{"id":1}"#, "exactly one"),
            (r#"{"params":{},"restart":true}"#, "exactly one"),
            (r#"{"params":7}"#, "params must be an object"),
            (r#"{"params":{},"replace":1}"#, "replace must be true or false"),
            (r#"{"restart":false}"#, "restart must be true"),
            (r#"{"restart":true,"replace":true}"#, "a key is not known"),
            (r#"{"job":"go"}"#, "job must be start, stop or auto"),
            (r#"{"job":true}"#, "job must be start, stop or auto"),
            (r#"{"job":"start","for":10}"#, "for must be"),
            (r#"{"job":"start","for":"10"}"#, "for must be"),
            (r#"{"job":"start","for":"0 s"}"#, "for must be"),
            (r#"{"job":"stop","for":"10 min"}"#, "a key is not known"),
            (r#"{"job":"stop","restart":true}"#, "exactly one"),
            (r#"{"params":{},"sudo":1}"#, "a key is not known"),
            (r#"{"restart":true,"id":[1]}"#, "id must be"),
        ] {
            set(wrong, Err(part));
        }
        let long = format!(r#"{{"restart":true,"id":"{}"}}"#, "x".repeat(ID_BYTES + 1));
        set(&long, Err("id must be"));
        set(&"[".repeat(60_000), Err("JSON object"));
    }

    #[test]
    fn simple_topics_take_simple_messages() {
        let none = Value::Null;
        let prompt = |text: &str| params(&json!({ "prompt": text }), Edit::Merge);
        check(Place::Prompt, "a \"cat\"", Ok((prompt("a \"cat\""), none.clone())));
        check(Place::Prompt, "", Ok((prompt(""), none.clone())));
        check(
            Place::Params,
            r#"{"id":1}"#,
            Ok((params(&json!({ "id": 1 }), Edit::Merge), none.clone())),
        );
        check(Place::Params, "a cat", Err("JSON object"));
        let start = Command::Job(JobWish::Start { time: None });
        check(Place::Job, "start", Ok((start, none.clone())));
        check(Place::Job, "stop", Ok((Command::Job(JobWish::Stop), none.clone())));
        check(Place::Job, "ON", Err("must be start, stop or auto"));
        check(Place::Restart, "restart", Ok((Command::Restart, none)));
        check(Place::Restart, "ON", Err("must be restart"));
        let (_, error) = read(Place::Prompt, &[0xff, 0xfe]);
        assert!(error.unwrap_err().to_string().contains("UTF-8"));
    }

    fn error(answer: Option<Value>) -> String {
        let answer = answer.expect("an answer");
        assert_eq!(answer["ok"], false);
        answer["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_command_that_the_broker_has_kept_is_refused() {
        let now = Instant::now();
        let mut commands = Commands::new(now);
        let refused = commands.on_message(Place::Restart, b"restart", true, now);
        assert!(error(refused).contains("retain"));
        assert_eq!(commands.next(), None);
        assert_eq!(commands.on_message(Place::Restart, b"restart", false, now), None);
        assert_eq!(commands.next().unwrap().command, Command::Restart);
    }

    #[test]
    fn a_flood_gets_one_answer_until_it_ends() {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let mut commands = Commands::new(now);
        let mut send = |at| {
            let answer = commands.on_message(Place::Prompt, b"x", false, at);
            (answer.map(|answer| answer["error"].clone()), commands.next().is_some())
        };
        for _ in 0..COMMANDS_PER_SECOND {
            assert_eq!(send(now), (None, true));
        }
        assert_eq!(send(now), (None, true), "the balance is not negative yet");
        let (answer, is_taken) = send(now);
        assert!(answer.unwrap().as_str().unwrap().contains("too many") && !is_taken);
        for _ in 0..10_000 {
            assert_eq!(send(now), (None, false));
        }
        assert_eq!(send(after(1000)), (None, true));
    }

    #[test]
    fn what_waits_is_bounded_and_a_new_job_needs_a_pause() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut commands = Commands::new(now);
        let mut prompt = |at| commands.on_message(Place::Prompt, b"x", false, at);
        for second in 0..COMMANDS as u64 {
            assert_eq!(prompt(after(second)), None);
        }
        assert!(error(prompt(after(20))).contains("not done"));
        while commands.next().is_some() {}
        let later = after(60);
        let mut restart = |at| commands.on_message(Place::Restart, b"restart", false, at);
        assert_eq!(restart(later), None);
        assert!(error(restart(later)).contains("10 s"));
        assert_eq!(restart(later + RESTART_PAUSE), None);
        assert!(error(commands.on_too_long(70_000, after(90))).contains("70000 bytes"));
    }

    #[test]
    fn an_answer_names_its_request() {
        let asker = Asker { place: Place::Set, id: json!("x") };
        let fields = json!({ "change": 3 }).as_object().cloned().unwrap();
        let answer = asker.answer(Ok(fields));
        assert_eq!(answer, json!({ "to": "set", "ok": true, "id": "x", "change": 3 }));
        let asker = Asker { place: Place::Prompt, id: Value::Null };
        let answer = asker.answer(Err(CommandError::NoAnswer));
        assert_eq!(
            (&answer["to"], &answer["ok"], answer.get("id")),
            (&json!("prompt/set"), &json!(false), None)
        );
    }
}
