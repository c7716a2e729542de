"""A network camera for the tests: gst-rtsp-server on a free port, which the program prints.

Each path has another stream. All streams require the user "viewer" with the password "pass:word", unless the argument
is "open".
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)

PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=24/1"
X264 = "x264enc speed-preset=ultrafast option-string=scenecut=0"
PAY = "rtph264pay name=pay0 pt=96 config-interval=-1"
STREAMS = {
    "/good": f"{PICTURE} ! {X264} tune=zerolatency key-int-max=24 ! {PAY}"
    # If no client asks for a stream, the server unlinks its branch, which would be an error without the tee.
    " audiotestsrc is-live=true ! alawenc ! rtppcmapay pt=8 ! tee allow-not-linked=true ! identity name=pay1",
    "/long": f"{PICTURE} ! {X264} tune=zerolatency key-int-max=240 ! {PAY}",
    "/bframes": f"{PICTURE} ! {X264} bframes=2 b-adapt=false rc-lookahead=4 key-int-max=24 ! video/x-h264,profile=main ! {PAY}",
    "/stripes": f"{PICTURE} ! {X264} tune=zerolatency intra-refresh=true key-int-max=24 ! {PAY}",
    "/large": f"{PICTURE.replace('320', '640').replace('240', '480')} ! {X264} tune=zerolatency key-int-max=24 ! {PAY}",
    "/heavy": f"{PICTURE.replace('ball', 'snow')} ! {X264} tune=zerolatency key-int-max=24 bitrate=3000 ! {PAY}",
    "/422": f"{PICTURE.replace('I420', 'Y42B')} ! {X264} tune=zerolatency key-int-max=24 ! {PAY}",
    "/interlaced": f"{PICTURE} ! interlace ! {X264} tune=zerolatency interlaced=true key-int-max=24 ! {PAY}",
    "/mjpeg": f"{PICTURE} ! jpegenc ! rtpjpegpay name=pay0 pt=26",
    "/short": "videotestsrc num-buffers=72 is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=24/1"
    f" ! {X264} tune=zerolatency key-int-max=24 ! {PAY}",
}

server = GstRtspServer.RTSPServer()
server.set_service("0")

if "open" not in sys.argv:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("viewer", "pass:word"), token)
    server.set_auth(auth)

role = Gst.Structure.new_empty("viewer")
role.set_value("media.factory.access", True)
role.set_value("media.factory.construct", True)
for path, launch in STREAMS.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_shared(False)
    factory.add_role_from_structure(role)
    server.get_mount_points().add_factory(path, factory)

server.attach(None)
print(server.get_bound_port(), flush=True)

# The server ends when the test closes its standard input.
loop = GLib.MainLoop()
GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
loop.run()
