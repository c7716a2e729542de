use std::sync::Arc;

use livepeer_gateway::{
    JobOptions, LiveVideoJob, Network, OrchestratorSession, PaymentSetup, Pieces, Signers, Stop,
    Url,
};
type Result = std::result::Result<(), Box<dyn std::error::Error>>;

/// Runs a job that a remote signer pays for, until `stop`.
pub async fn with_signer(url: &Url, signer: Url, video: impl Pieces, stop: Stop) -> Result {
    let mut network = Network::default();
    let signers = Arc::new(Signers::at(network.client.clone(), signer)?);
    network.payments = Some(PaymentSetup { signers, options: Default::default() });
    let model = "live-video-to-video/m".parse()?;
    let session = OrchestratorSession::open(&network, url, &model).await?;
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    let job = LiveVideoJob::start(session, &options, 0.5).await?;
    job.run(&network, video, stop).await?;
    Ok(())
}
