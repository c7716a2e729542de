//! Collects the values of all keys, and checks the rules between keys.
//!
//! Does not: check single values; the rows of their keys do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::access::{Access, DraftRunner};
use super::events::DraftEvents;
use super::outputs::DraftOutput;
use super::problem::Complaint;
use super::{Config, Purpose};
use crate::agent::{WantedOptions, When};
use crate::api;
use crate::mqtt;
use crate::status::StatusOptions;
use livepeer_gateway::budget::Budget;
use livepeer_gateway::http::{Authority, Fingerprint, Url};
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::orchestrator::{OnChange, TrustOptions};
use livepeer_gateway::session::selection::CandidateOrder;
use media::motion::MotionOptions;
use media::{
    self, Audio, AudioCodec, Bitrates, CameraFormat, Encoder, MaxLatency, Microphone, OnCameraLoss,
    Source, Store, Video,
};
use resilience::secret::SecretSource;

/// The values so far; at the start, the defaults.
#[derive(Debug)]
pub struct Draft {
    pub(super) source: DraftSource,
    pub(super) video: Video,
    pub(super) encoder: Encoder,
    pub(super) audio: DraftAudio,
    pub(super) bitrates: Bitrates,
    pub(super) max_latency: MaxLatency,
    pub(super) on_camera_loss: OnCameraLoss,
    pub(super) motion: MotionOptions,
    pub(super) store: DraftStore,
    pub(super) orchestrators: Vec<Url>,
    pub(super) order: Option<CandidateOrder>,
    pub(super) trust: TrustKind,
    pub(super) on_change: OnChange,
    pub(super) pins: BTreeMap<Authority, Fingerprint>,
    pub(super) access: Access,
    pub(super) job: JobOptions,
    pub(super) recovery: Recovery,
    pub(super) wanted: WantedOptions,
    pub(super) runner: DraftRunner,
    /// The output of `[output]`, the environment and the arguments.
    pub(super) plain: DraftOutput,
    /// The outputs of `[[output]]` tables.
    pub(super) tables: Vec<DraftOutput>,
    /// Whether one of `tables` writes to standard output. Set before `tables` is emptied.
    pub(super) has_stdout_table: bool,
    /// Whether the present keys belong to the last of `tables`.
    pub(super) is_in_table: bool,
    pub(super) status: StatusOptions,
    pub(super) events: DraftEvents,
    pub(super) log: LevelFilter,
    pub(super) state_directory: Option<PathBuf>,
    pub(super) api: api::Options,
    pub(super) mqtt: mqtt::Options,
    pub(super) data: Option<Budget>,
    pub(super) interfaces: Vec<String>,
}

/// `[source]` as written. The section may have keys of other kinds of source, so that a higher layer can change the
/// kind alone.
#[derive(Debug, Default)]
pub(super) struct DraftSource {
    pub(super) kind: SourceKind,
    pub(super) path: Option<PathBuf>,
    pub(super) repeat: bool,
    pub(super) device: Option<PathBuf>,
    pub(super) format: CameraFormat,
    pub(super) fragment: Option<String>,
    pub(super) url: Option<String>,
    pub(super) credential: Option<SecretSource>,
    pub(super) pin: Option<Fingerprint>,
}

/// `[audio]` as written.
#[derive(Debug)]
pub(super) struct DraftAudio {
    pub(super) microphone: Option<Microphone>,
    pub(super) device: Option<String>,
    pub(super) codec: AudioCodec,
    pub(super) bitrate: u32,
}

impl Default for DraftAudio {
    fn default() -> Self {
        let microphone = Some(Microphone::File);
        Self { microphone, device: None, codec: AudioCodec::default(), bitrate: 64_000 }
    }
}

impl DraftAudio {
    /// The sound for this source; the error says what is wrong with `audio.kind`.
    fn finish(self, source: &SourceKind) -> Result<Option<Audio>, &'static str> {
        let Self { microphone, device, codec, bitrate } = self;
        let is_file = matches!(source, SourceKind::File);
        let Some(microphone) = microphone else { return Ok(None) };
        match (microphone == Microphone::File, is_file) {
            (true, false) => Ok(None),
            (false, true) => Err("needs a camera; the sound of a file is sent with \"file\""),
            (true, true) | (false, false) => Ok(Some(Audio { microphone, device, codec, bitrate })),
        }
    }
}

/// `[store]` as written.
#[derive(Debug)]
pub(super) struct DraftStore {
    pub(super) directory: Option<PathBuf>,
    pub(super) keep: Duration,
    pub(super) bytes: u64,
}

