//! Runs the state machines on thousands of random sequences of events, the same in every run, and checks the invariants
//! after each event.
//!
//! Does not: check single decisions; the unit tests of the machines do.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod seeded;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use livepeer_gateway::http::Url;
use livepeer_gateway::job::{
    Command, Commands, Loss, Machine, MachineEvent, RENEW_AFTER, Recovery, Stage,
};
use livepeer_gateway::orchestrator::Fit;
use livepeer_gateway::price::{Price, PriceError, PriceUnit};
use livepeer_gateway::segment::Seq;
use livepeer_gateway::session::selection::{CandidateOrder, Offer, OfferRules, PaymentPolicy};
use livepeer_gateway::trickle::{
    EndReason, PostAttempt, Publication, PublicationDecision, TrickleAnswer, UploadProgress,
};
use resilience::fault::{Failure, Fault, Scope};

use seeded::Random;

const SEQUENCES: u64 = 3000;

// ---------------------------------------------------------------------------------------------
// A publication, with the POSTs of a publisher
// ---------------------------------------------------------------------------------------------

/// The POSTs of one publication.
struct Posts {
    publication: Publication,
    ahead: Option<(Seq, bool)>,
    /// The seq of the current segment, and whether bytes of its POST's body were sent.
    current: Option<(Seq, bool)>,
    ended: Vec<Seq>,
    /// Each seq whose POST has sent at least one byte of its body.
    sent: BTreeSet<Seq>,
}

impl Posts {
    fn new(first: Seq) -> Self {
        Self {
            publication: Publication::resolved(first),
            ahead: None,
            current: None,
            ended: Vec::new(),
            sent: BTreeSet::new(),
        }
    }

    /// Takes a random step. Returns why the publication ended, if it did.
    fn step(&mut self, random: &mut Random) -> Option<EndReason> {
        let upcoming = self.publication.upcoming();
        if self.ahead.is_none_or(|ahead| ahead != upcoming) {
            self.ahead = Some(upcoming);
        }
        let decision = match random.below(10) {
            0..=2 => return self.begin(),
            3..=4 => {
                self.send();
                return None;
            }
            5 => self.answer_ahead(random),
            6 => self.answer_current(random),
            _ => self.answer_ended(random),
        };
        match decision? {
            PublicationDecision::End(why) => Some(why),
            PublicationDecision::Close(seq) => {
                assert!(self.sent.contains(&seq), "only a seq that was sent is closed");
                None
            }
            PublicationDecision::Reset => {
                assert!(self.publication.upcoming().1, "the next POST resets");
                None
            }
            PublicationDecision::Proceed | PublicationDecision::RetryAfter(_) => None,
        }
    }

    /// Begins the next segment, which completes the segment before it.
    fn begin(&mut self) -> Option<EndReason> {
        if let Some((seq, _)) = self.current.take() {
            self.ended.push(seq);
        }
        let (seq, _) = self.ahead.take()?;
        match self.publication.take_seq() {
            Ok(taken) => {
                assert_eq!(taken, seq, "the segment uses the POST that was connected ahead");
                self.current = Some((seq, false));
                None
            }
            Err(why) => Some(why),
        }
    }

    /// The first byte of the current segment leaves.
    fn send(&mut self) {
        if let Some((seq, has_bytes @ false)) = &mut self.current {
            assert!(self.sent.insert(*seq), "{seq} is sent twice");
            *has_bytes = true;
        }
    }

    fn answer_ahead(&mut self, random: &mut Random) -> Option<PublicationDecision> {
        let (seq, _) = self.ahead.take()?;
        let progress =
            if random.chance(0.5) { UploadProgress::Idle } else { UploadProgress::Unsent };
        Some(self.outcome(seq, progress, random))
    }

    fn answer_current(&mut self, random: &mut Random) -> Option<PublicationDecision> {
        let (seq, has_bytes) = self.current.take()?;
        let progress = if has_bytes { UploadProgress::Open } else { UploadProgress::Unsent };
        Some(self.outcome(seq, progress, random))
    }

    fn answer_ended(&mut self, random: &mut Random) -> Option<PublicationDecision> {
        if self.ended.is_empty() {
            return None;
        }
        let seq = self.ended.remove(random.below(self.ended.len()));
        let has_bytes = self.sent.contains(&seq);
        let progress = if has_bytes { UploadProgress::Ended } else { UploadProgress::Unsent };
        Some(self.outcome(seq, progress, random))
    }

