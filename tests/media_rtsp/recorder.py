"""An RTSP server that records: writes the video that is published at /record to the file named by the argument.

The server listens on a free port and prints the port.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)

factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(
    f"( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! filesink buffer-mode=2 sync=false location={sys.argv[1]} )"
)
server = GstRtspServer.RTSPServer()
server.set_service("0")
server.get_mount_points().add_factory("/record", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