impl Default for DraftStore {
    fn default() -> Self {
        Self { directory: None, keep: Duration::from_secs(600), bytes: 1_000_000_000 }
    }
}

impl DraftStore {
    fn finish(self) -> Option<Store> {
        let Self { directory, keep, bytes } = self;
        directory.map(|directory| Store { directory, keep, bytes })
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum SourceKind {
    #[default]
    Test,
    Auto,
    File,
    V4l2,
    Libcamera,
    NvArgus,
    Rtsp,
    Pipeline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrustKind {
    Tofu,
    Ca,
    Pin,
    Insecure,
}

/// A key, and the complaint about it.
pub(super) type Objection = (&'static str, Complaint);

impl Default for Draft {
    fn default() -> Self {
        Self {
            source: DraftSource::default(),
            video: Video::default(),
            encoder: Encoder::default(),
            audio: DraftAudio::default(),
            bitrates: Bitrates::default(),
            max_latency: MaxLatency::default(),
            on_camera_loss: OnCameraLoss::default(),
            motion: MotionOptions::default(),
            store: DraftStore::default(),
            orchestrators: Vec::new(),
            order: None,
            trust: TrustKind::Tofu,
            on_change: OnChange::default(),
            pins: BTreeMap::new(),
            access: Access::default(),
            job: JobOptions::default(),
            // On an unattended device nobody would start the job again.
            recovery: Recovery::Retry,
            wanted: WantedOptions::default(),
            runner: DraftRunner::default(),
            plain: DraftOutput::default(),
            tables: Vec::new(),
            has_stdout_table: false,
            is_in_table: false,
            status: StatusOptions::default(),
            events: DraftEvents::default(),
            log: LevelFilter::Info,
            state_directory: None,
            api: api::Options::default(),
            mqtt: mqtt::Options::default(),
            data: None,
            interfaces: Vec::new(),
        }
    }
}

impl Draft {
    /// The output to which the present keys belong.
    pub(super) fn output(&mut self) -> &mut DraftOutput {
        match (self.is_in_table, self.tables.last_mut()) {
            (true, Some(table)) => table,
            (_, None) | (false, Some(_)) => &mut self.plain,
        }
    }

    /// Checks the rules between keys. Returns the configuration, or all objections.
    pub(super) fn finish(self, purpose: Purpose) -> Result<Config, Vec<Objection>> {
        let mut objections = Vec::new();
        let audio = self.audio.finish(&self.source.kind).unwrap_or_else(|reason| {
            objections.push(("audio.kind", Complaint::Wrong(reason.to_owned())));
            None
        });
        let Bitrates { min: least, max: most } = self.bitrates;
        if least.is_some_and(|least| least > self.video.bitrate) {
            let reason = "must not be more than video.bitrate";
            objections.push(("video.min-bitrate", Complaint::Wrong(reason.to_owned())));
        }
        if most.is_some_and(|most| most < self.video.bitrate) {
            let reason = "must not be less than video.bitrate";
            objections.push(("video.max-bitrate", Complaint::Wrong(reason.to_owned())));
        }
        let source = self.source.finish().map_err(|objection| objections.push(objection)).ok();
        let is_reached = !self.orchestrators.is_empty() || self.access.finds_orchestrators();
        if matches!(purpose, Purpose::Run | Purpose::Find) && !is_reached {
            objections.push(missing("orchestrator.urls", "a job needs an orchestrator"));
        }
        if purpose == Purpose::Run && self.job.model.is_empty() && !self.runner.is_wanted() {
            objections.push(missing("job.model", "a job needs a model"));
        }
        let is_job = matches!(purpose, Purpose::Run | Purpose::Demo);
        if is_job && !self.job.model.is_empty() && self.runner.is_wanted() {
            let reason = "a job has a model (job.model) or an app of a runner, not both";
            objections.push(("runner.app", Complaint::Wrong(reason.to_owned())));
        }
        let has_video_on_stdout = self.plain.is_stdout() || self.has_stdout_table;
        let plain = self.plain.finish(1).map_err(|found| objections.extend(found)).ok();
        self.access.object(&mut objections);
        let allow_plain_http = self.access.allow_plain_http;
        let events = self.events.finish(allow_plain_http, has_video_on_stdout);
        let events = events.map_err(|objection| objections.push(objection)).ok();
        let max_price = self.access.max_price;
        let runner = self.runner.finish(max_price).map_err(|found| objections.extend(found)).ok();
        let trust = match self.trust {
            TrustKind::Tofu => TrustOptions::Tofu { on_change: self.on_change },
            TrustKind::Ca => TrustOptions::Ca,
            TrustKind::Insecure => TrustOptions::Insecure,
            TrustKind::Pin => {
                let unpinned =
                    self.orchestrators.iter().find(|url| !self.pins.contains_key(url.authority()));
                if let Some(url) = unpinned {
                    let reason =
                        format!("trust = \"pin\" needs a fingerprint for {}", url.authority());
                    objections.push(missing("orchestrator.pins", &reason));
                }
                TrustOptions::Pin(self.pins.clone())
            }
        };
        if self.trust != TrustKind::Pin && !self.pins.is_empty() {
            let reason = "would not be used; set orchestrator.trust = \"pin\", or leave it out";
            objections.push(("orchestrator.pins", Complaint::Wrong(reason.to_owned())));
        }
        if let Some((key, reason)) = self.wanted.objection() {
            objections.push((key, Complaint::Wrong(reason.to_owned())));
        }
        if !self.api.listen.is_local() && self.api.token.is_none() {
            let reason = "an API that other computers can reach needs a token";
            objections.push(missing("api.token", reason));
        }
        if let Some((key, reason)) = self.mqtt.objection() {
            objections.push((key, Complaint::Wrong(reason)));
        }
        match source.zip(runner).zip(events) {
            Some(((source, runner), events)) if objections.is_empty() => Ok(Config {
                media: media::Options {
                    source,
                    video: self.video,
                    encoder: self.encoder,
                    audio,
                    bitrates: self.bitrates,
                    max_latency: self.max_latency,
                    on_camera_loss: self.on_camera_loss,
                    store: self.store.finish(),
                    records: false,
                    motion: (self.wanted.when == When::Motion).then_some(self.motion),
                    state_directory: self.state_directory.clone(),
                },
                orchestrators: self.orchestrators,
                order: self.order,
                trust,
                access: self.access,
                data: self.data,
                interfaces: self.interfaces,
                job: self.job,
                recovery: self.recovery,
                wanted: self.wanted,
                runner,
                outputs: plain.flatten().into_iter().collect(),
                status: self.status,
                events,
                state_directory: self.state_directory,
                log: self.log,
                api: self.api,
                mqtt: self.mqtt,
            }),
            _ => Err(objections),
        }
    }
}

impl DraftSource {
    fn finish(self) -> Result<Source, Objection> {
        match self.kind {
            SourceKind::Test => Ok(Source::Test),
            SourceKind::Auto => Ok(Source::Auto),
            SourceKind::File => self
                .path
                .map(|path| Source::File { path, repeat: self.repeat })
                .ok_or_else(|| missing("source.path", "source.kind = \"file\" needs it")),
            SourceKind::V4l2 => self
                .device
                .map(|device| Source::V4l2 { device, format: self.format })
                .ok_or_else(|| missing("source.device", "source.kind = \"v4l2\" needs it")),
            SourceKind::Libcamera => Ok(Source::Libcamera {
                camera: self.device.map(|name| name.to_string_lossy().into_owned()),
            }),
            SourceKind::NvArgus => match self.device {
                None => Ok(Source::NvArgus { sensor: 0 }),
                Some(number) => number
                    .to_str()
                    .and_then(|number| number.parse().ok())
                    .map(|sensor| Source::NvArgus { sensor })
                    .ok_or_else(|| {
                        let reason = "of source.kind = \"nvargus\" is a number, such as \"0\"";
                        ("source.device", Complaint::Wrong(reason.to_owned()))
                    }),
            },
            SourceKind::Rtsp => {
                let url = self
                    .url
                    .ok_or_else(|| missing("source.url", "source.kind = \"rtsp\" needs it"))?;
                if self.pin.is_some() && !url.starts_with("rtsps://") {
                    let reason = "would not be used; use an rtsps:// URL, or leave it out";
                    return Err(("source.pin", Complaint::Wrong(reason.to_owned())));
                }
                let Self { credential, pin, format, .. } = self;
                Ok(Source::Rtsp { url, credential, pin, format })
            }
            SourceKind::Pipeline => self
                .fragment
                .map(|fragment| Source::Pipeline { fragment })
                .ok_or_else(|| missing("source.fragment", "source.kind = \"pipeline\" needs it")),
        }
    }
}

pub(super) fn missing(key: &'static str, reason: &str) -> Objection {
    (key, Complaint::Missing { reason: reason.to_owned() })
}
