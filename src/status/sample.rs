//! Facts for tests: an agent whose video moves all the way.
//!
//! Does not: belong to the program.

use std::time::{Duration, Instant};

use super::facts::{
    AgentFacts, CameraFacts, Facts, Figures, PaymentFacts, ReturnedFacts, UplinkFacts,
};
use super::output::OutputReport;
use super::report::{Device, Moment, StatusReport};
use super::{Identity, LinkState, NoJob, chain};
use livepeer_gateway::budget::{Budget, BudgetUse, Unit};
use livepeer_gateway::job::Stage;
use media::io::Flow;
use resilience::histogram::Durations;
use resilience::ledger::{LocalTime, Period};
use resilience::meter::Reading;

/// A count whose last increment was at `last`.
pub(super) fn moved(count: u64, last: Instant) -> Reading {
    let gap = Duration::from_millis(40);
    Reading { count, last: Some(last), gap, per_second: 24.0 }
}

/// An agent whose job is live for a minute, and whose video moves.
pub(super) fn facts(now: Instant) -> Facts {
    let minute = now.checked_sub(Duration::from_secs(60)).unwrap_or(now);
    Facts {
        now,
        agent: AgentFacts {
            stage: Stage::Live,
            is_held: false,
            host: "o.example:8935".to_owned(),
            unwanted: None,
            motion: Some(super::MotionFacts { since: None, count: 3 }),
            no_job: NoJob::default(),
            camera: CameraFacts::Playing(minute),
            clock: super::ClockFacts::Trusted,
        },
        captured: moved(1440, now),
        encoded: moved(1439, now),
        uplink: UplinkFacts {
            segments: moved(29, now),
            bytes: moved(15_000_000, now),
            in_flight: 1,
            ..UplinkFacts::default()
        },
        model: None,
        returned: ReturnedFacts {
            live_since: Some(minute),
            has_output: true,
            segments: moved(28, now),
            bytes: moved(14_000_000, now),
            frames: moved(1400, now),
            events: moved(6, now),
            starts: 1,
            losses: 0,
            camera_losses: 0,
        },
        data: Some(BudgetUse {
            budget: Budget { amount: 5_000_000_000, unit: Unit::Bytes, period: Period::Month },
            spent: 1_000_000_000,
            added: 0,
            now: None,
        }),
        payment: PaymentFacts {
            has_signer: true,
            paid_until: Some(now + Duration::from_secs(55)),
            payments: 12,
            wei: 1_200_000,
            wei_per_hour: Some(72_000_000),
            today: 1_200_000,
            month: 20_000_000,
            budget: Some(BudgetUse {
                budget: Budget { amount: 30_000_000, unit: Unit::Wei, period: Period::Day },
                spent: 1_200_000,
                added: 200_000,
                // 2026-11-29 14:00.
                now: Some(LocalTime::new(Duration::from_secs(1_795_960_800), 0)),
            }),
            ..PaymentFacts::default()
        },
        outputs: vec![OutputReport {
            name: "output.path".to_owned(),
            kind: "file",
            state: LinkState::Ok,
            bytes: 14_000_000,
            dropped_bytes: 0,
            why: String::new(),
        }],
    }
}

/// Figures with everything known.
pub(super) fn figures() -> Figures {
    let durations = Durations {
        count: 3,
        sum: Duration::from_millis(600),
        buckets: vec![(Duration::from_millis(128), 1), (Duration::from_millis(256), 3)],
        percentiles: Some([Duration::from_millis(200); 3]),
    };
    Figures {
        flow: Flow {
            source: "HD Pro Webcam C920".to_owned(),
            encoder: Some("v4l2h264enc".to_owned()),
            bitrate: Some(2_000_000),
            size: Some((1280, 720)),
            encoding: durations.clone(),
            ..Flow::default()
        },
        uploads: durations.clone(),
        round_trip: durations,
        kernel: Some((1500, Duration::from_millis(42))),
    }
}

/// The report of these facts, in whose figures everything is known.
pub(super) fn report(facts: &Facts) -> StatusReport {
    let links = chain::judge(facts);
    let labels = [("site".to_owned(), "roof".to_owned())].into();
    let moment = Moment {
        time: Duration::from_secs(1_700_000_000),
        uptime: Duration::from_secs(60),
        identity: Identity { instance: "pi".to_owned(), labels },
        notice: None,
        job: ["m".to_owned(), "live-video-to-video/m".to_owned()],
        device: Device { temperature: Some(54.8), throttling: None },
    };
    StatusReport::new(facts, &figures(), (&links, &[Duration::ZERO; 9]), moment)
}
