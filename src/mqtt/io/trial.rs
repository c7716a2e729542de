//! Tries whether the broker accepts a connection and the credential.
//!
//! The client's name is another one than that of the agent, whose connection the broker would close otherwise. There is
//! no last will.
//!
//! Does not: publish or subscribe.

use std::sync::Arc;
use std::time::Instant;

use mqtt_proto::v3::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{BrokerUrl, Options, Times, open_stream};
use crate::mqtt::error::BrokerError;
use crate::mqtt::frames::Frames;
use crate::mqtt::limits::READ_BYTES;
use crate::mqtt::session::{Session, trial};

/// Connects to the broker of these options as the agent would, and disconnects.
pub(crate) async fn try_broker(options: &Options) -> Result<(), BrokerError> {
    let Some(broker) = &options.url else { return Ok(()) };
    let times = Times::default();
    let limit = times.answer;
    let asked = timeout(limit, ask(options, broker, times)).await;
    asked.unwrap_or(Err(BrokerError::NoAnswer(limit)))
}

async fn ask(options: &Options, broker: &BrokerUrl, times: Times) -> Result<(), BrokerError> {
    let clock = Arc::default();
    let (mut stream, credential) = open_stream(options, &clock, broker, &mut None).await?;
    let mut session = Session::new(times, Instant::now());
    write(&mut stream, &trial(std::process::id(), credential.as_ref())?).await?;
    let mut frames = Frames::default();
    while !session.is_open() {
        let mut buffer = [0; READ_BYTES];
        let length = stream.read(&mut buffer).await.map_err(BrokerError::Broken)?;
        if length == 0 {
            return Err(session.closed());
        }
        frames.push(buffer.get(..length).unwrap_or_default());
        if let Some(frame) = frames.next()? {
            let _ = session.on(frame, Instant::now())?;
        }
    }
    write(&mut stream, &Packet::Disconnect).await
}

async fn write(
    stream: &mut (impl AsyncWriteExt + Unpin),
    packet: &Packet,
) -> Result<(), BrokerError> {
    let bytes = packet.encode().map_err(|_| BrokerError::Malformed)?;
    stream.write_all(bytes.as_ref()).await.map_err(BrokerError::Broken)?;
    stream.flush().await.map_err(BrokerError::Broken)
}
