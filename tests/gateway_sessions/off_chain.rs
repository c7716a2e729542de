use bytes::Bytes;
use livepeer_gateway::{
    JobOptions, LiveVideoJob, Network, OrchestratorSession, Stop, Url, messages,
};
type Result = std::result::Result<(), Box<dyn std::error::Error>>;

/// Sends segments of MPEG-TS to a model of an orchestrator that costs nothing.
pub async fn off_chain(url: &str, segments: Vec<Bytes>) -> Result {
    let network = Network::default();
    let (url, model) = (Url::parse_base(url, 8935)?, "live-video-to-video/m".parse()?);
    let session = OrchestratorSession::open(&network, &url, &model).await?;
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    let job = LiveVideoJob::start(session, &options, 0.5).await?;
    let (video, pieces) = messages();
    let (_stopper, stop) = Stop::new();
    let sending = async move {
        for segment in segments {
            video.send(segment).await?;
        }
        Result::Ok(())
    };
    let (ended, sent) = tokio::join!(job.run(&network, pieces, stop), sending);
    ended?;
    sent
}
