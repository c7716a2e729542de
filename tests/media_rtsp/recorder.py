"""An RTSP server that records: `recorder.py FILE [CERTIFICATE KEY]` writes the video that is published at /record.

The server listens on a free port and prints the port. With a certificate, it speaks TLS.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer

Gst.init(None)

factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(
    f"( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! filesink buffer-mode=2 sync=false location={sys.argv[1]} )"
)
server = GstRtspServer.RTSPServer()
if len(sys.argv) > 2:
    factory.set_profiles(GstRtsp.RTSPProfile.AVP)
    factory.add_role_from_structure(
        Gst.Structure.from_string("anonymous, media.factory.access=true, media.factory.construct=true")[0]
    )
    auth = GstRtspServer.RTSPAuth()
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(*sys.argv[2:4]))
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "anonymous")
    auth.set_default_token(token)
    server.set_auth(auth)
server.set_service("0")
server.get_mount_points().add_factory("/record", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
