use livepeer_gateway::{JobOptions, LiveVideoJob, Network, OrchestratorSession, Pieces, Stop, Url};
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs a job on the best of several orchestrators that start it, until `stop`.
pub async fn best_of(mut urls: Vec<Url>, video: impl Pieces, stop: Stop) -> Result<Url> {
    let network = Network::default();
    let model = "live-video-to-video/m".parse()?;
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    loop {
        let (rules, order) = Default::default();
        let best =
            OrchestratorSession::select(&network, urls.clone(), &model, rules, order).await?;
        let url = best.url().clone();
        let Ok(job) = LiveVideoJob::start(best, &options, 0.5).await else {
            urls.retain(|failed| *failed != url);
            continue;
        };
        job.run(&network, video, stop).await?;
        return Ok(url);
    }
}
