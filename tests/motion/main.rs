//! Measures how well motion is noticed: which motions are found, and which are noticed that are none.
//!
//! The fast tests replay recorded sizes of access units (`tests/fixtures/motion`), and draw the scenes of `scenes.rs` as
//! small pictures. The long check draws and encodes all scenes, and prints the table of tests/README.md; with
//! `MOTION_CLIPS`, a folder of real clips, those too; with `RECORD_MOTION=1` it writes the recordings.
//!
//! `job.rs` has a job that a motion starts.
//!
//! Does not: need clips or a camera.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(clippy::print_stdout, reason = "the long check prints a table")]

#[cfg(feature = "sandbox")]
mod job;
mod scenes;
mod score;
mod video;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use media::motion::grid::{self, ACROSS, CELLS, DOWN, Grid};
use media::motion::{Motion, MotionOptions};
use media::slice::Quantisers;

use scenes::{FPS, LENGTH, Place, Scene, scenes};
use score::{Noticed, Score, Truth, at};
use video::{ENCODERS, HEIGHT, WIDTH};

/// One access unit as recorded: its bytes, its quantiser, whether it is a key frame.
type Unit = (usize, Option<u8>, bool);

fn motion(sensitivity: u32) -> Motion {
    Motion::new(MotionOptions { sensitivity, ..MotionOptions::default() })
}

/// The score of access units at `fps`.
fn score_of_units(units: &[Unit], fps: f64, truth: &Truth, sensitivity: u32) -> Score {
    let start = Instant::now();
    let (mut motion, mut noticed) = (motion(sensitivity), Noticed::from(start));
    for (frame, (bytes, quantiser, is_key)) in units.iter().enumerate() {
        let now = at(start, frame, fps);
        noticed.on(motion.on_size(*bytes, *quantiser, *is_key, now), now);
    }
    noticed.score(truth)
}

/// The score of pictures at 2 pictures/s.
fn score_of_pictures(grids: &[Grid], truth: &Truth, sensitivity: u32) -> Score {
    let start = Instant::now();
    let (mut motion, mut noticed) = (motion(sensitivity), Noticed::from(start));
    for (nth, grid) in grids.iter().enumerate() {
        let now = at(start, nth, 2.0);
        noticed.on(motion.on_picture(grid, now), now);
    }
    noticed.score(truth)
}

fn truth(scene: &Scene) -> Truth {
    // Somebody who stands still may be noticed for some time.
    let stands = scene.crossings.iter().filter(|crossing| crossing.stands > 0.0);
    let may_move = stands.map(|crossing| crossing.at..crossing.at + crossing.takes).collect();
    Truth { moves: scene.motion(), may_move }
}

/// The scene as it is drawn at the size of the grid.
fn small_pictures(scene: &Scene) -> Vec<Grid> {
    let place = Place::new(ACROSS, DOWN);
    (0..(LENGTH * 2.0) as u32)
        .map(|nth| {
            let mut grid = [0; CELLS];
            scene.draw(&place, nth as f32 / 2.0, nth + 1, &mut grid);
            grid
        })
        .collect()
}

