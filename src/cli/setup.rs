//! `setup`: writes a first configuration from options and, at a terminal, from at most six questions.
//!
//! | question | unless given by | without a terminal |
//! |---|---|---|
//! | which camera | `--source`, a key of `[source]` | the first that works when the agent starts |
//! | which orchestrators | `--orchestrator.urls` | required |
//! | which model | `--job.model` | required |
//! | which signers | `--signer.urls` | none |
//! | the highest price, if there is a signer | `--payment.max-price` | no limit but the signer's |
//! | where the processed video goes | `--output`, `--output.path` | nowhere |
//!
//! A configuration that sets any key is overwritten only with `--existing replace`.
//!
//! Does not: start or stop the service; it prints how.

use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::source::source_keys;
use super::{Error, Settings, print};
use crate::config::{self, Layers, Problem, Purpose, resolve, write};
use media::Video;
use media::devices::CameraFound;
use media::io::v4l2_cameras;

/// Where the service of the package reads its configuration.
const DIRECTORY: &str = "/etc/livepeer-edge";
/// The file of the default instance, without its extension.
const DEFAULT: &str = "livepeer-edge";
/// The source if none is chosen.
const FIRST: &str = "auto";

/// The question for `payment.max-price`.
const MAX_PRICE: &str = "Highest price, such as `1200 wei per 720p-pixel-second` (what orchestrators ask: \
    livepeer-edge discover), or nothing for no limit";

/// The head of the file.
const HEAD: &str = "\
# Configuration of livepeer-edge, written by `livepeer-edge setup`.
# Every key, with its default: livepeer-edge help config
# Whether a change is right: livepeer-edge check-config FILE
";

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A configuration exists, and its replacement was not confirmed.
    #[error("{} is a configuration already; `--existing replace` overwrites it", .0.display())]
    Exists(PathBuf),
    /// The questions were aborted.
    #[error("not all questions were answered; nothing was written")]
    Left,
    /// The file cannot be written.
    #[error("{}", write_failure(.0, .1))]
    Write(PathBuf, #[source] io::Error),
}

fn write_failure(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!("not allowed to write {}; try it with sudo", path.display())
    } else {
        format!("cannot write {}", path.display())
    }
}

/// Writes the configuration to the file of `settings`, else to the file of the service.
pub fn setup(settings: Settings, replace: bool) -> Result<(), Error> {
    let path = settings.file.unwrap_or_else(service_file);
    if !replace && has_user_settings(&path) {
        return Err(Error::Setup(SetupError::Exists(path)));
    }
    let stdin = io::stdin();
    let keys = if stdin.is_terminal() {
        let mut person = Person { answers: stdin.lock(), screen: io::stderr().lock() };
        person.fill(settings.keys, cameras).map_err(Error::Setup)?
    } else {
        fill_alone(settings.keys)
    };
    let text = write::file(HEAD, &keys);
    let layers =
        Layers { file: Some((path.display().to_string(), text.clone())), ..Layers::default() };
    // `problems` also checks the keys of the command line: the text has only known keys.
    let problems = problems(&keys, Purpose::Run).or_else(|| resolve(&layers, Purpose::Run).err());
    if let Some(problems) = problems {
        return Err(Error::Config(config::Error::Wrong(problems)));
    }
    store(&path, &text).map_err(|error| Error::Setup(SetupError::Write(path.clone(), error)))?;
    print(&format!("{} is written. To use it:\n  {}\n", path.display(), next_step(&path)));
    Ok(())
}

/// The configuration of the service.
pub(super) fn service_file() -> PathBuf {
    Path::new(DIRECTORY).join(DEFAULT).with_extension("toml")
}

/// Whether overwriting would lose settings of the user.
fn has_user_settings(path: &Path) -> bool {
    match fs::read_to_string(path) {
        Ok(text) => !write::is_blank(&text),
        // A place that cannot be read may hold a configuration; below a file, nothing does.
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
    }
}

/// Writes the file atomically, so that a power cut leaves the old or the new one.
fn store(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_extension("toml.new");
    let mut file = File::create(&new)?;
    let stored = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let stored = stored.and_then(|()| fs::rename(&new, path));
    if stored.is_err() {
        let _ = fs::remove_file(&new);
    }
    stored
}

