//! Corrects the RTP session of a network camera, between GStreamer's RTSP client and its RTP manager: the stream
//! keeps one [SSRC](crate::ssrc), and the camera's RTSP session is kept alive.
//!
//! GStreamer's RTSP client sends keep-alive requests by itself over UDP. Over TCP it sends them only when nothing was
//! received for its whole timeout. A camera that accepts only RTSP requests, and not RTCP, as a sign of life would end
//! the session. The client does not expose the Session header with the camera's timeout, so requests are sent at a
//! fixed interval. A camera that ends its stream before the first request may have a shorter timeout: from then on it
//! gets a request each second.
//!
//! Does not: send keep-alive requests before GStreamer 1.18, or to a camera without GET_PARAMETER: the client cannot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib::subclass::SignalId;
use gstreamer::prelude::*;
use heapless::Deque;

use crate::limits::CAMERAS_MEASURED;
use crate::ssrc::{OneSource, RtpHeader};

/// The interval of keep-alive requests, a little less than the shortest session timeout that most cameras have.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// The interval for a camera that ended its stream within [`KEEP_ALIVE`].
const SHORT_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The addresses of cameras that ended their streams within [`KEEP_ALIVE`], the oldest first.
static SHORT: Mutex<Deque<String, CAMERAS_MEASURED>> = Mutex::new(Deque::new());

/// Sets up these corrections for `camera`, an `rtspsrc` that receives one stream over TCP. Call before it plays.
pub(super) fn mend(camera: &gst::Element) {
    let one = Arc::new(Mutex::new(OneSource::default()));
    camera.connect("new-manager", false, move |values| {
        let element = |at: usize| {
            values.get(at).and_then(|value: &gst::glib::Value| value.get::<gst::Element>().ok())
        };
        let (camera, manager) = (element(0)?, element(1)?);
        let (one, camera) = (Arc::clone(&one), camera.downgrade());
        manager.connect_pad_added(move |_, pad| {
            if pad.name().starts_with("recv_rtp_sink") {
                on_rtp(pad, Arc::clone(&one), KeepAlive::new(camera.clone()));
            } else if pad.name().starts_with("recv_rtcp_sink") {
                on_rtcp(pad, Arc::clone(&one));
            }
        });
        None
    });
}

fn on_rtp(pad: &gst::Pad, one: Arc<Mutex<OneSource>>, keep_alive: KeepAlive) {
    let keep_alive = Arc::new(keep_alive);
    let ended = Arc::clone(&keep_alive);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
            ended.on_end();
        }
        gst::PadProbeReturn::Ok
    });
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let now = Instant::now();
        keep_alive.on_packet(now);
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
        let came = buffer.map_readable().ok().and_then(|packet| RtpHeader::read(&packet));
        let Some(came) = came else { return gst::PadProbeReturn::Ok };
        let handed_on = lock(&one).on_packet(came, now);
        if handed_on != came
            && let Ok(mut packet) = buffer.make_mut().map_writable()
        {
            handed_on.write(&mut packet);
        }
        gst::PadProbeReturn::Ok
    });
}

fn on_rtcp(pad: &gst::Pad, one: Arc<Mutex<OneSource>>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let packet = info.buffer().and_then(|buffer| buffer.map_readable().ok());
        match packet {
            Some(packet) if !lock(&one).takes_rtcp(&packet) => gst::PadProbeReturn::Handled,
            Some(_) | None => gst::PadProbeReturn::Ok,
        }
    });
}

/// Sends keep-alive requests: a GET_PARAMETER without parameters, at a fixed interval.
struct KeepAlive {
    camera: gst::glib::WeakRef<gst::Element>,
    interval: Duration,
    /// When the last request was sent, or before the first one, when the first packet came.
    last: Mutex<Option<Instant>>,
    was_sent: AtomicBool,
    /// Whether a request was not answered yet.
    is_asking: Arc<AtomicBool>,
}

impl KeepAlive {
    fn new(camera: gst::glib::WeakRef<gst::Element>) -> Self {
        let is_short = address(&camera).is_some_and(|address| is_in(&lock(&SHORT), &address));
        let interval = if is_short { SHORT_KEEP_ALIVE } else { KEEP_ALIVE };
        let (last, was_sent) = (Mutex::new(None), AtomicBool::new(false));
        Self { camera, interval, last, was_sent, is_asking: Arc::default() }
    }

    /// Remembers a camera that ends its stream before the first request was due.
    fn on_end(&self) {
        let has_begun = lock(&self.last).is_some();
        let Some(address) = address(&self.camera) else { return };
        let mut short = lock(&SHORT);
        let is_new = has_begun && !self.was_sent.load(Ordering::Relaxed);
        if !is_new || is_in(&short, &address) {
            return;
        }
        if short.is_full() {
            short.pop_front();
        }
        let _ = short.push_back(address);
        log::debug!("the camera ended its stream early: keep-alive requests come each second now");
    }

    /// Sends a request when one is due. Call it on the thread that reads the connection, while that thread passes a
    /// packet on: the request interrupts reading, and at any other time that could cut a packet in two.
    fn on_packet(&self, now: Instant) {
        {
            let mut last = lock(&self.last);
            if now.saturating_duration_since(*last.get_or_insert(now)) < self.interval {
                return;
            }
            *last = Some(now);
        }
        self.was_sent.store(true, Ordering::Relaxed);
        let Some(camera) = self.camera.upgrade() else { return };
        let is_known = SignalId::lookup("get-parameters", camera.type_()).is_some();
        if !is_known || self.is_asking.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_asking = Arc::clone(&self.is_asking);
        let answered = gst::Promise::with_change_func(move |answer| {
            log::trace!("keep-alive request: {answer:?}");
            is_asking.store(false, Ordering::Relaxed);
        });
        let (nothing, content) = (Vec::<String>::new(), None::<String>);
        if !camera.emit_by_name::<bool>("get-parameters", &[&nothing, &content, &answered]) {
            // No request was sent, so no answer will come.
            self.is_asking.store(false, Ordering::Relaxed);
        }
    }
}

/// The address of `camera`.
fn address(camera: &gst::glib::WeakRef<gst::Element>) -> Option<String> {
    camera.upgrade()?.property::<Option<String>>("location")
}

fn is_in(cameras: &Deque<String, CAMERAS_MEASURED>, address: &str) -> bool {
    cameras.iter().any(|known| known == address)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
