//! The MQTT client against a real mosquitto: what is published, the last will, trust, and brokers that fail or hang.
//!
//! Does not: skip anything; `cross/setup.sh` installs mosquitto.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod broker;
mod check;
mod commands;
#[path = "../edge/mod.rs"]
mod edge;
#[path = "../peers/mod.rs"]
mod peers;
mod trust;

use std::io::{Read, Write};
use std::time::Duration;

use livepeer_edge::agent::{Control, Outputs};
use livepeer_edge::api::Pictures;
use livepeer_edge::events::{Bus, Kind, WAITING};
use livepeer_edge::mqtt::{Mqtt, Options, Sources, Times};
use livepeer_edge::status::Status;
use media::io::AccessUnits;
use resilience::wait::AbortOnDrop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use broker::{Broker, LIMIT};
use edge::{Edge, scratch};

/// Starts the program, connected to this broker, with a job that finds no orchestrator.
fn edge(url: &str, more: &[&str]) -> Edge {
    let job = ["run", "--orchestrator.urls", "https://127.0.0.1:9", "--job.model", "m"];
    let mqtt = ["--api.listen", "off", "--status.instance", "door", "--mqtt.url", url];
    Edge::start(&[&job[..], &mqtt, &edge::SMALL, more].concat())
}

fn url(port: u16) -> String {
    format!("mqtt://127.0.0.1:{port}")
}

/// An MQTT client in this process, with short time limits.
struct Client {
    options: watch::Sender<Options>,
    events: Bus,
    _task: AbortOnDrop<std::convert::Infallible>,
}

fn client(port: u16, times: Times) -> Client {
    let options = Options { url: Some(url(port).parse().unwrap()), ..Options::default() };
    let (options, changes) = watch::channel(options);
    let events = Bus::default();
    let sources = Sources {
        status: Status::default(),
        events: events.clone(),
        pictures: Pictures::new(AccessUnits::new(), Outputs::default()),
        // The agent has ended.
        control: Control::new(mpsc::channel(1).0),
        clock: std::sync::Arc::default(),
    };
    let task = AbortOnDrop::spawn(Mqtt::new(changes, sources).with_times(times).run());
    Client { options, events, _task: task }
}

fn short() -> Times {
    let time = Duration::from_millis(300);
    Times { answer: time, ping: time / 4, silence: time, look: time, ..Times::default() }
}

#[test]
fn the_state_is_a_retained_message_and_a_killed_program_is_shown_as_offline() {
    let broker = Broker::start();
    let mut edge = edge(&url(broker.port), &[]);
    edge.hear("connected");
    let ear = broker.listen();
    let status = ear.hear("livepeer-edge/door/status");
    assert_eq!((status.payload.as_str(), status.qos), ("online", 1));
    let report = broker.listen().hear("livepeer-edge/door/report");
    assert!(report.is_kept);
    assert_eq!(
        (&report.json()["version"], &report.json()["instance"]),
        (&1.into(), &"door".into())
    );
    edge.signal("KILL");
    let status = ear.hear_if("/status", |message| message.payload != "online");
    assert_eq!(status.payload, "offline");
    let kept = broker.listen().hear("/status");
    assert_eq!((kept.payload.as_str(), kept.is_kept), ("offline", true));
}

#[test]
fn a_program_that_stops_is_shown_as_offline() {
    let broker = Broker::start();
    let mut edge = edge(&url(broker.port), &["--mqtt.prefix", "home/door"]);
    edge.hear("connected");
    let ear = broker.listen();
    assert_eq!(ear.hear("home/door/status").payload, "online");
    edge.signal("TERM");
    assert_eq!(ear.hear_if("home/door/status", |m| m.payload != "online").payload, "offline");
    edge.end().with_code(0);
}

#[test]
fn after_a_restart_of_the_broker_everything_is_published_again() {
    let mut broker = Broker::start();
    let mut edge = edge(&url(broker.port), &[]);
    edge.hear("connected");
    broker.stop();
    edge.hear("MQTT: ");
    broker.start_again();
    edge.hear("connected again");
    // They come in any order.
    let device = broker.listen().hear("homeassistant/device/livepeer-edge-door/config");
    assert_eq!(device.json()["qos"], 1);
    assert_eq!(broker.listen().hear("/status").payload, "online");
    broker.listen().hear("/report");
}