    fn outcome(
        &mut self,
        seq: Seq,
        progress: UploadProgress,
        random: &mut Random,
    ) -> PublicationDecision {
        let attempt = PostAttempt { seq, progress, is_repeated: random.chance(0.2) };
        if random.chance(0.15) {
            return self.publication.on_broken(attempt, random.chance(0.2), random.unit());
        }
        let good = random.chance(0.8);
        let status = if good { 200 } else { *random.pick(&[200, 400, 404, 470, 500, 503]) };
        let closed = random.chance(0.01);
        let answer = TrickleAnswer { status, seq: None, latest: None, closed };
        self.publication.on_answer(attempt, &answer, random.unit())
    }

    fn check(&self) {
        let (upcoming, _) = self.publication.upcoming();
        let mut open: Vec<Seq> = self.ended.clone();
        open.extend(self.current.map(|(seq, _)| seq));
        assert_eq!(self.publication.in_flight(), open.len(), "each segment is in flight once");
        for seq in &self.sent {
            assert!(*seq < upcoming, "{seq} was sent already, and would be used again");
        }
        let distinct: BTreeSet<&Seq> = open.iter().collect();
        assert_eq!(distinct.len(), open.len(), "two open segments have one seq: {open:?}");
        assert!(!open.contains(&upcoming), "an open segment has the seq of the next one");
    }
}

#[test]
fn no_seq_is_sent_twice_and_every_publication_can_continue_or_ends() {
    let mut ends = 0;
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut posts = Posts::new(Seq(random.below(9) as u64));
        let mut over = None;
        for _ in 0..200 {
            over = posts.step(&mut random);
            if over.is_some() {
                ends += 1;
                break;
            }
            posts.check();
        }
        if over.is_none() {
            check_continues(posts);
        }
    }
    assert!(ends > 100, "the sequences cause too few failures: {ends} ends");
}

/// From any state, a peer that answers correctly receives every further segment.
fn check_continues(mut posts: Posts) {
    let good = TrickleAnswer { status: 200, seq: None, latest: None, closed: false };
    for _ in 0..5 {
        for seq in std::mem::take(&mut posts.ended) {
            if posts.sent.contains(&seq) {
                let ended =
                    PostAttempt { seq, progress: UploadProgress::Ended, is_repeated: false };
                let decision = posts.publication.on_answer(ended, &good, 0.5);
                assert_eq!(decision, PublicationDecision::Proceed);
            } else {
                // This POST ended without sending a byte. Its connection breaks, which may end the publication.
                let unsent =
                    PostAttempt { seq, progress: UploadProgress::Unsent, is_repeated: false };
                let _ = posts.publication.on_broken(unsent, true, 0.5);
            }
        }
        posts.ahead = Some(posts.publication.upcoming());
        assert_eq!(posts.begin(), None);
        posts.send();
        posts.check();
    }
}

// ---------------------------------------------------------------------------------------------
// A job's machine, with a shell that carries out its commands
// ---------------------------------------------------------------------------------------------

/// The time that each start pays ahead.
const RULES: OfferRules = OfferRules { max_price: None, pays: PaymentPolicy::Always };
const PREPAID: Duration = Duration::from_secs(60);

/// The state of a job on an orchestrator, as the shell that carries out the commands knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    /// The start was requested, so the job may exist.
    Starting,
    Live,
    Closing,
}

/// A job machine, and a simulation of the shell and of the network.
struct World {
    machine: Machine<u32>,
    now: Instant,
    began: Instant,
    /// The sum of the time that starts have prepaid since `began`.
    prepaid: Duration,
    /// The share of failures that the signer causes, 0.0 to 1.0.
    moods: f64,
    /// The longest pause that the signer asked for.
    asked_to_wait: Duration,
    finding: bool,
    asked: Vec<Url>,
    held: Held,
    /// The state of the next job, which is to take over from the running one.
    next: Held,
    closed: u32,
    finished: bool,
}

impl World {
    fn new(recovery: Recovery, moods: f64) -> Self {
        let (machine, first) = Machine::new(RULES, recovery, Duration::from_secs(60));
        let now = Instant::now();
        let mut world = Self {
            machine,
            now,
            began: now,
            prepaid: Duration::ZERO,
            moods,
            asked_to_wait: Duration::ZERO,
            finding: false,
            asked: Vec::new(),
            held: Held::Nothing,
            next: Held::Nothing,
            closed: 0,
            finished: false,
        };
        world.obey(first);
        world
    }

