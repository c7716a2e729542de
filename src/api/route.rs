//! The paths of the API, their methods and their queries.
//!
//! | path | methods | answer |
//! |---|---|---|
//! | `/`, `/style.css`, `/page.js`, … | GET, HEAD | the files of the page |
//! | `/healthz` | GET, HEAD | 200 while the program answers |
//! | `/readyz` | GET, HEAD | 200 while video moves from the camera back to this device, or no job is wanted and the camera works; else 503 |
//! | `/status`, `/status/schema.json` | GET, HEAD | the state of the agent, and its JSON Schema |
//! | `/metrics` | GET, HEAD | the same figures for Prometheus |
//! | `/snapshot.jpg?stream=input\|output` | GET, HEAD | the newest picture as JPEG; of the output if no stream is named |
//! | `/input.ts`, `/output.ts` | GET, HEAD | live video as MPEG-TS, from a key frame on |
//! | `/input.mp4`, `/output.mp4` | GET, HEAD | the same as fragmented MP4, one fragment for each frame; `Content-Type` names the codec |
//! | `/events` | GET, HEAD | events from now on, as server-sent events |
//! | `/params` | GET, HEAD | the parameters of the job |
//! | `/params?mode=merge\|replace` | POST | changes them by a JSON object; merges if no mode is named |
//! | `/budget` | GET, HEAD | the budgets of payments and traffic, and what is spent of them |
//! | `/budget` | POST | adds an amount to one of them for the present period: `{"add": "20000 wei"}` or `{"add": "1 GB"}` |
//! | `/job` | POST | starts or stops the job, by a JSON object: `{"wish":"start","seconds":600}` |
//! | `/restart` | POST | closes the job and starts another one |
//! | `/openapi.json` | GET, HEAD | this table, for programs |
//!
//! Does not: answer; `io` does.

use http::Method;

use super::gate::Exposure;
use super::page::{self, PageFile};
use super::refusal::Refusal;
use crate::agent::Edit;

/// The methods of a path that is only read.
const READ: &str = "GET, HEAD";
/// The methods of a path that is read and changed.
const READ_OR_POST: &str = "GET, HEAD, POST";
/// The method of a path that only does something.
const POST: &str = "POST";

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What the camera gives.
    Input,
    /// What the model gives back.
    Output,
}

/// A format of live video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// MPEG-TS.
    Ts,
    /// Fragmented MP4.
    Mp4,
}

/// A path that exists, with its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether the program answers.
    Health,
    /// Whether video moves from the camera back to this device.
    Ready,
    /// The state of the agent.
    Status,
    /// The schema of the state.
    Schema,
    /// The figures of the state, for Prometheus.
    Metrics,
    /// The description of the API.
    OpenApi,
    /// The newest picture of a stream.
    Snapshot(Which),
    /// A stream.
    Video(Which, Container),
    /// Events from now on.
    Events,
    /// The parameters of the job.
    Params,
    /// A change of the parameters.
    Change(Edit),
    /// The budgets of payments and traffic.
    Budget,
    /// An addition to one of them.
    AddToBudget,
    /// A start or a stop of the job.
    Job,
    /// A new job.
    Restart,
    /// A file of the page.
    Page(&'static PageFile),
}

impl Route {
    /// The route of a request.
    pub(super) fn find(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let route = match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/status" => Self::Status,
            "/status/schema.json" => Self::Schema,
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/snapshot.jpg" => Self::Snapshot(Which::of(query)?),
            "/input.ts" => Self::Video(Which::Input, Container::Ts),
            "/output.ts" => Self::Video(Which::Output, Container::Ts),
            "/input.mp4" => Self::Video(Which::Input, Container::Mp4),
            "/output.mp4" => Self::Video(Which::Output, Container::Mp4),
            "/events" => Self::Events,
            "/params" if *method == Method::POST => return edit(query).map(Self::Change),
            "/params" => Self::Params,
            "/budget" if *method == Method::POST => return Ok(Self::AddToBudget),
            "/budget" => Self::Budget,
            "/job" if *method == Method::POST => return Ok(Self::Job),
            "/job" => return Err(Refusal::Method(POST)),
            "/restart" if *method == Method::POST => return Ok(Self::Restart),
            "/restart" => return Err(Refusal::Method(POST)),
            path => Self::Page(page::file(path).ok_or(Refusal::NotFound)?),
        };
        match *method {
            Method::GET | Method::HEAD => Ok(route),
            _ if matches!(route, Self::Params | Self::Budget) => Err(Refusal::Method(READ_OR_POST)),
            _ => Err(Refusal::Method(READ)),
        }
    }

    /// What the route reveals or does.
    pub(super) fn exposure(self) -> Exposure {
        match self {
            Self::Health | Self::OpenApi | Self::Schema | Self::Page(_) => Exposure::Nothing,
            Self::Ready
            | Self::Status
            | Self::Metrics
            | Self::Events
            | Self::Params
            | Self::Change(_)
            | Self::Budget
            | Self::AddToBudget
            | Self::Job
            | Self::Restart
            | Self::Snapshot(_)
            | Self::Video(..) => Exposure::Private,
        }
    }
}