fn next_step(path: &Path) -> String {
    let name = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    match path.parent() == Some(Path::new(DIRECTORY)) {
        true if name == DEFAULT => "sudo systemctl restart livepeer-edge".to_owned(),
        true => format!("sudo systemctl enable --now livepeer-edge@{name}"),
        false => format!("livepeer-edge run --config {}", path.display()),
    }
}

/// The cameras of this computer; none if GStreamer does not start, which `run` reports.
fn cameras() -> Vec<CameraFound> {
    v4l2_cameras(&Video::default()).unwrap_or_default()
}

/// The problems of these settings.
fn problems(keys: &[(String, String)], purpose: Purpose) -> Option<Vec<Problem>> {
    resolve(&Layers { arguments: keys.to_vec(), ..Layers::default() }, purpose).err()
}

fn is_given(keys: &[(String, String)], start: &str) -> bool {
    keys.iter().any(|(name, _)| name.starts_with(start))
}

fn fill_alone(mut keys: Vec<(String, String)>) -> Vec<(String, String)> {
    if !is_given(&keys, "source.") {
        keys.push(("source.kind".to_owned(), FIRST.to_owned()));
    }
    keys
}

/// The dialogue at a terminal.
struct Person<R, W> {
    answers: R,
    screen: W,
}

impl<R: BufRead, W: Write> Person<R, W> {
    /// Asks for the settings that are not given.
    fn fill(
        &mut self,
        mut keys: Vec<(String, String)>,
        cameras: impl FnOnce() -> Vec<CameraFound>,
    ) -> Result<Vec<(String, String)>, SetupError> {
        if !is_given(&keys, "source.") {
            keys.extend(self.camera(&cameras())?);
        }
        let questions = [
            ("orchestrator.urls", "Orchestrators, comma-separated", None),
            ("job.model", "Model", None),
            ("signer.urls", "Signers that pay, comma-separated, or nothing", Some("")),
            ("payment.max-price", MAX_PRICE, Some("")),
            ("output.path", "File for the processed video, or nothing", Some("")),
        ];
        for (key, question, otherwise) in questions {
            let has_no_use = key == "payment.max-price" && !is_given(&keys, "signer.urls");
            if !has_no_use && !is_given(&keys, key) {
                let read = |answer: &str| {
                    let given = Some(answer).filter(|answer| !answer.is_empty());
                    Ok(given
                        .map(|answer| (key.to_owned(), answer.to_owned()))
                        .into_iter()
                        .collect())
                };
                keys.extend(self.ask(question, otherwise, read)?);
            }
        }
        Ok(keys)
    }

    fn camera(&mut self, cameras: &[CameraFound]) -> Result<Vec<(String, String)>, SetupError> {
        self.say("Cameras:\n");
        for (nth, camera) in cameras.iter().enumerate() {
            let name = camera.name.as_deref().unwrap_or_default();
            let line = format!("  {}     {} {name}", nth + 1, source(camera));
            self.say(&format!("{}\n", line.trim_end()));
            if let Err(why) = &camera.modes {
                self.say(&format!("        not usable now: {why}\n"));
            }
        }
        self.say("  auto  the first that works: of the camera port, then of USB\n");
        self.say("  or v4l2:DEVICE, rtsp://HOST/PATH, PATH, file:PATH, pipeline:FRAGMENT, test\n");
        let works = cameras.iter().position(|camera| camera.taken.is_some());
        let otherwise = works.map_or(FIRST.to_owned(), |nth| (nth + 1).to_string());
        self.ask("Camera", Some(&otherwise), |answer| {
            let nth = answer.parse::<usize>().ok().and_then(|n| cameras.get(n.checked_sub(1)?));
            let text = nth.map_or(answer.to_owned(), source);
            source_keys(&text).map_err(|error| error.to_string())
        })
    }