#[tokio::test]
async fn the_connection_to_a_broker_that_accepts_and_hangs_is_closed_and_opened_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = client(listener.local_addr().unwrap().port(), short());
    let again = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // This read ends when the client closes the connection.
        first.read_to_end(&mut request).await.unwrap();
        assert!(request.windows(4).any(|bytes| bytes == b"MQTT"));
        let _second = listener.accept().await.unwrap();
    };
    timeout(LIMIT, again).await.expect("another connection");
}

#[test]
fn events_are_published_from_the_start_and_not_kept() {
    let broker = Broker::start();
    let ear = broker.listen();
    let types = ["--mqtt.event-types", "started,stopping"];
    let mut edge = edge(&url(broker.port), &types);
    let started = ear.hear("livepeer-edge/door/event");
    assert_eq!((started.is_kept, started.qos), (false, 1));
    assert_eq!(
        (&started.json()["type"], &started.json()["number"]),
        (&"started".into(), &0.into())
    );
    edge.hear("connected");
    let later = broker.listen();
    later.hear("door/report");
    assert!(!later.so_far().iter().any(|message| message.topic.ends_with("/event")));
}

#[tokio::test]
async fn events_of_the_time_without_a_broker_are_published_later_and_lost_ones_are_counted() {
    let broker = Broker::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = client(closed, Times::default());
    let ear = broker.listen();
    let more = 40;
    (0..WAITING + more).for_each(|_| client.events.publish(|| Kind::PaymentWorks));
    client.options.send_modify(|options| options.url = Some(url(broker.port).parse().unwrap()));
    let heard = tokio::task::spawn_blocking(move || {
        let lost = ear.hear("/event").json();
        assert_eq!((&lost["type"], &lost["count"]), (&"events_lost".into(), &more.into()));
        for number in more..WAITING + more {
            assert_eq!(ear.hear("/event").json()["number"], number);
        }
    });
    timeout(LIMIT, heard).await.expect("all events").unwrap();
}

#[test]
fn a_broker_that_denies_the_commands_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(&ACCEPTED).unwrap();
        // The first packet of this client has the number 1.
        stream.write_all(&[0x90, 6, 0, 1, 1, 1, 1, 0x80]).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut edge = edge(&url(port), &["--mqtt.commands", "true"]);
    let line = edge.hear("does not let this user read");
    assert!(line.contains("livepeer-edge/door/set"), "{line}");
    drop(edge);
    broker.join().unwrap();
}

/// The packet CONNACK that accepts a connection.
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

#[tokio::test]
async fn the_connection_to_a_broker_that_reads_nothing_is_closed() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    // The client publishes so often that the socket buffers fill up, although confirmations arrive.
    let times =
        Times { look: Duration::from_millis(1), report: Duration::from_millis(1), ..short() };
    let _client = client(listener.local_addr().unwrap().port(), times);
    let (mut first, _) = listener.accept().await.unwrap();
    first.write_all(&ACCEPTED).await.unwrap();
    let flood = async {
        // The broker reads nothing, but sends keep-alive answers, and confirmations of every packet id.
        let mut id = 0_u16;
        loop {
            id = id % 4096 + 1;
            let [high, low] = id.to_be_bytes();
            let sent = first.write_all(&[0x40, 2, high, low]).await;
            if sent.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, flood).await.expect("the client gives up");
    timeout(LIMIT, listener.accept()).await.expect("another connection").unwrap();
}

#[tokio::test]
async fn new_options_are_used_at_once() {
    let [first, second] = [Broker::start(), Broker::start()];
    let client = client(first.port, Times::default());
    let ear = first.listen();
    let heard = tokio::task::spawn_blocking(move || {
        ear.hear_if("/status", |message| message.payload == "online");
        ear
    });
    let ear = timeout(LIMIT, heard).await.expect("online").unwrap();
    client.options.send_modify(|options| {
        options.url = Some(url(second.port).parse().unwrap());
        options.discovery_prefix = None;
    });
    let other = second.listen();
    let heard = tokio::task::spawn_blocking(move || {
        assert_eq!(other.hear("/status").payload, "online");
        ear.hear_if("/status", |message| message.payload == "offline");
    });
    timeout(LIMIT, heard).await.expect("moved").unwrap();
}
