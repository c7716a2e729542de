//! `check` and a broker: it is tried with its credential, and the agent's own connection is not disturbed.

use std::process::Command;

use serde_json::Value;

use crate::broker::Broker;
use crate::edge::SMALL;
use crate::scratch::Scratch;
use crate::trust::USERS;
use crate::url;

/// What `check` finds about the broker: the verdict and the fact.
fn check(url: &str, credential: &str) -> (String, String) {
    let directory = Scratch::new("check-mqtt");
    std::fs::create_dir_all(&*directory).unwrap();
    let file = directory.join("credential");
    std::fs::write(&file, credential).unwrap();
    let credential = format!("file:{}", file.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
    command.args(["check", "--json", "--job.model", "m", "--status.instance", "door"]);
    command.args(["--orchestrator.urls", "https://127.0.0.1:9", "--api.listen", "127.0.0.1:0"]);
    command.args(["--mqtt.url", url, "--mqtt.credential", &credential]).args(SMALL);
    let output = command.env_clear().env("STATE_DIRECTORY", &*directory).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let found = found.as_array().unwrap().iter().find(|one| one["id"] == "mqtt").unwrap();
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("verdict"), text("what"))
}

#[test]
fn check_tries_the_broker_and_its_credential() {
    let broker = Broker::with("allow_anonymous false\npassword_file DIR/users", &[USERS]);
    let own = url(broker.own_port);
    let right = std::thread::spawn({
        let own = own.clone();
        move || check(&own, "door:secret")
    });
    let closed = std::thread::spawn(|| check("mqtt://127.0.0.1:9", "door:secret"));
    let (verdict, what) = check(&own, "door:wrong");
    assert_eq!(verdict, "warning");
    assert!(what.contains("refuses the user or password"), "{what}");
    let (verdict, what) = right.join().unwrap();
    assert_eq!((verdict.as_str(), what.as_str()), ("ok", "the broker accepts the connection"));
    let (verdict, what) = closed.join().unwrap();
    assert!(verdict == "warning" && what.contains("127.0.0.1:9"), "{what}");
}
