"""A link between two network namespaces that delays every packet.

usage: delay-link.py NAMESPACE_A NAMESPACE_B DELAY_MS    (each way; 10.77.0.1 and 10.77.0.2; ends with its stdin)
"""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def tun(name, namespace, address, peer):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace], check=True)
    inside = ["ip", "-n", namespace]
    subprocess.run([*inside, "addr", "add", address, "peer", peer, "dev", name], check=True)
    subprocess.run([*inside, "link", "set", name, "mtu", "65000", "txqueuelen", "10000", "up"], check=True)
    return device


def main():
    a, b, delay_ms = sys.argv[1], sys.argv[2], float(sys.argv[3])
    ends = [tun("delay-a", a, "10.77.0.1", "10.77.0.2"), tun("delay-b", b, "10.77.0.2", "10.77.0.1")]
    print("ready", flush=True)
    waiting = collections.deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([*ends, sys.stdin], [], [], timeout)
        now = time.monotonic()
        if sys.stdin in readable and not os.read(0, 1024):
            return
        for device, other in (ends, ends[::-1]):
            if device in readable:
                waiting.append((now + delay_ms / 1000, other, os.read(device, 65536)))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, device, packet = waiting.popleft()
            os.write(device, packet)


main()
