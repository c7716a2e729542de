//! Starts the programs of a soak, and causes its faults.
//!
//! Does not: check the result against limits; `figures` does.

use std::time::Duration;

use sandbox::{Break, CallFailure, Endpoint, Failure, Options, Role, SignerOptions, StartFailure};

use crate::rig::camera::Camera;
use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::{ms, s, wait};

/// Pseudo-random numbers (xorshift64*). The same seed gives the same numbers.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }
}

/// A camera, an agent, two orchestrators, and a signer that pays both.
pub(crate) struct Stage<'a> {
    pub(crate) agent: Program,
    camera: Camera<'a>,
    places: [Place; 2],
    signer: Place,
    /// The number of frames that orchestrators received before they were stopped.
    counted: u64,
    wrong: u64,
    prompts: u64,
    config: std::path::PathBuf,
}

impl<'a> Stage<'a> {
    /// Starts camera, agent, orchestrators and signer.
    pub(crate) fn new(scene: &'a Scene) -> Self {
        let paid = || Options { price: Some(10), ..Options::default() };
        let signer = Some(SignerOptions::default());
        let signer = Place::with(Options { signer, ..paid() });
        let places = [Place::with(paid()), Place::with(paid())];
        let (camera, config) = (Camera::remote(scene), scene.path("soak.toml"));
        write(&config, 0);
        let at = signer.sandbox().signer_url().unwrap();
        let fragment = camera.fragment();
        let config_path = config.to_str().unwrap();
        let arguments = [
            ["--config", config_path],
            ["--signer.urls", &at],
            ["--source.kind", "pipeline"],
            ["--source.fragment", &fragment],
            ["--log.level", "info"],
        ];
        let [first, second] = [&places[0], &places[1]].map(Place::url);
        let agent = scene.agent(&[&first, &second], &arguments.concat());
        let (counted, wrong, prompts) = (0, 0, 0);
        Self { agent, camera, places, signer, counted, wrong, prompts, config }
    }

    /// The number of frames that have arrived at all orchestrators so far.
    pub(crate) fn frames(&self) -> u64 {
        let here = self.places.iter().filter(|place| place.is_there()).map(Place::frames);
        self.counted + here.sum::<u64>()
    }

    /// Fails with the reason if the agent has ended or has violated the protocol.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !self.agent.runs() {
            return Err("the agent has ended".to_owned());
        }
        for place in self.places.iter().filter(|place| place.is_there()) {
            let wrong = place.violations();
            if let Some(first) = wrong.first {
                return Err(format!("{} violations, first {first}", wrong.count));
            }
        }
        match self.wrong {
            0 => Ok(()),
            count => Err(format!("{count} violations at an orchestrator that was stopped")),
        }
    }

    /// Causes a random fault and ends it. Returns its name.
    pub(crate) fn play(&mut self, chance: &mut Chance) -> String {
        let nth = chance.between(0, 1) as usize;
        let short = chance.between(300, 12_000);
        let seconds = format!("{:.1} s", short as f64 / 1000.0);
        let last = ms(short);
        match chance.between(0, 12) {
            0 => self.away(&[nth], last, format!("orchestrator {nth} away for {seconds}")),
            1 => self.away(&[0, 1], last, format!("both orchestrators away for {seconds}")),
            2 | 3 => {
                self.camera.pull_out();
                wait(last);
                self.camera.plug_in();
                format!("camera away for {seconds}")
            }
            4 => {
                self.camera.stall();
                wait(last);
                self.camera.go_on();
                format!("camera stalled for {seconds}")
            }
            5 => {
                self.agent.signal("STOP");
                wait(last / 4);
                self.agent.signal("CONT");
                format!("agent stopped for {:.1} s", short as f64 / 4000.0)
            }
            6 => {
                self.prompts += 1;
                write(&self.config, self.prompts);
                self.agent.signal("HUP");
                "changed parameters, with SIGHUP".to_owned()
            }
            7 => {
                for endpoint in [Endpoint::MakePayment, Endpoint::SignInfo] {
                    self.signer.always(Failure::Call(endpoint, CallFailure::Reset));
                }
                wait(last);
                self.signer.sandbox().clear_failures();
                format!("signer down for {seconds}")
            }
            8 => {
                let role = Role::ALL[chance.between(0, 3) as usize];
                self.places.iter().for_each(|place| {
                    place.sandbox().close_channels(role);
                });
                format!("{role:?} channel closed")
            }
            9 => {
                let answer = StartFailure::Answer { status: 503, body: "no capacity".to_owned() };
                self.places[nth].once(Failure::Start(answer));
                self.places.iter().for_each(|place| {
                    place.sandbox().close_channels(Role::Publish);
                });
                format!("channel closed, and orchestrator {nth} refuses once")
            }
            kind => {
                let then = match kind {
                    10 => Break::Reset,
                    11 => Break::Answer(500),
                    _ => Break::Stall,
                };
                let after = chance.between(0, 20_000);
                for place in &self.places {
                    place.once(Failure::Post { role: Role::Publish, after, then });
                }
                wait(s(3));
                self.places.iter().for_each(|place| place.sandbox().clear_failures());
                format!("segment broken after {after} bytes ({then:?})")
            }
        }
    }

    fn away(&mut self, which: &[usize], time: Duration, name: String) -> String {
        for &nth in which {
            self.counted += self.places[nth].frames();
            self.wrong += self.places[nth].violations().count;
            self.places[nth].die();
        }
        wait(time);
        for &nth in which {
            self.places[nth].come_back();
        }
        name
    }
}

fn write(config: &std::path::Path, prompt: u64) {
    let text = format!("[job]\nparams = {{ prompt = \"number {prompt}\" }}\n");
    std::fs::write(config, text).unwrap();
}
