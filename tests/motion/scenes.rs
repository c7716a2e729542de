//! The generated scenes of the motion check: luma pictures as pure functions of the time, with the times at which
//! something moves in them. Each scene can be drawn at any size.
//!
//! Does not: encode.

use std::ops::Range;

/// The length of each scene, in seconds.
pub(crate) const LENGTH: f32 = 60.0;
/// Pictures a second.
pub(crate) const FPS: u32 = 24;

/// What the air and the light do in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing.
    Calm,
    /// The upper half is foliage, which sways in gusts.
    Wind,
    /// Streaks, new ones in each picture.
    Rain,
    /// Four times, lights brighten the picture within 0.4 s, one side more than the other.
    Headlights,
    /// The brightness changes by half, slowly.
    Clouds,
    /// The camera is pushed twice, and then shows another part of the place.
    Cuts,
    /// The camera writes the time into the picture.
    Clock,
}

/// One thing that crosses the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crossing {
    /// When it enters, in seconds.
    pub(crate) at: f32,
    /// How long it takes.
    pub(crate) takes: f32,
    /// Its height, as a share of the picture's.
    pub(crate) height: f32,
    /// Its width, as a share of its height.
    pub(crate) slim: f32,
    /// How long it stands still in the middle.
    pub(crate) stands: f32,
    /// Its luma against its surroundings'.
    pub(crate) contrast: f32,
}

/// A scene.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// Its name.
    pub(crate) name: &'static str,
    /// Standard deviation of the sensor's noise.
    pub(crate) noise: f32,
    /// Brightness: 1 for the day.
    pub(crate) light: f32,
    /// Its weather.
    pub(crate) weather: Weather,
    /// What crosses it.
    pub(crate) crossings: Vec<Crossing>,
}

const fn person(at: f32, takes: f32, height: f32) -> Crossing {
    Crossing { at, takes, height, slim: 0.35, stands: 0.0, contrast: -55.0 }
}

const fn car(at: f32) -> Crossing {
    Crossing { at, takes: 1.5, height: 0.25, slim: 2.2, stands: 0.0, contrast: 60.0 }
}

fn scene(name: &'static str, noise: f32, weather: Weather, crossings: Vec<Crossing>) -> Scene {
    let light = if name.contains("night") { 0.22 } else { 1.0 };
    Scene { name, noise, light, weather, crossings }
}

/// All scenes.
pub(crate) fn scenes() -> Vec<Scene> {
    use Weather::{Calm, Clock, Clouds, Cuts, Headlights, Rain, Wind};
    let walks = |height, takes| [14.0, 29.0, 44.0].map(|at| person(at, takes, height)).to_vec();
    let faint = |height, takes| {
        walks(height, takes).into_iter().map(|walk| Crossing { contrast: -25.0, ..walk }).collect()
    };
    let stands = Crossing { stands: 10.0, ..person(20.0, 18.0, 0.3) };
    vec![
        scene("nothing", 0.0, Calm, vec![]),
        scene("sensor noise", 1.5, Calm, vec![]),
        scene("night noise", 5.0, Calm, vec![]),
        scene("wind", 1.0, Wind, vec![]),
        scene("rain", 1.0, Rain, vec![]),
        scene("headlights at night", 2.5, Headlights, vec![]),
        scene("clouds", 1.0, Clouds, vec![]),
        scene("camera pushed", 1.0, Cuts, vec![]),
        scene("clock in the picture", 1.0, Clock, vec![]),
        scene("person, half of the height", 1.0, Calm, walks(0.5, 4.0)),
        scene("person, a fifth", 1.0, Calm, walks(0.2, 7.0)),
        scene("person, a tenth, slow", 1.0, Calm, walks(0.1, 11.0)),
        scene("person, faint, a fifth", 1.5, Calm, faint(0.2, 7.0)),
        scene("person stands for 10 s", 1.0, Calm, vec![stands]),
        scene("cars, fast", 1.0, Calm, vec![car(13.0), car(22.0), car(31.0), car(40.0), car(50.0)]),
        scene("person at night, a quarter", 4.0, Calm, walks(0.25, 7.0)),
        scene("person in wind, a quarter", 1.0, Wind, walks(0.25, 7.0)),
        scene("person in rain, a quarter", 1.0, Rain, walks(0.25, 7.0)),
    ]
}

