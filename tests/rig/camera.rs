//! A camera that is a separate process, so that a signal can disconnect or stall it.
//!
//! | made by | SIGKILL | SIGSTOP |
//! |---|---|---|
//! | [`Camera::local`], raw frames over shared memory | the reader gets an error at once, and cannot open the camera again | not supported: it breaks `shmsink` |
//! | [`Camera::remote`], JPEG over UDP | the reader gets no frames and no error, and can open the camera | as SIGKILL |
//!
//! Does not: encode H.264.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::program::Program;
use super::scene::Scene;
use super::{s, until};

/// The caps of the frames.
const CAPS: &str = "video/x-raw,format=I420,width=320,height=180,framerate=24/1";
/// The caps that a reader of [`Camera::remote`] needs.
const RTP: &str = "application/x-rtp,media=video,clock-rate=90000,encoding-name=JPEG,payload=26";

enum Way {
    Shared(PathBuf),
    Udp(u16),
}

/// A camera, plugged in or not.
pub(crate) struct Camera<'a> {
    scene: &'a Scene,
    way: Way,
    process: Option<Program>,
}

impl<'a> Camera<'a> {
    /// Starts a connected camera whose loss gives the reader an error at once.
    pub(crate) fn local(scene: &'a Scene) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        // The socket is not in the row's folder, because the path of a socket must be short.
        let name = format!("edge-camera-{}-{nth}", std::process::id());
        Self::plugged_in(scene, Way::Shared(std::env::temp_dir().join(name)))
    }

    /// Starts a connected camera whose loss gives no error, only missing frames.
    pub(crate) fn remote(scene: &'a Scene) -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self::plugged_in(scene, Way::Udp(free.local_addr().unwrap().port()))
    }

    fn plugged_in(scene: &'a Scene, way: Way) -> Self {
        let mut camera = Self { scene, way, process: None };
        camera.plug_in();
        camera
    }

    /// The pipeline fragment that reads the camera.
    pub(crate) fn fragment(&self) -> String {
        match &self.way {
            Way::Shared(socket) => {
                let socket = socket.display();
                format!("shmsrc socket-path={socket} is-live=true do-timestamp=true ! {CAPS}")
            }
            Way::Udp(port) => format!(
                "udpsrc address=127.0.0.1 port={port} caps={RTP} ! rtpjpegdepay ! jpegdec ! \
                 videoconvert"
            ),
        }
    }

    /// Connects the camera. Returns the time at which it gives frames.
    pub(crate) fn plug_in(&mut self) -> Instant {
        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q", "videotestsrc", "is-live=true", "!", CAPS, "!"]);
        match &self.way {
            Way::Shared(socket) => {
                command.arg("shmsink").arg(format!("socket-path={}", socket.display()));
                command.args(["wait-for-connection=false", "sync=false", "shm-size=4000000"]);
            }
            Way::Udp(port) => {
                command.args(["jpegenc", "!", "rtpjpegpay", "!", "udpsink", "host=127.0.0.1"]);
                command.arg(format!("port={port}"));
            }
        }
        self.process = Some(self.scene.program("camera", command));
        if let Way::Shared(socket) = &self.way {
            assert!(until(s(20), || socket.exists()).is_some(), "the camera gives frames");
        }
        Instant::now()
    }

    /// Disconnects the camera. Returns the time.
    pub(crate) fn pull_out(&mut self) -> Instant {
        let at = Instant::now();
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.clean(process.id());
        }
        at
    }

    /// Stalls the camera, which gives no error. Returns the time.
    pub(crate) fn stall(&self) -> Instant {
        self.process.as_ref().unwrap().signal("STOP");
        Instant::now()
    }

    /// Continues a stalled camera. Returns the time.
    pub(crate) fn go_on(&self) -> Instant {
        self.process.as_ref().unwrap().signal("CONT");
        Instant::now()
    }

    /// Removes the files that a killed process leaves behind.
    fn clean(&self, id: u32) {
        let Way::Shared(socket) = &self.way else { return };
        let _ = fs::remove_file(socket);
        let shared = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let prefix = format!("shmpipe.{id:5}.");
        for file in shared.filter(|file| file.file_name().to_string_lossy().starts_with(&prefix)) {
            let _ = fs::remove_file(file.path());
        }
    }
}

impl Drop for Camera<'_> {
    fn drop(&mut self) {
        self.pull_out();
    }
}
