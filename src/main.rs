//! The program: arguments, configuration, logger, runtime, command, exit code.
//!
//! Does not: contain logic; the commands do.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use livepeer_edge::cli::stderr::FlushAtEnd;
use livepeer_edge::cli::{self, Command, Error, Settings, help, logger};
use livepeer_edge::config::{self, Config, Purpose};
use livepeer_edge::service::Service;
use livepeer_gateway::limits::CALLS;
use resilience::fault::chain;
use resilience::stop::Stop;

/// The time after which an idle blocking thread ends.
const BLOCKING_IDLE: Duration = Duration::from_secs(1);
/// The longest time that the exit waits for a blocking call, which cannot be interrupted.
const EXIT_TIME: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let _written = FlushAtEnd;
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logger::print_error(&error);
            // `systemctl status` shows this until the next start.
            Service::from_environment(Instant::now()).status(&chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start() -> Result<(), Error> {
    match cli::parse(std::env::args_os().skip(1))? {
        Command::Help(topic) => cli::print(&help::text(topic)),
        Command::Version => cli::print(&help::version()),
        Command::Completions(shell) => cli::print(&cli::completions(shell)),
        Command::CheckConfig(settings) => cli::check_config(settings)?,
        Command::Check { json, settings } => run(|stop| cli::check::run(settings, json, stop))?,
        Command::Setup { settings, replace } => cli::setup(settings, replace)?,
        Command::Devices { json, settings } => {
            cli::devices(&configure(&settings, Purpose::Local)?, json)?;
        }
        Command::Discover { json, settings } => {
            let config = configure(&settings, Purpose::Find)?;
            run(|stop| cli::discover::run(config, json, stop))?;
        }
        Command::Call { data, content_type, path, settings } => {
            let config = configure(&settings, Purpose::Find)?;
            let call = cli::call::CallArguments { data, content_type, path };
            run(|stop| cli::call::run(config, call, stop))?;
        }
        Command::Trust { forget, settings } => {
            cli::trust(&configure(&settings, Purpose::Local)?, forget.as_deref())?;
        }
        Command::Spend { json, settings } => {
            cli::spend(&configure(&settings, Purpose::Local)?, &settings, json)?;
        }
        Command::Ask { question, settings } => {
            cli::ask(&configure(&settings, Purpose::Local)?, &settings, &question)?;
        }
        Command::Run(settings) => {
            let chosen = cli::choose(&settings)?;
            run(|stop| cli::run::run(chosen, settings, stop))?;
        }
        #[cfg(feature = "sandbox")]
        Command::Demo { time, settings } => {
            let config = configure(&settings, Purpose::Demo)?;
            run(async |stop| cli::demo::run(config, &settings, time, stop).await)?;
        }
        #[cfg(feature = "sandbox")]
        Command::Sandbox { listen, signer, paying } => {
            logger::init(log::LevelFilter::Info);
            run(|stop| cli::sandbox::run(listen, signer, paying, stop))?;
        }
        #[cfg(not(feature = "sandbox"))]
        Command::Demo { .. } | Command::Sandbox { .. } => {}
    }
    Ok(())
}

fn configure(settings: &Settings, purpose: Purpose) -> Result<Config, Error> {
    let config = config::io::load(settings.file.as_deref(), settings.keys.clone(), purpose)?.config;
    logger::init(config.log);
    Ok(config)
}

/// Runs a command on this thread until it ends or a signal ends it.
fn run(command: impl AsyncFnOnce(Stop) -> Result<(), Error>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(CALLS)
        .thread_keep_alive(BLOCKING_IDLE)
        .build()
        .map_err(Error::Start)?;
    let result = runtime.block_on(cli::until_stopped(command));
    runtime.shutdown_timeout(EXIT_TIME);
    result
}