impl Which {
    /// The stream that a query names; other parts of the query are ignored.
    fn of(query: Option<&str>) -> Result<Self, Refusal> {
        match value(query, "stream") {
            None | Some("output") => Ok(Self::Output),
            Some("input") => Ok(Self::Input),
            Some(_) => Err(Refusal::Query("stream=input or stream=output")),
        }
    }
}

/// How a query changes the parameters.
fn edit(query: Option<&str>) -> Result<Edit, Refusal> {
    match value(query, "mode") {
        None | Some("merge") => Ok(Edit::Merge),
        Some("replace") => Ok(Edit::Replace),
        Some(_) => Err(Refusal::Query("mode=merge or mode=replace")),
    }
}

/// The value of this name in a query.
fn value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, query: Option<&str>, expected: Result<Route, Refusal>) {
        let method = method.parse().unwrap();
        assert_eq!(Route::find(&method, path, query), expected, "{method} {path} {query:?}");
    }

    #[test]
    fn a_path_is_found_with_its_method_and_query() {
        check("GET", "/healthz", None, Ok(Route::Health));
        check("HEAD", "/output.mp4", None, Ok(Route::Video(Which::Output, Container::Mp4)));
        check("GET", "/input.ts", Some("x"), Ok(Route::Video(Which::Input, Container::Ts)));
        check("GET", "/snapshot.jpg", None, Ok(Route::Snapshot(Which::Output)));
        check("GET", "/snapshot.jpg", Some("t=1&stream=input"), Ok(Route::Snapshot(Which::Input)));
        let streams = Refusal::Query("stream=input or stream=output");
        check("GET", "/snapshot.jpg", Some("stream=INPUT"), Err(streams));
        check("POST", "/snapshot.jpg", None, Err(Refusal::Method(READ)));
        check("GET", "/params", None, Ok(Route::Params));
        check("POST", "/params", None, Ok(Route::Change(Edit::Merge)));
        check("POST", "/params", Some("mode=replace"), Ok(Route::Change(Edit::Replace)));
        let modes = Refusal::Query("mode=merge or mode=replace");
        check("POST", "/params", Some("mode=x"), Err(modes));
        check("PUT", "/params", None, Err(Refusal::Method(READ_OR_POST)));
        check("GET", "/budget", None, Ok(Route::Budget));
        check("POST", "/budget", None, Ok(Route::AddToBudget));
        check("DELETE", "/budget", None, Err(Refusal::Method(READ_OR_POST)));
        check("POST", "/job", None, Ok(Route::Job));
        check("GET", "/job", None, Err(Refusal::Method(POST)));
        check("POST", "/restart", None, Ok(Route::Restart));
        check("GET", "/restart", None, Err(Refusal::Method(POST)));
        check("OPTIONS", "/", None, Err(Refusal::Method(READ)));
        for path in ["", "//", "/index.html", "/healthz/", "/../etc/passwd", "*"] {
            check("GET", path, None, Err(Refusal::NotFound));
        }
    }

    #[test]
    fn all_that_shows_the_agent_is_private() {
        for path in ["/snapshot.jpg", "/input.ts", "/output.ts", "/input.mp4", "/output.mp4"] {
            let route = Route::find(&Method::GET, path, None).unwrap();
            assert_eq!(route.exposure(), Exposure::Private, "{path}");
        }
    }
}