impl Scene {
    /// The times at which something moves.
    pub(crate) fn motion(&self) -> Vec<Range<f32>> {
        let mut times = Vec::new();
        for crossing in &self.crossings {
            let Crossing { at, takes, stands, .. } = *crossing;
            let walks = (takes - stands) / 2.0;
            if stands > 0.0 {
                times.push(at..at + walks);
                times.push(at + walks + stands..at + takes);
            } else {
                times.push(at..at + takes);
            }
        }
        times
    }

    /// Draws the picture at `time` into `luma`, row by row. `seed` chooses the noise.
    pub(crate) fn draw(&self, place: &Place, time: f32, seed: u32, luma: &mut [u8]) {
        let (width, height) = (place.width, place.height);
        let shift = match self.weather {
            Weather::Cuts => (time / 20.0) as usize * width / 5,
            _ => 0,
        };
        let gust = 1.0 + 0.8 * (time * 0.35).sin() + 0.5 * (time * 0.13 + 1.0).sin();
        let scale = height as f32 / 360.0;
        let light = self.lights(time);
        let mut noise = Noise::new(seed);
        for (y, row) in luma.chunks_exact_mut(width).take(height).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let sways = self.weather == Weather::Wind && y < height / 2;
                let mut at = x + shift;
                if sways {
                    let phase = (x as f32 / scale) * 0.03 + (y as f32 / scale) * 0.05;
                    let sway = (1.5 + 2.0 * gust.max(0.0)) * (time * 2.6 + phase).sin() * scale;
                    at = (at as f32 + sway + 8.0 * scale).max(0.0) as usize;
                }
                let mut value = place.at(at, y);
                if let Some(light) = light {
                    value *= 1.0 + light * (0.6 + 0.8 * x as f32 / width as f32);
                }
                *pixel = (value * self.light).clamp(0.0, 255.0) as u8;
            }
        }
        for crossing in &self.crossings {
            self.draw_crossing(crossing, (width, height), time, luma);
        }
        match self.weather {
            Weather::Rain => rain(&mut noise, (width, height), luma),
            Weather::Clock => clock((width, height), time, luma),
            _ => {}
        }
        if self.noise > 0.0 {
            // A smaller picture is an average of more pixels of the sensor.
            let sigma = self.noise * scale.min(1.0);
            for pixel in luma.iter_mut() {
                *pixel =
                    (f32::from(*pixel) + sigma * noise.gauss()).round().clamp(0.0, 255.0) as u8;
            }
        }
    }

    fn lights(&self, time: f32) -> Option<f32> {
        match self.weather {
            Weather::Headlights => {
                let since = (time - 8.0).rem_euclid(13.0);
                let ramp = (since / 0.4).min((3.0 - since) / 0.4).clamp(0.0, 1.0);
                Some(1.2 * ramp)
            }
            Weather::Clouds => Some(-0.25 + 0.25 * (time * 0.5).cos()),
            _ => None,
        }
    }

    fn draw_crossing(
        &self,
        crossing: &Crossing,
        (width, height): (usize, usize),
        time: f32,
        luma: &mut [u8],
    ) {
        let Crossing { at, takes, stands, .. } = *crossing;
        let since = time - at;
        if !(0.0..takes).contains(&since) {
            return;
        }
        let walks = (takes - stands) / 2.0;
        let moved = if since < walks { since } else { (since - stands).max(walks) };
        let tall = crossing.height * height as f32;
        let wide = tall * crossing.slim;
        let left = (moved / (takes - stands)) * (width as f32 + wide) - wide;
        let top = height as f32 * 0.85 - tall;
        let is_walking = moved > 0.0 && !(walks..walks + stands).contains(&since);
        let swing = if is_walking { (since * 6.0).sin() } else { 0.0 };
        for y in 0..tall as usize {
            let row = top as usize + y;
            if row >= height {
                break;
            }
            let part = y as f32 / tall;
            // A head, a body, and legs that swing. A car is a block.
            let (from, to) = match crossing.slim < 1.0 {
                true if part < 0.18 => (0.32, 0.68),
                true if part < 0.55 => (0.15, 0.85),
                true => {
                    let step = 0.18 * swing * (part - 0.55) / 0.45;
                    (0.28 - step.abs(), 0.72 + step.abs())
                }
                false => (0.0, 1.0),
            };
            for x in (left + from * wide) as isize..(left + to * wide) as isize {
                if let Ok(x) = usize::try_from(x)
                    && x < width
                    && let Some(pixel) = luma.get_mut(row * width + x)
                {
                    let texture = (((x as f32 - left) * 40.0 / wide) as i32
                        ^ (y as f32 * 60.0 / tall) as i32)
                        & 7;
                    let value = (110.0 + crossing.contrast + 3.0 * texture as f32) * self.light;
                    *pixel = value.clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

fn rain(noise: &mut Noise, (width, height): (usize, usize), luma: &mut [u8]) {
    let length = (height * 14 / 360).max(1);
    for _ in 0..120 {
        let (x, y) = (noise.next() as usize % width, noise.next() as usize % height);
        for row in y..(y + length).min(height) {
            if let Some(pixel) = luma.get_mut(row * width + x) {
                *pixel = pixel.saturating_add(if height < 100 { 3 } else { 35 });
            }
        }
    }
}

fn clock((width, height): (usize, usize), time: f32, luma: &mut [u8]) {
    let unit = (height as f32 / 120.0).max(0.3);
    let seconds = time as u32;
    for (nth, digit) in [seconds / 10 % 10, seconds % 10].into_iter().enumerate() {
        for y in 0..(5.0 * unit) as usize {
            for x in 0..(3.0 * unit) as usize {
                let (row, column) = ((y as f32 / unit) as u32, (x as f32 / unit) as u32);
                let is_set = (0x7b6f_u32.rotate_left(digit * 3) >> (row * 3 + column)) & 1 == 1;
                let at = (y + (4.0 * unit) as usize) * width
                    + x
                    + ((6.0 + 4.0 * nth as f32) * unit) as usize;
                if let Some(pixel) = luma.get_mut(at) {
                    *pixel = if is_set { 235 } else { 16 };
                }
            }
        }
    }
}

/// What the camera looks at.
#[derive(Debug)]
pub(crate) struct Place {
    width: usize,
    height: usize,
    wide: usize,
    luma: Vec<f32>,
}

impl Place {
    /// A place with walls, leaves and ground, twice as wide as the picture.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let wide = width * 2;
        let mut luma = vec![0.0; wide * height];
        for (at, value) in luma.iter_mut().enumerate() {
            let (x, y) = ((at % wide) as f32 / height as f32, (at / wide) as f32 / height as f32);
            let mut sum = 120.0 + 50.0 * (0.5 - y);
            let mut amplitude = 22.0;
            let mut frequency = 4.0;
            for octave in 0..6 {
                sum += amplitude * smooth_noise(x * frequency, y * frequency, octave);
                amplitude *= 0.62;
                frequency *= 2.1;
            }
            // The edges of a house.
            if (0.9..1.4).contains(&(x % 1.7)) && (0.2..0.6).contains(&y) {
                sum += 35.0;
            }
            *value = sum.clamp(16.0, 235.0);
        }
        Self { width, height, wide, luma }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.luma.get(y * self.wide + x.min(self.wide - 1)).copied().unwrap_or_default()
    }
}

fn smooth_noise(x: f32, y: f32, octave: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (x - left, y - top);
    let corner = |dx: f32, dy: f32| {
        let seed = ((left + dx) as u32).wrapping_mul(0x9e37_79b1)
            ^ ((top + dy) as u32).wrapping_mul(0x85eb_ca6b)
            ^ octave.wrapping_mul(0xc2b2_ae35);
        (Noise::new(seed).next() & 0xffff) as f32 / 32_768.0 - 1.0
    };
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (across, down) = (ease(across), ease(down));
    let upper = corner(0.0, 0.0) * (1.0 - across) + corner(1.0, 0.0) * across;
    let lower = corner(0.0, 1.0) * (1.0 - across) + corner(1.0, 1.0) * across;
    upper * (1.0 - down) + lower * down
}

struct Noise(u32);

impl Noise {
    fn new(seed: u32) -> Self {
        let mut noise = Self(seed.wrapping_mul(0x2545_f491) ^ 0x9e37_79b9);
        noise.0 |= 1;
        noise.next();
        noise.next();
        noise
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// About normal: the sum of four bytes, of deviation 1.
    fn gauss(&mut self) -> f32 {
        let sum: u32 = self.next().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - 510.0) / 147.8
    }
}