    fn handle(&mut self, event: MachineEvent<u32>, jitter: f64) {
        let commands = self.machine.on(event, self.now, jitter);
        self.obey(commands);
    }

    fn obey(&mut self, commands: Commands<u32>) {
        for command in commands {
            assert!(!self.finished, "{command:?} after the end");
            match command {
                Command::Find => {
                    let held = (self.held, self.next);
                    assert_eq!(held, (Held::Nothing, Held::Nothing), "a job was not closed");
                    (self.finding, self.asked) = (true, Vec::new());
                }
                Command::Ask(urls) => {
                    assert!(!urls.is_empty() && matches!(self.held, Held::Nothing | Held::Live));
                    self.asked = urls;
                }
                Command::Start(..) => {
                    assert_eq!(self.held, Held::Nothing, "two jobs at once");
                    self.prepay();
                    (self.held, self.asked) = (Held::Starting, Vec::new());
                }
                Command::StartNext(..) => {
                    assert_eq!((self.held, self.next), (Held::Live, Held::Nothing));
                    self.prepay();
                    self.next = Held::Starting;
                }
                Command::Renew => {}
                Command::HandOver => {
                    assert_eq!((self.held, self.next), (Held::Live, Held::Live));
                    self.held = Held::Closing;
                }
                Command::Run => {
                    if self.next == Held::Live {
                        assert_eq!(
                            self.held,
                            Held::Nothing,
                            "the old job is closed before the next one runs"
                        );
                        (self.held, self.next) = (Held::Live, Held::Nothing);
                    }
                    assert_eq!(self.held, Held::Live, "only a started job runs");
                }
                Command::Close { .. } => {
                    assert_ne!(self.held, Held::Nothing, "nothing to close");
                    // The shell also ends the next job, if there is one.
                    (self.held, self.next) = (Held::Closing, Held::Nothing);
                }
                Command::Left(_) => assert_eq!(
                    self.held,
                    Held::Closing,
                    "the job on the orchestrator that was left is being closed"
                ),
                Command::TryLater(_) => {
                    assert_eq!(self.held, Held::Nothing, "a job was not closed");
                    assert!(
                        self.machine.poll_timeout().is_some(),
                        "the machine would never try again"
                    );
                }
                Command::SlowDown(_, pause) => {
                    assert!(pause <= Duration::from_secs(60), "the pause has a limit");
                }
                Command::Finish(_) => {
                    assert_eq!(
                        (self.held, self.next),
                        (Held::Nothing, Held::Nothing),
                        "a job was not closed at the end"
                    );
                    self.finished = true;
                }
            }
        }
    }

    /// Counts the time that a start prepays. Panics if the starts prepay faster than real time allows.
    fn prepay(&mut self) {
        self.prepaid += PREPAID;
        let time = self.now.duration_since(self.began);
        assert!(self.prepaid <= time + 3 * PREPAID, "prepaid faster than real time");
    }

    /// A random outcome of the start of the next job.
    fn answer_next(&mut self, random: &mut Random) -> MachineEvent<u32> {
        if random.chance(0.7) {
            self.next = Held::Live;
            return MachineEvent::Started { has_output: true, has_events: true };
        }
        self.next = Held::Nothing;
        MachineEvent::StartFailed { failure: self.failure(random), is_paid: true }
    }

