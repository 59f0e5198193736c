"""CoAP messages as bytes (RFC 7252, section 3), written apart from any library so that a probe can also write bad ones."""

import dataclasses
import secrets
import socket
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
ETAG, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT = 4, 8, 11, 12, 15, 17
BLOCK2, BLOCK1, SIZE1 = 23, 27, 60


@dataclasses.dataclass
class Message:
    kind: int
    code: int
    mid: int
    token: bytes = b""
    options: list = dataclasses.field(default_factory=list)
    payload: bytes = b""

    @property
    def dotted(self):
        return "%d.%02d" % (self.code >> 5, self.code & 31)

    def all(self, number):
        return [value for option, value in self.options if option == number]

    def first(self, number):
        return next(iter(self.all(number)), None)

    def uint(self, number):
        value = self.first(number)
        return None if value is None else int.from_bytes(value, "big")

    def block(self, number):
        """Number, whether more follow, and size of a block option; None if there is none."""
        value = self.uint(number)
        return None if value is None else (value >> 4, bool(value & 8), 1 << (4 + (value & 7)))

    def encode(self):
        out = bytearray([0x40 | self.kind << 4 | len(self.token), self.code]) + self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            out += _head(number - last, len(value)) + value
            last = number
        return bytes(out + (b"\xff" + self.payload if self.payload else b""))

    @classmethod
    def decode(cls, data):
        token = data[0] & 15
        message = cls(data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4], "big"), data[4:4 + token])
        at, number = 4 + token, 0
        while at < len(data):
            if data[at] == 0xFF:
                message.payload = data[at + 1:]
                break
            head = data[at]
            delta, at = _extended(head >> 4, data, at + 1)
            size, at = _extended(head & 15, data, at)
            number += delta
            message.options.append((number, data[at:at + size]))
            at += size
        return message


def _head(delta, size):
    def split(number):
        if number < 13:
            return number, b""
        return (13, bytes([number - 13])) if number < 269 else (14, (number - 269).to_bytes(2, "big"))

    (high, delta_rest), (low, size_rest) = split(delta), split(size)
    return bytes([high << 4 | low]) + delta_rest + size_rest


def _extended(nibble, data, at):
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return int.from_bytes(data[at:at + 2], "big") + 269, at + 2
    return nibble, at


def uint(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def block(number, more, size):
    return uint(number << 4 | (8 if more else 0) | size.bit_length() - 5)


def path(text):
    return [(URI_PATH, part.encode()) for part in text.strip("/").split("/")]


class Endpoint:
    """A UDP socket of its own, that is, one CoAP client as the server sees it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.next_mid = secrets.randbelow(1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def message(self, code, options=(), payload=b"", kind=CON, token=None):
        self.next_mid = (self.next_mid + 1) & 0xFFFF
        token = secrets.token_bytes(4) if token is None else token
        return Message(kind, code, self.next_mid, token, list(options), payload)

    def send(self, data):
        self.socket.send(data)

    def receive(self, seconds):
        """The next datagram, or None if none comes."""
        self.socket.settimeout(max(0.001, seconds))
        try:
            return self.socket.recv(65535)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def ask(self, message, seconds=4):
        """The response to a request, piggybacked or separate; None if there is none. Sends once more after half."""
        data = message.encode()
        end = time.monotonic() + seconds
        for until in (end - seconds / 2, end):
            self.send(data)
            while time.monotonic() < until:
                answer = self.receive(until - time.monotonic())
                if answer is None or len(answer) < 4:
                    continue
                response = Message.decode(answer)
                if response.kind == RST and response.mid == message.mid:
                    return response
                if response.code == 0 or response.token != message.token:
                    continue
                if response.kind == CON:
                    self.send(Message(ACK, 0, response.mid).encode())
                return response
        return None

    def ping(self, seconds=2):
        """Whether an empty confirmable message is answered by a reset."""
        self.next_mid = (self.next_mid + 1) & 0xFFFF
        ping = Message(CON, 0, self.next_mid)
        expected = Message(RST, 0, self.next_mid).encode()
        for _ in range(2):
            self.send(ping.encode())
            end = time.monotonic() + seconds / 2
            while time.monotonic() < end:
                if self.receive(end - time.monotonic()) == expected:
                    return True
        return False
