//! The command line of the built program: standard output, standard error, and exit codes.
//!
//! Does not: run jobs.
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn edge(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_livepeer-edge"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

/// Runs the program. Asserts its exit code, and how standard output and standard error begin.
#[track_caller]
fn check(arguments: &[&str], code: i32, out: &str, err: &str) {
    let output = edge(arguments, &[]);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert!(stdout.starts_with(out) && stdout.is_empty() == out.is_empty(), "{stdout:?}");
    assert!(stderr.starts_with(err) && stderr.is_empty() == err.is_empty(), "{stderr:?}");
}

/// Writes a configuration file. Each test must use another `name`.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("a writable target directory");
    path
}

#[test]
fn help_and_version_go_to_standard_output() {
    check(&["--version"], 0, "livepeer-edge 0.", "");
    check(&["--help"], 0, "livepeer-edge 0.", "");
    check(&["run", "--help"], 0, "livepeer-edge run [--config FILE]", "");
    check(&["help", "config"], 0, "# Configuration of livepeer-edge.", "");
}

#[test]
fn devices_are_listed_as_text_and_as_json() {
    let output = edge(&["devices", "--video.width", "320", "--video.height", "240"], &[]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success());
    assert!(
        text.starts_with("Cameras (") && text.contains("tried at 320x240, 24 frames/s:"),
        "{text}"
    );
    assert!(text.contains("  x264enc        works (software)"), "{text}");
    let output = edge(&["devices", "--json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for list in ["cameras", "encoders", "microphones"] {
        assert!(json[list].is_array(), "{list}: {json}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    for arguments in [&[][..], &["rum"], &["run", "--confg", "a"], &["check-config"]] {
        let output = edge(arguments, &[]);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_valid_configuration_is_ok() {
    let right = file("right.toml", "[orchestrator]\nurls = ['o.example']\n[job]\nmodel = 'm'\n");
    let right = right.to_str().expect("UTF-8");
    check(&["check-config", right], 0, &format!("{right}: ok\n"), "");
}

#[test]
fn one_problem_is_printed_as_one_line_and_several_as_a_list() {
    let one =
        file("one.toml", "[orchestrator]\nurls = ['o.example']\n[job]\nmodle = 'm'\nmodel = 'm'");
    let one = one.to_str().expect("UTF-8");
    check(
        &["check-config", one],
        2,
        "",
        &format!("error: {one}:4: job.modle: no such key; known: "),
    );
    let many = file("many.toml", "[video]\nfps = 90\nwidth = 'wide'\n");
    let many = many.to_str().expect("UTF-8");
    let output = edge(&["run", "--config", many], &[("LIVEPEER_EDGE_LOG_LEVEL", "loud")]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!(
        "error: 5 problems in the configuration\n\
         {many}: orchestrator.urls: missing; a job needs an orchestrator\n\
         {many}: job.model: missing; a job needs a model\n\
         {many}:2: video.fps: found 90; allowed: 1 to 60 frames/s\n\
         {many}:3: video.width: found \"wide\"; allowed: even, 64 to 3840 pixels\n\
         $LIVEPEER_EDGE_LOG_LEVEL: log.level: found \"loud\"; allowed: error, warn, info, debug, trace\n"
    );
    assert_eq!(String::from_utf8(output.stderr).expect("UTF-8"), expected);
}

#[test]
fn an_environment_variable_of_no_key_is_refused() {
    for name in ["LIVEPEER_EDGE_FPS", "livepeer_edge_video_fps"] {
        let output = edge(&["devices"], &[(name, "12")]);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = format!("error: ${name}: no such key; is LIVEPEER_EDGE_VIDEO_FPS meant?\n");
        assert_eq!((output.status.code(), stderr), (Some(2), expected));
    }
}

#[test]
fn a_missing_file_is_named_with_its_cause_once() {
    let expected = "error: cannot read configuration /nowhere/a.toml: No such file or directory";
    check(&["run", "--config", "/nowhere/a.toml"], 2, "", expected);
}

#[test]
fn log_lines_have_priorities_only_if_the_journal_reads_them() {
    // `JOURNAL_STREAM` names another stream: standard error is a pipe of this test.
    let output = edge(&["rum"], &[("JOURNAL_STREAM", "8:1")]);
    assert!(output.stderr.starts_with(b"error: "), "{output:?}");

    use std::os::unix::fs::MetadataExt;
    let log = file("journal", "");
    let journal = std::fs::File::create(&log).expect("a file");
    let meta = journal.metadata().expect("its numbers");
    let status = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"))
        .arg("rum")
        .env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()))
        .stderr(journal)
        .status()
        .expect("the binary runs");
    assert_eq!(status.code(), Some(2));
    let text = std::fs::read_to_string(&log).expect("the log");
    assert!(text.starts_with("<3>error: unknown command `rum`"), "{text:?}");
}

#[test]
fn setup_writes_a_valid_configuration_and_does_not_overwrite_an_existing_one() {
    let path = file("setup.toml", "# nothing is set\n[video]\n#fps = 3\n");
    let path = path.to_str().expect("UTF-8");
    let options = ["--source", "test", "--orchestrator.urls", "o.example", "--job.model", "m"];
    let setup = [&["setup", "--config", path][..], &options].concat();
    check(&setup, 0, &format!("{path} is written. To use it:\n  livepeer-edge run --config"), "");
    check(&["check-config", path], 0, &format!("{path}: ok\n"), "");
    let written = std::fs::read_to_string(path).expect("the file");
    let expected = "\n[source]\nkind = \"test\"\n\n[orchestrator]\nurls = [\"o.example\"]\n\n[job]\nmodel = \"m\"\n";
    assert!(written.starts_with("# ") && written.ends_with(expected), "{written}");

    check(&setup, 2, "", &format!("error: {path} is a configuration already; `--existing"));
    let anew = [&setup[..], &["--existing", "replace", "--video.fps", "12"]].concat();
    check(&anew, 0, path, "");
    let rewritten = std::fs::read_to_string(path).expect("the file");
    assert!(rewritten.contains("fps = 12"), "{rewritten}");
}

#[test]
fn setup_without_required_values_writes_nothing() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("setup-missing.toml");
    let _ = std::fs::remove_file(&path);
    let text = path.to_str().expect("UTF-8");
    check(&["setup", "--config", text], 2, "", "error: 2 problems in the configuration\n");
    let wrong = ["setup", "--config", text, "--orchestrator.urls", "o", "--job.modle", "m"];
    check(&wrong, 2, "", "error: 2 problems in the configuration\n");
    assert!(!path.exists());
    let nowhere = ["setup", "--config", "/proc/nowhere/a.toml", "--source", "test"];
    let nowhere = [&nowhere[..], &["--orchestrator.urls", "o", "--job.model", "m"]].concat();
    check(&nowhere, 1, "", "error: cannot write /proc/nowhere/a.toml: ");
}