#[test]
fn pictures_show_every_motion_of_the_scenes_and_no_other() {
    for scene in scenes() {
        // A person of a tenth of the height has 4 cells here, drawn without the shades of a reduced picture.
        let score = score_of_pictures(&small_pictures(&scene), &truth(&scene), 50);
        let Score { motions, found, false_ones, delay } = score;
        assert_eq!((found, false_ones), (motions, 0), "{}", scene.name);
        assert!(delay <= 4.0 * motions as f32, "{}: {delay} s", scene.name);
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/motion")
}

/// Reads a recording: 3 bytes for each access unit, its size in two and its quantiser in the third, of which the highest
/// bit is set for a key frame.
fn recorded(name: &str) -> Vec<Unit> {
    let bytes = std::fs::read(fixtures().join(name)).unwrap();
    let unit = |bytes: &[u8]| {
        let size = u16::from_le_bytes([bytes[0], bytes[1]]);
        (size.into(), Some(bytes[2] & 0x7f), bytes[2] & 0x80 != 0)
    };
    bytes.chunks_exact(3).map(unit).collect()
}

fn record(name: &str, units: &[Unit]) {
    let mut bytes = Vec::new();
    for (size, quantiser, is_key) in units {
        bytes.extend(u16::try_from(*size).unwrap_or(u16::MAX).to_le_bytes());
        bytes.push(quantiser.unwrap() | if *is_key { 0x80 } else { 0 });
    }
    std::fs::create_dir_all(fixtures()).unwrap();
    std::fs::write(fixtures().join(name), bytes).unwrap();
}

/// The recordings, each with its scene, its encoder in [`ENCODERS`], the motions that its sizes show, and the false
/// ones: sizes do not show a person in the noise of the night, and a fixed quality costs more in brighter light.
const RECORDINGS: [(&str, &str, usize, u32, u32); 6] = [
    ("small.sizes", "person, a tenth, slow", 0, 3, 0),
    ("night.sizes", "person at night, a quarter", 0, 0, 0),
    ("rain.sizes", "rain", 0, 0, 0),
    ("clouds.sizes", "clouds", 0, 0, 0),
    ("headlights.sizes", "headlights at night", 0, 0, 4),
    ("bitrate.sizes", "cars, fast", 1, 5, 0),
];

#[test]
fn sizes_show_the_motions_of_the_recordings() {
    for (file, name, _, found, false_ones) in RECORDINGS {
        let scene = scenes().into_iter().find(|scene| scene.name == name).unwrap();
        let units = recorded(file);
        assert_eq!(units.len(), (LENGTH * FPS as f32) as usize);
        let score = score_of_units(&units, FPS.into(), &truth(&scene), 50);
        assert_eq!((score.found, score.false_ones), (found, false_ones), "{name}");
        assert!(score.delay <= 2.0 * found as f32, "{name}: {} s", score.delay);
    }
}

/// The clips of the folder `MOTION_CLIPS`, with the times at which something moves in them, and at which somebody stands
/// in the picture. They are those of `intel-iot-devkit/sample-videos` (CC BY 4.0).
fn clips() -> Vec<(&'static str, Truth)> {
    let truth = |moves: &[(f32, f32)], may_move: &[(f32, f32)]| {
        let ranges = |all: &[(f32, f32)]| all.iter().map(|(from, to)| *from..*to).collect();
        Truth { moves: ranges(moves), may_move: ranges(may_move) }
    };
    let hands = [(5.5, 7.1), (11.0, 13.4), (15.5, 17.9), (21.7, 24.6), (27.0, 29.0)];
    let hands = [&hands[..], &[(30.7, 32.3), (34.7, 36.8)]].concat();
    let people = [(5.5, 9.0), (17.5, 20.2), (22.3, 25.0), (42.5, 45.2), (49.5, 52.8), (67.5, 70.2)];
    let more = [(74.5, 77.5), (84.5, 86.9), (91.5, 94.8), (117.5, 120.5), (122.8, 126.0)];
    let people = [&people[..], &more, &[(133.5, 136.5)]].concat();
    let stand =
        [(5.5, 20.2), (22.3, 45.2), (49.5, 70.2), (74.5, 86.9), (91.5, 120.5), (122.8, 136.5)];
    vec![
        ("bottle-detection.mp4", truth(&hands, &[])),
        ("car-detection.mp4", truth(&[(3.7, 8.6), (13.7, 18.6), (24.6, 28.3)], &[(27.0, 30.2)])),
        ("one-by-one-person-detection.mp4", truth(&people, &stand)),
    ]
}

/// The scores of pictures at three sensitivities, then of each encoder.
fn scores(
    fps: f64,
    pictures: Vec<Vec<u8>>,
    truth: &Truth,
) -> (Vec<Score>, Vec<Vec<Unit>>, Duration) {
    let began = Instant::now();
    let every = fps / 2.0;
    let grids: Vec<Grid> = (0..(pictures.len() as f64 / every) as usize)
        .map(|nth| &pictures[(nth as f64 * every) as usize])
        .map(|picture| grid::reduce(picture, (WIDTH, HEIGHT), WIDTH).unwrap())
        .collect();
    let mut scores = vec![score_of_pictures(&grids, truth, 50)];
    let each = began.elapsed() / grids.len() as u32;
    scores.extend([25, 75].map(|sensitivity| score_of_pictures(&grids, truth, sensitivity)));
    let mut recordings = Vec::new();
    for (_, encoder) in ENCODERS {
        let (mut units, mut quantisers) = (Vec::new(), Quantisers::default());
        video::encode(encoder, fps, pictures.clone().into_iter(), |bytes, is_key| {
            units.push((bytes.len(), quantisers.on_access_unit(bytes).value, is_key));
        });
        scores.push(score_of_units(&units, fps, truth, 50));
        recordings.push(units);
    }
    (scores, recordings, each)
}

#[test]
#[ignore = "takes minutes: see tests/README.md"]
fn long_table() {
    let mut totals = [vec![Score::default(); 6], vec![Score::default(); 6]];
    let columns = ENCODERS.map(|(name, _)| format!("sizes, {name}")).join(" | ");
    println!(
        "| scene | pictures | sensitivity 25 | sensitivity 75 | {columns} |\n|---|---|---|---|---|---|---|"
    );
    let mut row = |name: &str, scores: &[Score], is_clip: bool| {
        let cells: Vec<String> = scores.iter().map(|score| score.cell()).collect();
        println!("| {name} | {} |", cells.join(" | "));
        for (total, score) in totals[usize::from(is_clip)].iter_mut().zip(scores) {
            total.add(*score);
        }
    };
    let place = Place::new(WIDTH, HEIGHT);
    let mut longest = Duration::ZERO;
    for scene in scenes() {
        let draw = |frame: u32| {
            let mut picture = vec![128; video::BYTES];
            scene.draw(
                &place,
                frame as f32 / FPS as f32,
                frame + 1,
                &mut picture[..WIDTH * HEIGHT],
            );
            picture
        };
        let pictures = (0..(LENGTH * FPS as f32) as u32).map(draw).collect();
        let (found, recordings, each) = scores(FPS.into(), pictures, &truth(&scene));
        longest = longest.max(each);
        row(scene.name, &found, false);
        if std::env::var_os("RECORD_MOTION").is_some() {
            for (file, name, encoder, ..) in RECORDINGS {
                if name == scene.name {
                    record(file, &recordings[encoder]);
                }
            }
        }
    }
    if let Some(folder) = std::env::var_os("MOTION_CLIPS") {
        for (name, truth) in clips() {
            let (fps, pictures) = video::read(&Path::new(&folder).join(name));
            let (found, _, _) = scores(fps, pictures, &truth);
            row(name, &found, true);
        }
    }
    for (what, total) in ["all scenes", "all clips"].into_iter().zip(totals) {
        let cells: Vec<String> = total.iter().map(|score| score.cell()).collect();
        println!("| **{what}** | {} |", cells.join(" | "));
        let pictures = total[0];
        assert_eq!((pictures.found, pictures.false_ones), (pictures.motions, 0), "{what}");
    }
    // Two pictures a second.
    let share = longest.as_secs_f64() * 2.0 * 100.0;
    println!("pictures: {longest:?} each, {share:.2} % of a core");
    assert!(share < 1.0);
}
