"""Starts a peer and talks with it by lines; for the self-checks of the peers."""

import json
import queue
import subprocess
import threading
import time


class Peer:
    """A peer's process. Every wait is bounded; leaving the `with` block ends the process."""

    def __init__(self, name, command):
        self.name = name
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait_for(self, matches, seconds=15):
        """The first line that matches; lines before it are dropped."""
        deadline = time.monotonic() + seconds
        dropped = []
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self.name}: nothing that was waited for; it said {dropped}")
            if line is None:
                raise AssertionError(f"{self.name} ended; it said {dropped}")
            if matches(line):
                return line
            dropped.append(line)

    def line(self, start, seconds=15):
        return self.wait_for(lambda line: line.startswith(start), seconds)

    def ask(self, command, seconds=15):
        """The JSON answer to a command of a server peer."""
        self.say(command)
        return json.loads(self.line("{", seconds))

    def event(self, kind, seconds=15, **fields):
        """The next event of that kind whose fields have those values."""

        def matches(line):
            if not line.startswith("EVENT "):
                return False
            event = json.loads(line[6:])
            return event["event"] == kind and all(event.get(k) == v for k, v in fields.items())

        return json.loads(self.wait_for(matches, seconds)[6:])


class Checks:
    """Counts what holds, and says so in the lines that test runners read."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, name, holds, seen=""):
        if holds:
            self.passed += 1
            print(f"PASS {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name} {seen}", flush=True)

    def equal(self, name, seen, expected):
        self.that(name, seen == expected, f"saw {seen!r}, expected {expected!r}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0
