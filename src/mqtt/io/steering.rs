//! Carries out commands, one at a time, and reads the parameters, beside the connection.
//!
//! Does not: read commands; [`Commands`] does.

use std::future::pending;
use std::time::Instant;

use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Work;
use crate::agent::{Control, JobAnswer};
use crate::mqtt::commands::{Asked, Command, Commands};
use crate::mqtt::error::CommandError;
use crate::mqtt::limits::STEER_TIME;

/// The commands of one connection.
pub(super) struct Steering {
    control: Control,
    pub(super) commands: Commands,
    work: Option<Work<Steered>>,
    are_params_due: bool,
}

/// What was done.
pub(super) enum Steered {
    /// A command was carried out or refused: the answer.
    Answer(Value),
    /// The present parameters, unless the agent has not answered.
    Params(Option<Map<String, Value>>),
}

impl Steering {
    pub(super) fn new(control: Control, now: Instant) -> Self {
        Self { control, commands: Commands::new(now), work: None, are_params_due: false }
    }

    /// Call it when the parameters may have changed.
    pub(super) fn on_params(&mut self) {
        self.are_params_due = true;
    }

    /// Waits for the end of what is being done. Cancel safe.
    pub(super) async fn next(&mut self) -> Steered {
        self.begin();
        let Some(work) = &mut self.work else { return pending().await };
        let done = work.await;
        self.work = None;
        done
    }

    fn begin(&mut self) {
        if self.work.is_some() {
            return;
        }
        if let Some(asked) = self.commands.next() {
            self.work = Some(Box::pin(carry_out(self.control.clone(), asked)));
            // An event follows only if a job has the parameters.
            self.are_params_due = true;
        } else if std::mem::take(&mut self.are_params_due) {
            self.work = Some(Box::pin(read_params(self.control.clone())));
        }
    }
}

async fn carry_out(control: Control, asked: Asked) -> Steered {
    let Asked { asker, command } = asked;
    let result = timeout(STEER_TIME, steer(&control, command)).await;
    Steered::Answer(asker.answer(result.unwrap_or(Err(CommandError::NoAnswer))))
}

/// Asks the agent. Returns the fields of the answer.
async fn steer(control: &Control, command: Command) -> Result<Map<String, Value>, CommandError> {
    match command {
        Command::Params(params, edit) => Ok(control.params(params, edit).await?.shown()),
        Command::Job(wish) => {
            let JobAnswer { is_wanted, why } = control.job(wish).await?;
            let fields = [("wanted", Value::from(is_wanted)), ("why", why.into())];
            Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
        Command::Restart => {
            control.restart().await?;
            Ok(Map::new())
        }
    }
}

async fn read_params(control: Control) -> Steered {
    let read = timeout(STEER_TIME, control.parameters()).await;
    Steered::Params(read.ok().and_then(Result::ok).map(|parameters| parameters.shown()))
}
