//! `devices`: lists the cameras, encoders and microphones of this computer, by the names that the configuration takes.
//!
//! Does not: change settings of a device.

use serde_json::{Value, json};

use super::{Error, print};
use crate::config::Config;
use media::devices::{CameraFound, Devices, EncoderFound, EncoderVerdict, MicrophoneFound};
use media::encoder::Kind;
use media::io;
use media::modes::Mode;
use media::{CameraFormat, Video};

/// Prints the devices found, tested at the size of the configuration.
pub fn devices(config: &Config, json: bool) -> Result<(), Error> {
    let found = io::devices(&config.media).map_err(Error::Devices)?;
    let text = match json {
        true => format!("{:#}\n", as_json(&found)),
        false => as_text(&found, &config.media.video),
    };
    print(&text);
    Ok(())
}

fn as_text(found: &Devices, video: &Video) -> String {
    let Video { width, height, fps, .. } = video;
    let mut text = String::from("Cameras (source.kind, source.device):\n");
    if found.cameras.is_empty() {
        text.push_str("  none\n");
    }
    for camera in &found.cameras {
        text.push_str(&camera_text(camera));
    }
    text.push_str(&format!(
        "\nEncoders (encoder.element), tried at {width}x{height}, {fps} frames/s:\n"
    ));
    for encoder in &found.encoders {
        let is_taken = found.encoder() == Some(encoder);
        let verdict = match &encoder.verdict {
            EncoderVerdict::Works if is_taken => format!("works ({}), taken", kind(encoder)),
            EncoderVerdict::Works => format!("works ({})", kind(encoder)),
            EncoderVerdict::Fails(why) => format!("fails: {why}"),
            EncoderVerdict::Absent(Some(package)) => format!("not installed (package {package})"),
            EncoderVerdict::Absent(None) => "not installed".to_owned(),
            EncoderVerdict::NotHere => "not on this computer".to_owned(),
        };
        text.push_str(&format!("  {:14} {verdict}\n", encoder.element));
    }
    text.push_str("\nMicrophones (audio.kind, audio.device):\n");
    if found.microphones.is_empty() {
        text.push_str("  none\n");
    }
    for MicrophoneFound { kind, device, name } in &found.microphones {
        let device = device.as_deref().unwrap_or("(the default)");
        text.push_str(&format!("  {kind:9} {device}\n            {name}\n"));
    }
    text
}

fn kind(encoder: &EncoderFound) -> &'static str {
    match encoder.kind {
        Kind::Hardware => "hardware",
        Kind::Software => "software",
    }
}

fn camera_text(camera: &CameraFound) -> String {
    let mut text = format!("  {:9} {}\n", camera.kind, camera.device);
    let mut line = |what: String| text.push_str(&format!("            {what}\n"));
    if let Some(name) = &camera.name {
        line(name.clone());
    }
    match &camera.modes {
        Err(why) => line(format!("not usable: {why}")),
        Ok(modes) => sizes(modes).into_iter().for_each(&mut line),
    }
    if let Some(mode) = &camera.taken {
        let Mode { width, height, .. } = mode;
        line(format!("taken: {} {width}x{height} {}", format(mode), rate(mode)));
    }
    text
}

/// A line for each format and size, with its frame rates, in the camera's order.
fn sizes(modes: &[Mode]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for mode in modes {
        let size = format!("{} {}x{}", format(mode), mode.width, mode.height);
        match lines.iter_mut().find(|(known, _)| *known == size) {
            Some((_, rates)) if !rates.contains(&rate(mode)) => rates.push(rate(mode)),
            Some(_) => {}
            None => lines.push((size, vec![rate(mode)])),
        }
    }
    lines.into_iter().map(|(size, rates)| format!("{size:20} {}", rates.join(", "))).collect()
}

fn format(mode: &Mode) -> &str {
    match mode.format {
        CameraFormat::H264 => "H.264",
        CameraFormat::Mjpeg => "MJPEG",
        CameraFormat::Raw | CameraFormat::Auto => &mode.raw,
    }
}

