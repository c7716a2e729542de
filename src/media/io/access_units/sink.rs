//! Sends requests for key frames from the sink back to the encoder.
//!
//! Does not: decide when to request a key frame.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::subclass::SignalId;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::encoder::KeyRequest;

/// The sink and the encoder of a pipeline, for requests of key frames.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) appsink: glib::WeakRef<gst_app::AppSink>,
    pub(super) encoder: Option<glib::WeakRef<gst::Element>>,
    pub(super) key: KeyRequest,
}

impl Sink {
    /// Asks the encoder for a key frame as soon as possible, by the method that this encoder supports.
    pub(super) fn request_key(&self) {
        match self.key {
            KeyRequest::Never => {}
            KeyRequest::Signal(signal) => {
                let encoder = self.encoder.as_ref().and_then(glib::WeakRef::upgrade);
                let Some(encoder) = encoder.filter(|_| self.has_begun()) else { return };
                // Not every release has this signal, and emitting a signal that does not exist ends the program.
                if SignalId::lookup(signal, encoder.type_()).is_some() {
                    encoder.emit_by_name::<()>(signal, &[]);
                }
            }
            KeyRequest::Event => {
                let Some(appsink) = self.appsink.upgrade() else { return };
                let request =
                    gst::Structure::builder("GstForceKeyUnit").field("all-headers", true).build();
                // If no element upstream handles the event, the next regular key frame has to do.
                let _ = appsink.send_event(gst::event::CustomUpstream::new(request));
            }
        }
    }

    /// Whether an access unit has come. Requests before that are needless, as the first access unit is a key frame, and
    /// the encoder may not be ready for them.
    fn has_begun(&self) -> bool {
        let pad = self.appsink.upgrade().and_then(|sink| sink.static_pad("sink"));
        pad.is_some_and(|pad| pad.has_current_caps())
    }
}