    /// The answer to an open command, if there is one.
    fn answer(&mut self, random: &mut Random) -> Option<MachineEvent<u32>> {
        if self.finding {
            self.finding = false;
            let urls = (0..random.below(4)).map(url).collect();
            let failed = random.chance(0.2);
            return Some(if failed {
                MachineEvent::FindFailed(self.failure(random))
            } else {
                MachineEvent::Found { urls, order: CandidateOrder::Listed }
            });
        }
        if self.next == Held::Starting && random.chance(0.5) {
            return Some(self.answer_next(random));
        }
        match self.held {
            Held::Starting if random.chance(0.3) => {
                self.held = Held::Nothing;
                let (failure, is_paid) = (self.failure(random), random.chance(0.7));
                if !is_paid {
                    self.prepaid -= PREPAID;
                }
                Some(MachineEvent::StartFailed { failure, is_paid })
            }
            Held::Starting => {
                self.held = Held::Live;
                let (has_output, has_events) = (random.chance(0.8), random.chance(0.8));
                Some(MachineEvent::Started { has_output, has_events })
            }
            Held::Closing => {
                self.held = Held::Nothing;
                self.closed += 1;
                Some(MachineEvent::Closed)
            }
            Held::Nothing | Held::Live => {
                let url = self.asked.pop()?;
                if random.chance(0.3) {
                    return Some(MachineEvent::NoAnswer(url, self.failure(random)));
                }
                let fits = [Fit::Has { warm: true, free: Some(1) }, Fit::NoModel, Fit::Unsaid];
                let offer = Offer { fit: *random.pick(&fits), price: price() };
                Some(MachineEvent::Offered { url, offer, answer_time: Duration::ZERO, with: 1 })
            }
        }
    }

    /// A random failure.
    fn failure(&mut self, random: &mut Random) -> Failure {
        let fault = *random.pick(&[Fault::Retry, Fault::Refresh, Fault::NextPeer, Fault::GiveUp]);
        if !random.chance(self.moods) {
            return Failure { fault, ..failure() };
        }
        let time = Duration::from_secs(random.below(900) as u64);
        self.asked_to_wait = self.asked_to_wait.max(time);
        Failure { fault, scope: Scope::Everyone, retry_after: Some(time), ..failure() }
    }

    /// One step with one good orchestrator of three, and without random events: answers an open command, or, if there
    /// is none, advances the clock to the machine's next timeout.
    fn go_well(&mut self, good: &Url) {
        if std::mem::take(&mut self.finding) {
            let urls = (0..3).map(url).collect();
            return self.handle(MachineEvent::Found { urls, order: CandidateOrder::Listed }, 1.0);
        }
        let event = match self.held {
            _ if self.next == Held::Starting => {
                self.next = Held::Live;
                MachineEvent::Started { has_output: true, has_events: true }
            }
            Held::Starting => {
                self.held = Held::Live;
                MachineEvent::Started { has_output: true, has_events: true }
            }
            Held::Closing => {
                self.held = Held::Nothing;
                MachineEvent::Closed
            }
            Held::Nothing | Held::Live => match self.asked.pop() {
                Some(url) if url == *good => {
                    let fit = Fit::Has { warm: true, free: Some(1) };
                    let offer = Offer { fit, price: price() };
                    MachineEvent::Offered { url, offer, answer_time: Duration::ZERO, with: 1 }
                }
                Some(url) => MachineEvent::NoAnswer(url, failure()),
                None => {
                    let until = self.machine.poll_timeout();
                    self.now =
                        until.unwrap_or_else(|| panic!("the machine has no timeout")).max(self.now);
                    MachineEvent::Timeout
                }
            },
        };
        self.handle(event, 1.0);
    }

    /// Whether an event is certain to come: an answer, a timeout, or the return of the camera.
    fn awaits_something(&self) -> bool {
        let is_open = self.finding
            || !self.asked.is_empty()
            || matches!(self.held, Held::Starting | Held::Live | Held::Closing);
        // Without a camera, the machine waits for the camera's return.
        is_open || self.machine.poll_timeout().is_some() || self.machine.stage() == Stage::Dark
    }
}

fn url(n: usize) -> Url {
    Url::parse(&format!("https://o{n}:8935")).unwrap_or_else(|error| panic!("{error}"))
}

fn words() -> String {
    "by chance".to_owned()
}

fn failure() -> Failure {
    Failure::of_peer(words(), Fault::Retry)
}

fn price() -> Result<Option<Price>, PriceError> {
    Price::parse("5", PriceUnit::PixelSeconds720p).map(Some)
}