/// Frames per second, with one decimal if needed.
fn rate(mode: &Mode) -> String {
    let tenths = u64::from(mode.rate.frames) * 10 / u64::from(mode.rate.seconds.max(1));
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

fn as_json(found: &Devices) -> Value {
    let camera = |camera: &CameraFound| {
        json!({
            "kind": camera.kind,
            "device": camera.device,
            "name": camera.name,
            "usable": camera.modes.is_ok(),
            "reason": camera.modes.as_ref().err().map(ToString::to_string),
            "modes": camera.modes.iter().flatten().map(mode_json).collect::<Vec<_>>(),
            "taken": camera.taken.as_ref().map(mode_json),
        })
    };
    let encoder = |encoder: &EncoderFound| {
        let (verdict, reason) = match &encoder.verdict {
            EncoderVerdict::Works => ("works", None),
            EncoderVerdict::Fails(why) => ("fails", Some(why.clone())),
            EncoderVerdict::Absent(package) => {
                ("not installed", package.map(|package| format!("package {package}")))
            }
            EncoderVerdict::NotHere => ("not on this computer", None),
        };
        json!({
            "element": encoder.element,
            "kind": kind(encoder),
            "verdict": verdict,
            "reason": reason,
            "taken": found.encoder() == Some(encoder),
        })
    };
    let microphone = |microphone: &MicrophoneFound| {
        let MicrophoneFound { kind, device, name } = microphone;
        json!({ "kind": kind, "device": device, "name": name })
    };
    json!({
        "cameras": found.cameras.iter().map(camera).collect::<Vec<_>>(),
        "encoders": found.encoders.iter().map(encoder).collect::<Vec<_>>(),
        "microphones": found.microphones.iter().map(microphone).collect::<Vec<_>>(),
    })
}

fn mode_json(mode: &Mode) -> Value {
    json!({
        "format": format(mode),
        "width": mode.width,
        "height": mode.height,
        "fps": f64::from(mode.rate.frames) / f64::from(mode.rate.seconds.max(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::MediaError;
    use media::modes::Rate;

    fn mode(format: CameraFormat, raw: &str, width: u32, frames: u32, seconds: u32) -> Mode {
        let rate = Rate { frames, seconds };
        Mode { format, raw: raw.to_owned(), width, height: 480, rate }
    }

    fn found() -> Devices {
        let modes = vec![
            mode(CameraFormat::Raw, "YUY2", 640, 30, 1),
            mode(CameraFormat::Raw, "YUY2", 640, 15, 2),
            mode(CameraFormat::Raw, "YUY2", 640, 30, 1),
            mode(CameraFormat::Mjpeg, "", 854, 30_000, 1001),
        ];
        let camera = |device: &str, modes: Result<Vec<Mode>, MediaError>| CameraFound {
            kind: "v4l2",
            device: device.to_owned(),
            name: None,
            taken: modes.as_ref().ok().and_then(|modes| modes.last().cloned()),
            modes,
        };
        let encoder = |element: &str, kind, verdict| EncoderFound {
            element: element.to_owned(),
            kind,
            verdict,
        };
        let cam = camera("/dev/v4l/by-id/cam", Ok(modes));
        Devices {
            cameras: vec![
                CameraFound { name: Some("Cam".to_owned()), ..cam },
                camera("/dev/video9", Err(MediaError::Busy("/dev/video9".into()))),
            ],
            encoders: vec![
                encoder("v4l2h264enc", Kind::Hardware, EncoderVerdict::Fails("no frame".into())),
                encoder("vah264enc", Kind::Hardware, EncoderVerdict::Absent(Some("p"))),
                encoder("nvv4l2h264enc", Kind::Hardware, EncoderVerdict::Absent(None)),
                encoder("qsvh264enc", Kind::Hardware, EncoderVerdict::NotHere),
                encoder("x264enc", Kind::Software, EncoderVerdict::Works),
                encoder("openh264enc", Kind::Software, EncoderVerdict::Works),
            ],
            microphones: vec![MicrophoneFound {
                kind: "alsa",
                device: Some("hw:1".to_owned()),
                name: "Mic".to_owned(),
            }],
        }
    }

    #[test]
    fn the_text_is_exact() {
        let expected = "\
Cameras (source.kind, source.device):
  v4l2      /dev/v4l/by-id/cam
            Cam
            YUY2 640x480         30, 7.5
            MJPEG 854x480        29.9
            taken: MJPEG 854x480 29.9
  v4l2      /dev/video9
            not usable: the camera /dev/video9 is in use by another program

Encoders (encoder.element), tried at 1280x720, 24 frames/s:
  v4l2h264enc    fails: no frame
  vah264enc      not installed (package p)
  nvv4l2h264enc  not installed
  qsvh264enc     not on this computer
  x264enc        works (software), taken
  openh264enc    works (software)

Microphones (audio.kind, audio.device):
  alsa      hw:1
            Mic
";
        assert_eq!(as_text(&found(), &Video::default()), expected);
        let nothing = as_text(&Devices::default(), &Video::default());
        assert_eq!(nothing.matches("  none\n").count(), 2, "{nothing}");
    }

    #[test]
    fn the_json_has_the_same_content() {
        let json = as_json(&found());
        assert_eq!(json["cameras"][0]["modes"][1]["fps"], 7.5);
        assert_eq!(json["cameras"][0]["taken"]["format"], "MJPEG");
        assert_eq!(json["cameras"][1]["usable"], false);
        let reason = "the camera /dev/video9 is in use by another program";
        assert_eq!(json["cameras"][1]["reason"], reason);
        assert_eq!(json["encoders"][1]["verdict"], "not installed");
        assert_eq!(json["encoders"][3]["verdict"], "not on this computer");
        let taken = |n: usize| json["encoders"][n]["taken"] == true;
        assert_eq!([4, 5].map(taken), [true, false]);
        assert_eq!(json["microphones"][0]["device"], "hw:1");
    }
}
