//! The paths of the API, their methods and their queries.
//!
//! | path | methods | answer |
//! |---|---|---|
//! | `/`, `/style.css`, `/page.js` | GET, HEAD | the page |
//! | `/healthz` | GET, HEAD | 200 while the program answers |
//! | `/openapi.json` | GET, HEAD | this table, for programs |
//!
//! Does not: answer; `io` does.

use http::Method;

use super::gate::Exposure;
use super::page::{self, PageFile};
use super::refusal::Refusal;

/// The methods of a path that is only read.
const READ: &str = "GET, HEAD";

/// A path that exists, with its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether the program answers.
    Health,
    /// The description of the API.
    OpenApi,
    /// A file of the page.
    Page(&'static PageFile),
}

impl Route {
    /// The route of a request.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, Refusal> {
        let route = match path {
            "/healthz" => Self::Health,
            "/openapi.json" => Self::OpenApi,
            path => Self::Page(page::file(path).ok_or(Refusal::NotFound)?),
        };
        match *method {
            Method::GET | Method::HEAD => Ok(route),
            _ => Err(Refusal::Method(READ)),
        }
    }

    /// What the route reveals or does.
    pub(super) fn exposure(self) -> Exposure {
        match self {
            Self::Health => Exposure::Nothing,
            Self::OpenApi | Self::Page(_) => Exposure::Page,
        }
    }
}
