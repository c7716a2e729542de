//! Commands from the broker, as Home Assistant and others send them, to an agent with a job and to one without.
//!
//! Does not: test how a message is read; the unit tests of `mqtt::commands` do.

use serde_json::{Value, json};

use super::{edge, url};
use crate::broker::{Broker, Ear};
use crate::edge::Edge;

const COMMANDS: &[&str] = &["--mqtt.commands", "true"];

/// The next answer.
#[track_caller]
fn answer(ear: &Ear) -> Value {
    let answer = ear.hear("livepeer-edge/door/answer");
    assert_eq!((answer.is_kept, answer.qos), (false, 1));
    answer.json()
}

/// An agent without a job that takes commands, and what is heard at its broker.
fn steered(broker: &Broker) -> (Edge, Ear) {
    let ear = broker.listen();
    let mut edge = edge(&url(broker.port), COMMANDS);
    edge.hear("connected");
    // It subscribes to commands before it publishes anything.
    ear.hear("livepeer-edge/door/report");
    (edge, ear)
}

#[test]
fn commands_are_answered_and_what_they_change_is_published() {
    let broker = Broker::start();
    let (_edge, ear) = steered(&broker);
    broker.publish("livepeer-edge/door/set", r#"{"params":{"prompt":"a cat"},"id":7}"#);
    let first = answer(&ear);
    let params = json!({ "prompt": "a cat" });
    let expected = json!({ "to": "set", "ok": true, "id": 7, "change": 1, "params": params,
        "state": "waiting", "why": null });
    assert_eq!(first, expected);
    let present = ear.hear_if("door/params", |message| message.payload.contains("a cat"));
    assert_eq!((&present.json()["params"], present.is_kept), (&params, false));
    broker.publish("livepeer-edge/door/prompt/set", "a \"dog\" \u{1f415}");
    assert_eq!(answer(&ear)["params"]["prompt"], "a \"dog\" \u{1f415}");
    broker.publish("livepeer-edge/door/params/set", r#"{"steps":2,"prompt":null}"#);
    assert_eq!(answer(&ear)["params"], json!({ "steps": 2 }));
    ear.hear_if("door/params", |message| message.payload.contains("steps"));
    let kept = broker.listen().hear("door/params");
    assert_eq!((kept.is_kept, &kept.json()["params"]), (true, &json!({ "steps": 2 })));
}

#[test]
fn bad_commands_get_an_answer_and_change_nothing() {
    let broker = Broker::start();
    let (_edge, ear) = steered(&broker);
    let long = format!(r#"{{"params":{{"prompt":"{}"}}}}"#, "x".repeat(100_000));
    let too_long = format!(r#"{{"params":{{"prompt":"{}"}}}}"#, "x".repeat(65_530));
    for (message, part) in [
        ("restart", "JSON object"),
        (r#"{"restart":true,"params":{}}"#, "exactly one"),
        (&long, "bytes are read"),
        (&too_long, "at most 65536 bytes"),
    ] {
        broker.publish("livepeer-edge/door/set", message);
        let answer = answer(&ear);
        assert_eq!(answer["ok"], false);
        assert!(answer["error"].as_str().unwrap().contains(part), "{answer}");
    }
    broker.publish("livepeer-edge/door/unknown/set", "x");
    broker.publish("livepeer-edge/door/params/set", "{}");
    assert_eq!(answer(&ear)["params"], json!({}));
}

#[test]
fn commands_that_the_broker_has_kept_are_refused_at_each_connection() {
    let broker = Broker::start();
    broker.publish_kept("livepeer-edge/door/set", r#"{"params":{"prompt":"old"}}"#);
    let (_edge, ear) = steered(&broker);
    let refused = answer(&ear);
    assert_eq!((&refused["to"], &refused["ok"]), (&json!("set"), &json!(false)));
    assert!(refused["error"].as_str().unwrap().contains("without retain"), "{refused}");
    broker.publish("livepeer-edge/door/params/set", "{}");
    assert_eq!(answer(&ear)["params"], json!({}));
}

#[test]
fn without_the_setting_no_command_is_taken_and_none_is_offered() {
    let broker = Broker::start();
    broker.publish_kept("livepeer-edge/door/params", r#"{"params":{"prompt":"private"}}"#);
    let ear = broker.listen();
    let mut edge = edge(&url(broker.port), &[]);
    edge.hear("connected");
    let device = ear.hear("homeassistant/device/livepeer-edge-door/config").json();
    for entity in ["prompt", "job", "restart"] {
        assert_eq!(device["components"][entity].as_object().unwrap().len(), 1, "{device}");
    }
    ear.hear("door/report");
    broker.publish("livepeer-edge/door/params/set", r#"{"a":1}"#);
    broker.publish("livepeer-edge/door/restart/set", "restart");
    edge.signal("TERM");
    edge.end().with_code(0);
    ear.hear_if("door/status", |message| message.payload == "offline");
    let all = broker.listen();
    let kept = all.hear("door/status");
    assert_eq!(kept.payload, "offline");
    assert!(!all.so_far().iter().any(|message| message.topic.ends_with("/params")));
    assert!(!ear.so_far().iter().any(|message| message.topic.ends_with("/answer")));
}

#[test]
fn a_flood_of_commands_is_dropped_and_the_next_command_is_carried_out() {
    let broker = Broker::start();
    let (_edge, ear) = steered(&broker);
    broker.flood("livepeer-edge/door/prompt/set", 250);
    let refused = ear.hear_if("door/answer", |message| !message.payload.contains(r#""ok":true"#));
    assert!(refused.payload.contains("too many commands"), "{}", refused.payload);
    // Commands are taken again once the flood is over.
    let answer = loop {
        broker.publish("livepeer-edge/door/set", r#"{"params":{"done":1},"id":"last"}"#);
        let answer = ear.hear_soon("door/answer", |message| message.payload.contains("last"));
        if let Some(answer) = answer {
            break answer.json();
        }
    };
    let change = answer["change"].as_u64().unwrap();
    assert!((1..100).contains(&change), "{answer}");
}

/// The access list of a user who may publish below the prefix, and read no commands.
const RIGHTS: (&str, &str) = ("rights", "user door\ntopic write livepeer-edge/door/#\n");

#[test]
fn a_broker_with_tls_a_password_and_an_access_list_is_used_within_its_rights() {
    let (broker, pin) = crate::trust::locked(&[RIGHTS], "acl_file DIR/rights");
    let (_file, place) = crate::trust::secret("door:secret");
    let ear = broker.listen();
    let more = ["--mqtt.pin", &pin, "--mqtt.credential", &place];
    let mut edge = edge(&crate::trust::tls_url(&broker), &[COMMANDS, &more].concat());
    edge.hear("connected");
    ear.hear("door/report");
    // The list lets it publish its state, but no discovery, and gives it no commands.
    broker.publish("livepeer-edge/door/set", r#"{"params":{"a":1}}"#);
    edge.signal("TERM");
    edge.end().with_code(0);
    ear.hear_if("door/status", |message| message.payload == "offline");
    let heard = ear.so_far();
    assert!(!heard.iter().any(|m| m.topic.ends_with("/answer") || m.topic.ends_with("/config")));
}

#[cfg(feature = "sandbox")]
mod job {
    use sandbox::{Handle, Sandbox, Target, Timings};

    use super::*;
    use crate::broker::LIMIT;
    use crate::edge::SMALL;

    fn sandbox() -> Handle {
        let status_every = std::time::Duration::from_millis(100);
        let timings = Timings { status_every, ..Timings::default() };
        Sandbox::start(sandbox::Options { timings, ..sandbox::Options::default() }).unwrap()
    }

    /// An agent with a job that takes commands.
    fn working(sandbox: &Handle, broker: &Broker, more: &[&str]) -> Edge {
        let (orchestrator, broker) = (sandbox.url(), url(broker.port));
        let job = ["run", "--orchestrator.urls", &orchestrator, "--job.model", "m"];
        let mqtt = ["--api.listen", "off", "--status.instance", "door", "--mqtt.url", &broker];
        Edge::start(&[&job[..], &mqtt, COMMANDS, &SMALL, more].concat())
    }

    fn starts(sandbox: &Handle) -> usize {
        let is_start = |request: &&sandbox::Request| request.target == Target::Start;
        sandbox.look(|record| record.requests().filter(is_start).count())
    }

    #[tokio::test]
    async fn a_prompt_from_home_assistant_is_applied_by_the_model() {
        let (sandbox, broker) = (sandbox(), Broker::start());
        let ear = broker.listen();
        let _edge = working(&sandbox, &broker, &[]);
        let device = ear.hear("homeassistant/device/livepeer-edge-door/config").json();
        let topic = device["components"]["prompt"]["command_topic"].as_str().unwrap().to_owned();
        ear.hear_if("door/event", |message| message.json()["type"] == "job_started");
        broker.publish(&topic, "a dog");
        assert_eq!(answer(&ear)["ok"], true);
        let applied =
            ear.hear_if("door/event", |message| message.json()["type"] == "parameters_applied");
        assert_eq!((applied.is_kept, applied.qos), (false, 1));
        let expected = json!({ "prompt": "a dog" });
        ear.hear_if("door/params", |message| {
            let state = message.json();
            state["state"] == "applied" && state["params"] == expected
        });
        let has_arrived = |record: &sandbox::Record| {
            record.controls().any(|sent| sent == r#"{"prompt":"a dog"}"#)
        };
        assert!(sandbox.until(LIMIT, has_arrived).await);
    }

    #[tokio::test]
    async fn the_switch_of_home_assistant_stops_and_starts_the_job() {
        let (sandbox, broker) = (sandbox(), Broker::start());
        let ear = broker.listen();
        let _edge = working(&sandbox, &broker, &[]);
        let event = |name| ear.hear_if("door/event", |message| message.json()["type"] == name);
        event("job_started");
        broker.publish("livepeer-edge/door/job/set", "stop");
        let stopped = answer(&ear);
        assert_eq!((&stopped["ok"], &stopped["wanted"]), (&json!(true), &json!(false)));
        ear.hear_if("door/report", |message| message.json()["job"]["wanted"] == false);
        event("job_not_wanted");
        broker.publish("livepeer-edge/door/set", r#"{"job":"start","for":"1 h","id":1}"#);
        let started = answer(&ear);
        assert_eq!((&started["id"], &started["wanted"]), (&json!(1), &json!(true)));
        event("job_started");
        assert_eq!(starts(&sandbox), 2);
    }

    #[tokio::test]
    async fn a_restart_starts_one_other_job_and_a_kept_one_starts_none() {
        let (sandbox, broker) = (sandbox(), Broker::start());
        broker.publish_kept("livepeer-edge/door/restart/set", "restart");
        let ear = broker.listen();
        let _edge = working(&sandbox, &broker, &[]);
        assert_eq!(answer(&ear)["ok"], false);
        assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
        assert_eq!(starts(&sandbox), 1);
        broker.publish("livepeer-edge/door/restart/set", "restart");
        assert_eq!(answer(&ear), json!({ "to": "restart/set", "ok": true }));
        broker.publish("livepeer-edge/door/set", r#"{"restart":true,"id":1}"#);
        let soon = answer(&ear);
        assert!(soon["error"].as_str().unwrap().contains("10 s ago"), "{soon}");
        let is_second = |record: &sandbox::Record| record.counters.jobs >= 2;
        assert!(sandbox.until(LIMIT, is_second).await);
        assert_eq!(starts(&sandbox), 2);
    }

    #[tokio::test]
    async fn pictures_of_the_processed_video_are_published_and_not_kept() {
        let (sandbox, broker) = (sandbox(), Broker::start());
        let pictures = broker.listen_hex("livepeer-edge/door/picture");
        let ear = broker.listen_but("livepeer-edge/door/picture");
        let _edge = working(&sandbox, &broker, &["--mqtt.picture-every", "1 s"]);
        let picture = pictures.hear("door/picture");
        assert_eq!((picture.is_kept, picture.qos), (false, 0));
        assert!(picture.payload.starts_with("ffd8ff"), "{:.40}", picture.payload);
        pictures.hear("door/picture");
        ear.hear("door/report");
    }
}
