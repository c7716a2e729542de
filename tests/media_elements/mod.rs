//! Shared parts of the fake GStreamer elements: class declarations, pads and sources.
//!
//! Does not: register elements; each module of fakes does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test program uses a part of this module"
)]

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

/// Implements the traits of a `gst::Bin` subclass that need only a name. The wrapper in the outer module has the same
/// name as the type.
macro_rules! bin_class {
    ($class:ident, $name:literal) => {
        #[glib::object_subclass]
        impl ObjectSubclass for $class {
            const NAME: &'static str = $name;
            type Type = super::$class;
            type ParentType = gst::Bin;
        }

        impl GstObjectImpl for $class {}

        impl BinImpl for $class {}
    };
}

/// Like `bin_class`, for a `gst::Element` subclass.
macro_rules! element_class {
    ($class:ident, $name:literal) => {
        #[glib::object_subclass]
        impl ObjectSubclass for $class {
            const NAME: &'static str = $name;
            type Type = super::$class;
            type ParentType = gst::Element;
        }

        impl GstObjectImpl for $class {}
    };
}

/// Implements the list of properties of a class.
macro_rules! properties {
    ($properties:expr) => {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: std::sync::LazyLock<Vec<glib::ParamSpec>> =
                std::sync::LazyLock::new(|| $properties);
            &PROPERTIES
        }
    };
}

/// Implements the list of pads of a class: pairs of a name, `sink` or `src`, and its caps.
macro_rules! pads {
    ($($name:literal: $caps:expr),+) => {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: std::sync::LazyLock<Vec<gst::PadTemplate>> =
                std::sync::LazyLock::new(|| {
                    vec![$($crate::media_elements::template($name, $caps)),+]
                });
            &TEMPLATES
        }
    };
}

/// Implements the description that GStreamer demands of an element that is not a bin.
macro_rules! metadata {
    ($name:literal, $class:literal, $description:literal) => {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: std::sync::LazyLock<gst::subclass::ElementMetadata> =
                std::sync::LazyLock::new(|| {
                    gst::subclass::ElementMetadata::new($name, $class, $description, "-")
                });
            Some(&METADATA)
        }
    };
}

pub(crate) use {bin_class, element_class, metadata, pads, properties};

/// A pad that is always there; its direction follows from its name.
pub(crate) fn template(name: &str, caps: &str) -> gst::PadTemplate {
    let direction = if name == "sink" { gst::PadDirection::Sink } else { gst::PadDirection::Src };
    let caps = caps.parse::<gst::Caps>().unwrap();
    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
}

/// The property `device`, which is write-only.
pub(crate) fn device_property() -> glib::ParamSpec {
    glib::ParamSpecString::builder("device").write_only().build()
}

/// The properties that the program sets on NVIDIA's encoder.
pub(crate) fn nvidia_properties() -> Vec<glib::ParamSpec> {
    let number = |name| glib::ParamSpecUInt::builder(name).write_only().build();
    vec![
        number("bitrate"),
        number("iframeinterval"),
        number("idrinterval"),
        number("control-rate"),
        glib::ParamSpecBoolean::builder("insert-sps-pps").write_only().build(),
    ]
}

/// Adds `element` to `bin`, with its pads of these names as pads of `bin`.
pub(crate) fn expose(bin: &gst::Bin, element: &gst::Element, pads: &[&str]) {
    bin.add(element).unwrap();
    for name in pads {
        let pad = gst::GhostPad::with_target(&element.static_pad(name).unwrap()).unwrap();
        bin.add_pad(&pad).unwrap();
    }
}

/// Adds a live test picture to `bin`. Returns the pad of the picture, for probes.
pub(crate) fn add_picture(bin: &gst::Bin) -> gst::Pad {
    let source = gst::ElementFactory::make("videotestsrc").property("is-live", true);
    let source = source.build().unwrap();
    expose(bin, &source, &["src"]);
    source.static_pad("src").unwrap()
}
