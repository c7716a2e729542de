//! The soak: runs the built program against orchestrators and a signer for hours, with random faults.
//!
//! `cross/soak.sh HOURS [SEED]` runs the soak. The same seed gives the same faults in the same order; without a seed,
//! the soak chooses one and prints it. The soak fails if memory grows by more than 2 MB an hour after a warm-up, if the
//! number of threads or descriptors grows, if frames are missing for a minute after the end of a fault, or if the agent
//! ends.
//!
//! Does not: interrupt links; `tests/links` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod fault;
mod figures;
#[path = "../rig/mod.rs"]
mod rig;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fault::{Chance, Stage};
use figures::Figures;
use rig::scene::Scene;
use rig::{ms, s, wait};

/// The longest time without frames after the end of a fault.
const RECOVERY: Duration = s(60);
/// The shortest and the longest pause between the recovery from a fault and the next fault, in seconds.
const CALM: (u64, u64) = (10, 40);

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let Some(hours) = words.next().and_then(|hours| hours.parse::<f64>().ok()) else {
        println!("soak: the number of hours is missing; run cross/soak.sh HOURS [SEED]");
        return ExitCode::from(2);
    };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = words.next().map_or(since_1970.as_secs(), |seed| seed.parse().unwrap());
    let time = Duration::from_secs_f64(hours * 3600.0);
    let scene = Scene::new("soak", Path::new(env!("CARGO_TARGET_TMPDIR")));
    println!("soak: {hours} h, seed {seed}; log in {}", scene.path("").display());
    match soak(&scene, time, seed) {
        Ok(figures) => figures.tell(),
        Err(why) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn soak(scene: &Scene, time: Duration, seed: u64) -> Result<Figures, String> {
    let mut chance = Chance::new(seed);
    let mut stage = Stage::new(scene);
    let began = Instant::now();
    let mut figures = Figures::new(time);
    recovered(&mut stage, began, "the start")?;
    while began.elapsed() < time {
        let calm = Instant::now() + s(chance.between(CALM.0, CALM.1));
        while Instant::now() < calm {
            wait(ms(1000));
            // The sample is taken late in the pause, when resources of the recovery are free again.
            if calm.saturating_duration_since(Instant::now()) < s(5) {
                figures.add(began.elapsed(), stage.agent.holds());
            }
        }
        let at = began.elapsed().as_secs();
        let name = stage.play(&mut chance);
        let over = Instant::now();
        let took = recovered(&mut stage, over, &name)?;
        let rss = stage.agent.holds().rss;
        println!("{at:6} s {rss} KiB  {name}: frames {:.2} s after its end", took.as_secs_f64());
        figures.recovered(&name, took);
        stage.check()?;
    }
    Ok(figures)
}

/// Waits for frames. Returns the time from `since` to the first ones.
fn recovered(stage: &mut Stage<'_>, since: Instant, fault: &str) -> Result<Duration, String> {
    let before = stage.frames();
    let back = rig::until(RECOVERY, || stage.frames() >= before + 12);
    stage.check()?;
    match back {
        Some(back) => Ok(back - since),
        None => Err(format!("no frames for {} s after: {fault}", RECOVERY.as_secs())),
    }
}
