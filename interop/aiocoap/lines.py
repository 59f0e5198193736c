"""Standard input and output as lines, beside an event loop."""

import asyncio
import socket
import sys


def say(line):
    print(line.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n"), flush=True)


def say_raw(line):
    """A line that is already escaped, as JSON is."""
    print(line, flush=True)


async def commands():
    """The lines of standard input, until it ends."""
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            return
        if line.strip():
            yield line.strip()


def free_port():
    """A UDP port of the loopback address that nobody had a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
