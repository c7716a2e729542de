//! The program: arguments, configuration, logger, runtime, command, exit code.
//!
//! Does not: hold logic; the commands do.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use livepeer_edge::cli::stderr::FlushAtEnd;
use livepeer_edge::cli::{self, Command, Error, Settings, help, logger};
use livepeer_edge::config::{self, Config, Purpose};
use livepeer_edge::service::Service;
use livepeer_gateway::limits::CALLS;
use resilience::fault::chain;
use resilience::stop::Stop;

/// How long an idle one of them stays.
const BLOCKING_IDLE: Duration = Duration::from_secs(1);
/// How long a blocking call may hold up the exit: it cannot be interrupted.
const EXIT_TIME: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let _written = FlushAtEnd;
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logger::print_error(&error);
            // Until the next try, `systemctl status` shows no line of the journal, but this.
            Service::from_environment(Instant::now()).status(&chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start() -> Result<(), Error> {
    match cli::parse(std::env::args_os().skip(1))? {
        Command::Help(topic) => cli::print(&help::text(topic)),
        Command::Version => cli::print(&help::version()),
        Command::CheckConfig(settings) => cli::check_config(settings)?,
        Command::Setup { settings, replace } => cli::setup(settings, replace)?,
        Command::Devices { json, settings } => {
            let config = configure(&settings, Purpose::Local)?;
            cli::devices(&config, json)?;
        }
        Command::Discover { json, settings } => {
            let config = configure(&settings, Purpose::Find)?;
            run(|stop| cli::discover::run(config, json, stop))?;
        }
        Command::Call { data, content_type, path, settings } => {
            let config = configure(&settings, Purpose::Find)?;
            let call = cli::call::Wish { data, content_type, path };
            run(|stop| cli::call::run(config, call, stop))?;
        }
        Command::Trust { forget, settings } => {
            let config = configure(&settings, Purpose::Local)?;
            cli::trust(&config, forget.as_deref())?;
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

/// Runs a command on this thread until its end or a signal.
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
