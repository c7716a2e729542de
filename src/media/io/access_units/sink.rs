//! The way back from the sink to the encoder: a key is asked for.
//!
//! Does not: decide when.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::subclass::SignalId;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::encoder::KeyRequest;

/// The way back to the encoder.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) appsink: glib::WeakRef<gst_app::AppSink>,
    pub(super) encoder: Option<glib::WeakRef<gst::Element>>,
    pub(super) key: KeyRequest,
}

impl Sink {
    /// Asks the encoder for a key as soon as can be, in its own way.
    pub(super) fn request_key(&self) {
        match self.key {
            KeyRequest::Never => {}
            KeyRequest::Signal(signal) => {
                let encoder = self.encoder.as_ref().and_then(glib::WeakRef::upgrade);
                let Some(encoder) = encoder.filter(|_| self.has_begun()) else { return };
                // Not every release has it, and to emit what is not there ends the program.
                if SignalId::lookup(signal, encoder.type_()).is_some() {
                    encoder.emit_by_name::<()>(signal, &[]);
                }
            }
            KeyRequest::Event => {
                let Some(appsink) = self.appsink.upgrade() else { return };
                let request =
                    gst::Structure::builder("GstForceKeyUnit").field("all-headers", true).build();
                // Nobody upstream heeds it: the next natural key has to do.
                let _ = appsink.send_event(gst::event::CustomUpstream::new(request));
            }
        }
    }

    /// Whether an access unit has come: the first one is a key anyhow, and an encoder may not be ready before.
    fn has_begun(&self) -> bool {
        let pad = self.appsink.upgrade().and_then(|sink| sink.static_pad("sink"));
        pad.is_some_and(|pad| pad.has_current_caps())
    }
}
