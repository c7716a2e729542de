//! Options of finding and paying orchestrators, and of the job on a runner.
//!
//! The options name only the places of credentials.
//!
//! Does not: read credentials or tokens.

use super::draft::{Objection, missing};
use super::problem::Complaint;
use livepeer_gateway::budget::Budget;
use livepeer_gateway::http::{Scheme, ServiceTrust, Url};
use livepeer_gateway::job::runner::{AppApi, JsonPointer, RunnerOptions, UpdateTarget};
use livepeer_gateway::orchestrator::{Endpoints, Headers, TokenError};
use livepeer_gateway::price::MaxPrice;
use resilience::secret::{Secret, SecretSource};

/// How orchestrators are found and paid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    /// Where an access token is kept.
    pub token: Option<SecretSource>,
    /// The URL of a list of orchestrators.
    pub discovery: Option<Url>,
    /// Headers for the discovery endpoint.
    pub discovery_headers: Headers,
    /// Remote signers, the preferred one first.
    pub signers: Vec<Url>,
    /// Headers for the signers.
    pub signer_headers: Headers,
    /// Which certificates of signers and of the discovery endpoint are trusted.
    pub services: ServiceTrust,
    /// Allows plain HTTP to signers and discovery endpoints on other computers.
    pub allow_plain_http: bool,
    /// The application's name, reported to the signer.
    pub app: Option<String>,
    /// The highest price of a job.
    pub max_price: Option<MaxPrice>,
    /// The limit on payments in each period.
    pub budget: Option<Budget>,
}

impl Access {
    /// The endpoints of the token and of this configuration. The token's endpoints come first.
    pub fn endpoints(
        &self,
        orchestrators: &[Url],
        token: Option<&Secret>,
    ) -> Result<Endpoints, TokenError> {
        let given = Endpoints {
            orchestrators: orchestrators.to_vec(),
            signers: self.signers.clone(),
            signer_headers: self.signer_headers.clone(),
            discovery: self.discovery.clone(),
            discovery_headers: self.discovery_headers.clone(),
        };
        match token {
            None => Ok(given),
            Some(token) => Ok(Endpoints::from_token(token)?.or(given)),
        }
    }

    /// Whether orchestrators can be found without `orchestrator.urls`.
    pub(super) fn finds_orchestrators(&self) -> bool {
        self.token.is_some() || self.discovery.is_some() || !self.signers.is_empty()
    }

    pub(super) fn object(&self, objections: &mut Vec<Objection>) {
        let open = |url: &&Url| url.scheme() == Scheme::Http && !url.authority().is_loopback();
        let signer = self.signers.iter().find(open).map(|url| ("signer.urls", url));
        let discovery = self.discovery.iter().find(open).map(|url| ("discovery.url", url));
        for (key, url) in signer.into_iter().chain(discovery).filter(|_| !self.allow_plain_http) {
            let reason = format!(
                "{} is another computer on plain HTTP; use https, or set services.allow-plain-http = true",
                url.authority()
            );
            objections.push((key, Complaint::Wrong(reason)));
        }
    }
}

/// A job on a runner.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerJobOptions {
    /// The app, and the requirements for its runner.
    pub options: RunnerOptions,
    /// How the app is started, and which channels it answers with.
    pub api: AppApi,
}

/// `[runner]` as written.
#[derive(Debug, Default)]
pub(super) struct DraftRunner {
    pub(super) app: Option<String>,
    pub(super) gpu: Option<String>,
    pub(super) is_own: bool,
    pub(super) start: Option<String>,
    pub(super) publish: Option<JsonPointer>,
    pub(super) output: Option<JsonPointer>,
    pub(super) control: Option<JsonPointer>,
    pub(super) events: Option<JsonPointer>,
    pub(super) update: Option<UpdateTarget>,
}

impl DraftRunner {
    pub(super) fn is_wanted(&self) -> bool {
        self.app.is_some()
    }

    /// The job on a runner, if an app is set. Keys of the API override the profile.
    pub(super) fn finish(
        self,
        max_price: Option<MaxPrice>,
    ) -> Result<Option<RunnerJobOptions>, Vec<Objection>> {
        let Some(app) = self.app else { return Ok(None) };
        let options = RunnerOptions { app, gpu: self.gpu, max_price };
        let api = if self.is_own {
            let why = "runner.profile = \"own\" needs it";
            match (self.start, self.publish) {
                (Some(start), Some(publish)) => AppApi {
                    start,
                    publish,
                    output: self.output,
                    control: self.control,
                    events: self.events,
                    update: self.update,
                },
                (start, publish) => {
                    let start = start.is_none().then(|| missing("runner.start", why));
                    let publish = publish.is_none().then(|| missing("runner.publish", why));
                    return Err(start.into_iter().chain(publish).collect());
                }
            }
        } else {
            let echo = AppApi::echo();
            AppApi {
                start: self.start.unwrap_or(echo.start),
                publish: self.publish.unwrap_or(echo.publish),
                output: self.output.or(echo.output),
                control: self.control.or(echo.control),
                events: self.events.or(echo.events),
                update: self.update.or(echo.update),
            }
        };
        Ok(Some(RunnerJobOptions { options, api }))
    }
}