    /// Asks until the answer is valid.
    fn ask(
        &mut self,
        question: &str,
        otherwise: Option<&str>,
        read: impl Fn(&str) -> Result<Vec<(String, String)>, String>,
    ) -> Result<Vec<(String, String)>, SetupError> {
        loop {
            let hint = otherwise.filter(|otherwise| !otherwise.is_empty());
            let hint = hint.map(|otherwise| format!(" [{otherwise}]")).unwrap_or_default();
            self.say(&format!("{question}{hint}: "));
            let mut line = String::new();
            if self.answers.read_line(&mut line).map_or(true, |length| length == 0) {
                self.say("\n");
                return Err(SetupError::Left);
            }
            let answer = match (line.trim(), otherwise) {
                ("", None) => continue,
                ("", Some(otherwise)) => otherwise,
                (answer, _) => answer,
            };
            let right = read(answer).and_then(|keys| match problems(&keys, Purpose::Demo) {
                None => Ok(keys),
                Some(problems) => Err(problems.iter().map(|p| format!("{p}\n")).collect()),
            });
            match right {
                Ok(keys) => return Ok(keys),
                Err(what) => self.say(&format!("{}\n", what.trim_end())),
            }
        }
    }

    fn say(&mut self, text: &str) {
        let _ = self.screen.write_all(text.as_bytes()).and_then(|()| self.screen.flush());
    }
}

