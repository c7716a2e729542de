//! A camera that is a process of its own: frames over shared memory, so that signals pull its plug.
//!
//! SIGKILL is a camera that is gone, SIGSTOP one that stalls without an error.
//!
//! Does not: encode.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::program::Program;
use super::scene::Scene;
use super::{ms, s, until};

/// The shape of its frames.
const CAPS: &str = "video/x-raw,format=I420,width=320,height=180,framerate=24/1";

/// A camera, plugged in or not.
pub(crate) struct Camera<'a> {
    scene: &'a Scene,
    socket: PathBuf,
    process: Option<Program>,
}

impl<'a> Camera<'a> {
    /// One that is plugged in.
    pub(crate) fn new(scene: &'a Scene) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        // Not in the row's folder: the path of a socket is short.
        let socket = std::env::temp_dir().join(format!("edge-camera-{}-{nth}", std::process::id()));
        let mut camera = Self { scene, socket, process: None };
        camera.plug_in();
        camera
    }

    /// The pipeline that reads it.
    pub(crate) fn fragment(&self) -> String {
        let socket = self.socket.display();
        format!("shmsrc socket-path={socket} is-live=true do-timestamp=true ! {CAPS}")
    }

    /// It is back, and gives frames.
    pub(crate) fn plug_in(&mut self) -> Instant {
        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q", "videotestsrc", "is-live=true", "!", CAPS, "!", "shmsink"]);
        command.arg(format!("socket-path={}", self.socket.display()));
        command.args(["wait-for-connection=false", "sync=false", "shm-size=4000000"]);
        self.process = Some(self.scene.program("camera", command));
        assert!(until(s(20), || self.socket.exists()).is_some(), "the camera gives frames");
        Instant::now()
    }

    /// It is gone.
    pub(crate) fn pull_out(&mut self) -> Instant {
        let at = Instant::now();
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.clean(process.id());
        }
        at
    }

    /// It stalls without a word.
    pub(crate) fn stall(&self) -> Instant {
        self.process.as_ref().unwrap().signal("STOP");
        Instant::now()
    }

    /// It goes on. `shmsink` breaks if somebody opened it meanwhile and left: then it is plugged in anew.
    pub(crate) fn go_on(&mut self) -> Instant {
        let process = self.process.as_mut().unwrap();
        process.signal("CONT");
        if until(ms(300), || !process.runs()).is_none() {
            return Instant::now();
        }
        self.pull_out();
        self.plug_in()
    }

    /// What a process that was killed leaves behind.
    fn clean(&self, id: u32) {
        let _ = fs::remove_file(&self.socket);
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
