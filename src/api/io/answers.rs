//! Answers requests: checks who asks, finds the route of the path, and fetches what the route shows.
//!
//! Does not: listen, or keep connections.

use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Sources;
use super::body::Body;
use super::events::EventStreams;
use super::live::Live;
use super::steer;
use crate::agent::Control;
use crate::api::gate::Gate;
use crate::api::refusal::Refusal;
use crate::api::route::{Container, Route, Which};
use crate::api::{Times, answer};
use crate::status::{Status, metrics};
use livepeer_gateway::budget::io::Purse;

/// The state that all connections share.
pub(super) struct SharedParts {
    gate: Gate,
    pub(super) times: Times,
    live: Live,
    status: Status,
    control: Control,
    purses: [Purse; 2],
    events: EventStreams,
}

impl SharedParts {
    /// Answers requests that `gate` allows, from `sources`.
    pub(super) fn new(gate: Gate, sources: &Sources, times: Times) -> Self {
        let live = Live::new(sources.units.clone(), sources.outputs.clone(), times.first_key);
        let events = EventStreams::new(sources.events.clone());
        let (status, control) = (sources.status.clone(), sources.control.clone());
        let purses = sources.purses.clone();
        Self { gate, times, live, status, control, purses, events }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut answer = match self.serve(&head, body).await {
            Ok(answer) => answer,
            Err(refusal) => answer::refused(&refusal).map(Body::whole),
        };
        answer::complete(answer.headers_mut());
        answer
    }

    async fn serve(&self, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
        self.gate.host(head)?;
        let route = Route::find(&head.method, head.uri.path(), head.uri.query())?;
        self.gate.sender(head, route.exposure())?;
        let whole = |content_type, body: &'static [u8]| {
            answer::whole(StatusCode::OK, content_type, Bytes::from_static(body)).map(Body::whole)
        };
        let json = |value| answer::json(StatusCode::OK, &value).map(Body::whole);
        Ok(match route {
            Route::Health => whole("text/plain", b"ok\n"),
            Route::OpenApi => whole("application/json", include_bytes!("../openapi.json")),
            Route::Schema => {
                whole("application/schema+json", include_bytes!("../../status/schema.json"))
            }
            Route::Page(file) => whole(file.content_type, file.bytes),
            Route::Ready => self.ready()?,
            Route::Status => {
                let report = self.status.report(Instant::now());
                // The report has only texts, numbers and lists, which always serialise.
                text("application/json", serde_json::to_string(&report).unwrap_or_default())
            }
            Route::Metrics => {
                let report = self.status.report(Instant::now());
                text("text/plain; version=0.0.4; charset=utf-8", metrics(&report))
            }
            Route::Events if head.method == Method::HEAD => untold(EVENTS),
            Route::Events => {
                let events = self.events.subscribe()?;
                untold(EVENTS).map(|_| Body::Events(events))
            }
            Route::Params => json(steer::present(&self.control).await?),
            Route::Change(edit) => {
                let params = steer::object(head, body, self.times.body).await?;
                json(steer::change(&self.control, edit, params).await?)
            }
            Route::Budget => text("application/json", steer::budgets(&self.purses)),
            Route::AddToBudget => {
                let body = steer::object(head, body, self.times.body).await?;
                text("application/json", steer::add_to_budget(&self.purses, &body).await?)
            }
            Route::Job => {
                let body = steer::object(head, body, self.times.body).await?;
                json(steer::wish(&self.control, &body).await?)
            }
            Route::Restart => {
                let answer = steer::restart(&self.control).await?;
                answer::json(StatusCode::ACCEPTED, &answer).map(Body::whole)
            }
            Route::Snapshot(_) if head.method == Method::HEAD => untold("image/jpeg"),
            Route::Snapshot(which) => {
                let picture = self.live.snapshot(which).await?;
                answer::whole(StatusCode::OK, "image/jpeg", picture).map(Body::whole)
            }
            Route::Video(_, container) if head.method == Method::HEAD => untold(kind(container)),
            Route::Video(which, container) => self.video(which, container).await?,
        })
    }

    /// Whether video moves from the camera back to this device.
    fn ready(&self) -> Result<Response<Body>, Refusal> {
        let report = self.status.report(Instant::now());
        match report.ready {
            true => Ok(text("text/plain; charset=utf-8", format!("{}\n", report.summary))),
            false => Err(Refusal::NotReady(report.summary)),
        }
    }

    /// Live video, once its first key frame has come.
    async fn video(&self, which: Which, container: Container) -> Result<Response<Body>, Refusal> {
        let (viewer, mp4) = self.live.view(which, container).await?;
        let mut answer = untold(kind(container)).map(|_| Body::Live(viewer));
        let codec = mp4.map(|head| format!("{}; codecs=\"{}\"", kind(container), head.codec));
        if let Some(kind) = codec.and_then(|kind| HeaderValue::try_from(kind).ok()) {
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        Ok(answer)
    }
}

/// The content type of server-sent events.
const EVENTS: &str = "text/event-stream";

/// The content type of live video.
fn kind(container: Container) -> &'static str {
    match container {
        Container::Ts => "video/mp2t",
        Container::Mp4 => "video/mp4",
    }
}

/// An answer whose length is not known.
fn untold(content_type: &'static str) -> Response<Body> {
    answer::whole(StatusCode::OK, content_type, Bytes::new()).map(|_| Body::Unknown)
}

/// An answer with this text.
fn text(content_type: &'static str, text: String) -> Response<Body> {
    answer::whole(StatusCode::OK, content_type, text).map(Body::whole)
}