fn source(camera: &CameraFound) -> String {
    format!("{}:{}", camera.kind, camera.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::modes::{Mode, Rate};
    use media::{CameraFormat, MediaError};

    fn owned(keys: &[(&str, &str)]) -> Vec<(String, String)> {
        keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The screen of a user with these answers, and the keys that are set; `None` if the user leaves.
    fn talk(
        given: &[(&str, &str)],
        cameras: &[CameraFound],
        answers: &str,
    ) -> (String, Option<Vec<(String, String)>>) {
        let mut screen = Vec::new();
        let mut person = Person { answers: answers.as_bytes(), screen: &mut screen };
        let keys = person.fill(owned(given), || cameras.to_vec()).ok();
        (String::from_utf8(screen).expect("UTF-8"), keys)
    }

    #[track_caller]
    fn check(
        given: &[(&str, &str)],
        cameras: &[CameraFound],
        answers: &str,
        expected: Option<&[(&str, &str)]>,
    ) {
        let (screen, keys) = talk(given, cameras, answers);
        assert_eq!(keys, expected.map(owned), "{screen}");
    }

    /// A camera that is in use, and one that works.
    fn two() -> [CameraFound; 2] {
        let mode = Mode {
            format: CameraFormat::Mjpeg,
            raw: String::new(),
            width: 1280,
            height: 720,
            rate: Rate::whole(30),
        };
        let camera = |device: &str| CameraFound {
            kind: "v4l2",
            device: device.to_owned(),
            name: None,
            modes: Err(MediaError::Busy(device.into())),
            taken: None,
        };
        let works = CameraFound {
            name: Some("Webcam".into()),
            modes: Ok(vec![mode.clone()]),
            taken: Some(mode),
            ..camera("/dev/v4l/by-id/b")
        };
        [camera("/dev/v4l/by-id/a"), works]
    }

    #[test]
    fn six_answers_are_a_configuration() {
        check(
            &[],
            &two(),
            "1\no.example, p.example:1\nnoop\nsigner.example\n5 wei per 720p-pixel-second\n/srv/out.ts\n",
            Some(&[
                ("source.kind", "v4l2"),
                ("source.device", "/dev/v4l/by-id/a"),
                ("orchestrator.urls", "o.example, p.example:1"),
                ("job.model", "noop"),
                ("signer.urls", "signer.example"),
                ("payment.max-price", "5 wei per 720p-pixel-second"),
                ("output.path", "/srv/out.ts"),
            ]),
        );
    }

    #[test]
    fn the_first_camera_that_works_is_taken_without_an_answer() {
        let rest = [("orchestrator.urls", "o.example"), ("job.model", "noop")];
        let camera = [("source.kind", "v4l2"), ("source.device", "/dev/v4l/by-id/b")];
        check(&[], &two(), "\no.example\nnoop\n\n\n", Some(&[&camera[..], &rest[..]].concat()));
        let auto = [("source.kind", "auto")];
        check(&[], &[], "\no.example\nnoop\n\n\n", Some(&[&auto[..], &rest[..]].concat()));
        check(&[], &two(), "auto\no.example\nnoop\n\n\n", Some(&[&auto[..], &rest[..]].concat()));
    }

    #[test]
    fn the_screen_is_exact() {
        let (screen, _) = talk(&[("output.path", "-")], &two(), "\no.example\nnoop\n\n");
        assert_eq!(
            screen,
            "Cameras:\n  1     v4l2:/dev/v4l/by-id/a\n        \
             not usable now: the camera /dev/v4l/by-id/a is in use by another program\n  \
             2     v4l2:/dev/v4l/by-id/b Webcam\n  \
             auto  the first that works: of the camera port, then of USB\n  \
             or v4l2:DEVICE, rtsp://HOST/PATH, PATH, file:PATH, pipeline:FRAGMENT, test\n\
             Camera [2]: Orchestrators, comma-separated: Model: \
             Signers that pay, comma-separated, or nothing: "
        );
    }

    #[test]
    fn a_user_with_a_signer_is_asked_for_a_price_limit() {
        let given = [("source.kind", "test"), ("orchestrator.urls", "o"), ("job.model", "noop")];
        let output = ("output.path", "-");
        let (screen, _) = talk(&[&given[..], &[output]].concat(), &[], "s.example\n\n");
        assert!(screen.contains("Highest price"), "{screen}");
        let (screen, _) = talk(&[&given[..], &[output]].concat(), &[], "\n");
        assert!(!screen.contains("Highest price"), "{screen}");
    }

    #[test]
    fn a_given_value_is_not_asked_for() {
        let given = [
            ("source.kind", "test"),
            ("job.model", "noop"),
            ("orchestrator.urls", "o.example"),
            ("signer.urls", "s.example"),
            ("payment.max-price", "5 wei per 720p-pixel-second"),
            ("output.path", "-"),
        ];
        let mut screen = Vec::new();
        let mut person = Person { answers: &b""[..], screen: &mut screen };
        let keys = person.fill(owned(&given), || unreachable!("no camera is looked for")).ok();
        assert_eq!((screen.as_slice(), keys), (&b""[..], Some(owned(&given))));
    }

    #[test]
    fn a_wrong_answer_is_explained_and_asked_again() {
        let given = [("source.kind", "test"), ("job.model", "noop"), ("output.path", "")];
        let (screen, keys) = talk(
            &given,
            &[],
            "\nhttp://o.example\no.example\nhttp://s.example/?\ns\n9\n9 wei per call\n",
        );
        assert!(screen.contains("orchestrator.urls: "), "{screen}");
        assert_eq!(screen.matches("Orchestrators").count(), 3);
        assert!(
            screen.contains("signer.urls: ") && screen.matches("Signers").count() == 2,
            "{screen}"
        );
        let answered = keys.and_then(|keys| keys.last().cloned());
        assert_eq!(answered, Some(("payment.max-price".into(), "9 wei per call".into())));
        assert!(screen.contains("payment.max-price: "), "{screen}");
        let (screen, _) = talk(&[], &two(), "3\nwebcam\n1\n");
        assert_eq!(screen.matches("allowed: test, auto").count(), 2, "{screen}");
    }

    #[test]
    fn a_user_who_leaves_gets_no_configuration() {
        check(&[], &two(), "", None);
        check(&[], &two(), "1\no.example\n", None);
        let (screen, _) = talk(&[], &two(), "1\no.example\n");
        assert!(screen.ends_with("Model: \n"), "the shell's prompt begins a line: {screen}");
    }

    #[test]
    fn without_a_terminal_the_first_camera_is_chosen() {
        assert_eq!(fill_alone(Vec::new()), owned(&[("source.kind", "auto")]));
        let given = owned(&[("source.kind", "test")]);
        assert_eq!(fill_alone(given.clone()), given);
    }

    #[test]
    fn the_next_step_fits_the_file() {
        #[track_caller]
        fn check(path: &str, expected: &str) {
            assert_eq!(next_step(Path::new(path)), expected);
        }
        check("/etc/livepeer-edge/livepeer-edge.toml", "sudo systemctl restart livepeer-edge");
        let instance = "sudo systemctl enable --now livepeer-edge@front";
        check("/etc/livepeer-edge/front.toml", instance);
        check("camera.toml", "livepeer-edge run --config camera.toml");
    }
}
