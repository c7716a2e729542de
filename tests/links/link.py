"""A link between two network interfaces with a rate, a delay and loss.

    link.py NEAR FAR

makes two TUN interfaces and forwards packets between them. Lines on standard input change the link, e.g.
`rate=1000000 delay=0.15 loss=0.01 cut=0`: the rate in bits/s from FAR to NEAR (0: no limit), the delay in seconds in
each direction, the share of packets that is lost in each direction, and whether all packets are lost (1). Every
second, the program prints the number of bytes that went from FAR to NEAR, and the milliseconds that a new packet would
wait in the queue.

The program does what `tc netem` and `tbf` do, also on kernels without these. A packet that would wait longer than
QUEUE seconds is dropped, as in a modem.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
QUEUE = 0.3

chance = random.Random(1)
link = {"rate": 0.0, "delay": 0.0, "loss": 0.0, "cut": 0.0}


def interface(name):
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def main():
    near, far = interface(sys.argv[1]), interface(sys.argv[2])
    other = {near: far, far: near}
    under_way, nth, free_at, carried = [], 0, 0.0, 0
    told_at = time.monotonic() + 1
    os.set_blocking(0, False)
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, to, packet = heapq.heappop(under_way)
            try:
                os.write(to, packet)
            except OSError:
                pass  # The interface is down, so the packet is lost.
        if now >= told_at:
            told_at += 1
            print(carried, round(max(0.0, free_at - now) * 1000), flush=True)
            carried = 0
        wait = min(told_at, under_way[0][0] if under_way else told_at) - now
        ready, _, _ = select.select([0, near, far], [], [], max(0.0, wait))
        if 0 in ready:
            line = os.read(0, 4096)
            if not line:
                return
            for word in line.decode().split():
                name, value = word.split("=")
                link[name] = float(value)
        for source in ready:
            if source == 0:
                continue
            try:
                packet = os.read(source, 65536)
            except OSError:
                continue
            now = time.monotonic()
            if link["cut"] or chance.random() < link["loss"]:
                continue
            leaves = now
            if source == far:
                if link["rate"]:
                    if free_at - now > QUEUE:
                        continue
                    free_at = leaves = max(now, free_at) + len(packet) * 8 / link["rate"]
                carried += len(packet)
            nth += 1
            heapq.heappush(under_way, (leaves + link["delay"], nth, other[source], packet))


main()