/// A random event that may come at any time.
fn anything(random: &mut Random) -> MachineEvent<u32> {
    let losses = [
        Loss::Channel("publish", words()),
        Loss::Link("output", words()),
        Loss::Part("capture", words()),
        Loss::Payment(words()),
        Loss::SessionOver(words()),
    ];
    let offer = Offer { fit: Fit::Unsaid, price: price() };
    match random.below(19) {
        16 => MachineEvent::Pause,
        17 => MachineEvent::Standby,
        18 => MachineEvent::Resume,
        15 => MachineEvent::Sent(RENEW_AFTER),
        8 | 9 => MachineEvent::CameraLost,
        10 | 11 => MachineEvent::CameraBack,
        12 => MachineEvent::Reachable,
        14 => MachineEvent::NewParams,
        13 if random.chance(0.3) => MachineEvent::Replace(RULES),
        0 => MachineEvent::Output,
        1 => MachineEvent::JobEvent,
        2 => MachineEvent::NoAnswer(url(9), failure()),
        3 => MachineEvent::Offered { url: url(9), offer, answer_time: Duration::ZERO, with: 9 },
        _ => MachineEvent::Lost(random.pick(&losses).clone()),
    }
}

#[test]
fn every_started_job_is_closed_and_every_state_waits_for_an_event() {
    let (mut jobs, mut ends) = (0, 0);
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let recovery = *random.pick(&[Recovery::Exit, Recovery::Retry]);
        let mut world = World::new(recovery, *random.pick(&[0.0, 0.3]));
        // The longest time between two events, in milliseconds.
        let pace = *random.pick(&[500, 20_000]);
        for _ in 0..100 {
            if world.finished {
                ends += 1;
                break;
            }
            assert!(world.awaits_something(), "no event can come any more");
            world.now += Duration::from_millis(random.below(pace) as u64);
            let jitter = random.unit();
            let event = match random.below(20) {
                0..=12 => world.answer(&mut random).unwrap_or(MachineEvent::Timeout),
                13..=15 => MachineEvent::Timeout,
                16..=18 => anything(&mut random),
                _ if random.chance(0.2) => MachineEvent::CaptureFailed(words()),
                _ if random.chance(0.2) => MachineEvent::CaptureDone,
                _ => MachineEvent::JobEvent,
            };
            world.handle(event, jitter);
        }
        stops(&mut world, &mut random);
        jobs += world.closed;
    }
    assert!(
        jobs > 1000 && ends > 100,
        "the sequences cause too few jobs or ends: {jobs} jobs, {ends} ends"
    );
}

/// The longest time without a job while one orchestrator of three is usable: the pauses after losses, for prepaid time,
/// and between searches.
const DARK: Duration = Duration::from_secs(120);
/// The longest time for which an orchestrator is not asked again after it has refused the model or its parameters.
const BARRED: Duration = Duration::from_secs(2 * 3600);

#[test]
fn from_every_state_a_job_runs_soon_if_one_orchestrator_is_usable() {
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut world = World::new(Recovery::Retry, *random.pick(&[0.0, 0.3]));
        let pace = *random.pick(&[500, 20_000]);
        for _ in 0..100 {
            world.now += Duration::from_millis(random.below(pace) as u64);
            let event = match random.below(20) {
                0..=12 => world.answer(&mut random).unwrap_or(MachineEvent::Timeout),
                13..=16 => MachineEvent::Timeout,
                _ => anything(&mut random),
            };
            world.handle(event, random.unit());
        }
        let good = url(random.below(3));
        // An orchestrator that refused the parameters is not asked again for [`BARRED`], unless the parameters change.
        let bars = if random.chance(0.5) {
            world.handle(MachineEvent::NewParams, 0.5);
            Duration::ZERO
        } else {
            BARRED
        };
        world.handle(MachineEvent::CameraBack, 0.5);
        world.handle(MachineEvent::Resume, 0.5);
        let (began, limit) = (world.now, DARK + world.asked_to_wait.mul_f64(1.1) + bars);
        for _ in 0..500 {
            if world.machine.stage() == Stage::Live {
                break;
            }
            world.go_well(&good);
        }
        assert_eq!(world.machine.stage(), Stage::Live, "seed {seed}");
        let dark = world.now.duration_since(began);
        assert!(dark <= limit, "seed {seed}: {dark:?} without a job");
    }
}

/// Asserts that a stop ends the machine in any state, as soon as the open job is closed.
fn stops(world: &mut World, random: &mut Random) {
    world.handle(MachineEvent::Stop, 0.5);
    for _ in 0..3 {
        if world.finished {
            return;
        }
        assert_eq!(
            world.held,
            Held::Closing,
            "after a stop, the machine only waits until the job is closed"
        );
        if let Some(event) = world.answer(random) {
            world.handle(event, 0.5);
        }
    }
    assert!(world.finished, "the machine did not end after a stop");
}
