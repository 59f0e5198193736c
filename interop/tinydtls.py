"""tinydtls, the DTLS library of Wakaama and others, as DTLSSocket 0.2.3 carries it.

DTLSSocket itself knows shared keys alone; the library inside has raw public keys too, and exports its functions: so they are
called here by their own names. The structures are those of tinydtls's dtls.h in that version, on a 64-bit machine.
"""

import ctypes
import select
import socket
import time

from DTLSSocket import dtls as _binding

_lib = ctypes.CDLL(_binding.__file__)
_Pointer, _Bytes = ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte)
CONNECTED = 0x1DE
HINT, IDENTITY, KEY = range(3)
DECRYPT_ERROR, BAD_CERTIFICATE = (-(2 << 8 | alert) for alert in (51, 42))


class _Session(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("padding", ctypes.c_uint32), ("address", ctypes.c_ubyte * 128),
                ("interface", ctypes.c_int)]


class _EcdsaKey(ctypes.Structure):
    _fields_ = [("curve", ctypes.c_int), ("private", _Pointer), ("x", _Pointer), ("y", _Pointer)]


_DATA = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Bytes, ctypes.c_size_t)
_EVENT = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_ushort)
_PARAMETERS = ctypes.CFUNCTYPE(None, _Pointer, _Pointer, _Pointer)
_PSK = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, _Bytes, ctypes.c_size_t, _Bytes, ctypes.c_size_t)
_OWN_KEY = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.POINTER(ctypes.POINTER(_EcdsaKey)))
_PEER_KEY = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Bytes, _Bytes, ctypes.c_size_t)


class _Handler(ctypes.Structure):
    _fields_ = [("write", _DATA), ("read", _DATA), ("event", _EVENT), ("parameters", _PARAMETERS), ("psk", _PSK),
                ("own_key", _OWN_KEY), ("peer_key", _PEER_KEY)]


class _Context(ctypes.Structure):
    _fields_ = [("cookie_secret", ctypes.c_ubyte * 12), ("age", ctypes.c_uint32), ("peers", _Pointer),
                ("queue", _Pointer), ("app", _Pointer), ("handler", ctypes.POINTER(_Handler))]


_lib.dtls_new_context.restype = ctypes.POINTER(_Context)
_lib.dtls_new_context.argtypes = [_Pointer]
_lib.dtls_free_context.argtypes = [_Pointer]
_lib.dtls_connect.argtypes = [_Pointer, ctypes.POINTER(_Session)]
_lib.dtls_close.argtypes = [_Pointer, ctypes.POINTER(_Session)]
_lib.dtls_handle_message.argtypes = [_Pointer, ctypes.POINTER(_Session), ctypes.c_char_p, ctypes.c_int]
_lib.dtls_write.argtypes = [_Pointer, ctypes.POINTER(_Session), ctypes.c_char_p, ctypes.c_size_t]
_lib.dtls_check_retransmit.argtypes = [_Pointer, _Pointer]
_lib.dtls_init()


class SharedKey:
    """An identity and its key; a server knows no other."""

    def __init__(self, identity, key):
        self.identity, self.key = identity, key

    def callbacks(self):
        def psk(_context, _session, what, given, given_length, result, room):
            if what == HINT:
                return 0
            if what == KEY and given_length and bytes(given[:given_length]) != self.identity:
                return DECRYPT_ERROR
            value = self.identity if what == IDENTITY else self.key
            if len(value) > room:
                return DECRYPT_ERROR
            ctypes.memmove(result, value, len(value))
            return len(value)

        return {"psk": _PSK(psk)}


class RawPublicKey:
    """A private key, its public key, and the only public key that the peer may have: numbers of 32 bytes, and (x, y)."""

    def __init__(self, private, own, peer):
        self.peer = peer
        self.numbers = [ctypes.create_string_buffer(number, 32) for number in (private, *own)]
        self.own = _EcdsaKey(0, *(ctypes.addressof(number) for number in self.numbers))

    def callbacks(self):
        def own_key(_context, _session, result):
            result[0] = ctypes.pointer(self.own)
            return 0

        def peer_key(_context, _session, x, y, size):
            return 0 if (bytes(x[:size]), bytes(y[:size])) == self.peer else BAD_CERTIFICATE

        return {"own_key": _OWN_KEY(own_key), "peer_key": _PEER_KEY(peer_key)}


class Endpoint:
    """One session: a client's with `connect`, or that of the first client that comes to a server."""

    def __init__(self, credentials, port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.peer, self.session, self.received, self.is_connected = None, None, [], False
        self.handler = _Handler(write=_DATA(self._write), read=_DATA(self._read), event=_EVENT(self._event),
                                **credentials.callbacks())
        self.credentials = credentials
        self.context = _lib.dtls_new_context(None)
        self.context.contents.handler = ctypes.pointer(self.handler)

    def _write(self, _context, _session, data, length):
        return self.socket.sendto(bytes(data[:length]), self.peer)

    def _read(self, _context, _session, data, length):
        self.received.append(bytes(data[:length]))
        return 0

    def _event(self, _context, _session, _level, code):
        self.is_connected |= code == CONNECTED
        return 0

    def _meet(self, address):
        self.peer = address
        self.session = _Session(size=16)
        name = (socket.AF_INET.to_bytes(2, "little") + address[1].to_bytes(2, "big") + socket.inet_aton(address[0]))
        ctypes.memmove(self.session.address, name, len(name))

    def connect(self, address, seconds=10):
        """Whether the handshake came to its end."""
        self._meet(address)
        _lib.dtls_connect(self.context, self.session)
        self._turn(lambda: self.is_connected, seconds)
        return self.is_connected

    def _turn(self, is_done, seconds):
        deadline = time.monotonic() + seconds
        while not is_done() and time.monotonic() < deadline:
            if select.select([self.socket], [], [], 0.1)[0]:
                data, address = self.socket.recvfrom(65535)
                if address != self.peer:
                    self._meet(address)
                _lib.dtls_handle_message(self.context, self.session, data, len(data))
            _lib.dtls_check_retransmit(self.context, None)

    def send(self, data):
        _lib.dtls_write(self.context, self.session, data, len(data))

    def receive(self, seconds=5):
        """The next datagram's content, or None."""
        self._turn(lambda: self.received, seconds)
        return self.received.pop(0) if self.received else None

    def close(self):
        if self.session:
            _lib.dtls_close(self.context, self.session)
        _lib.dtls_free_context(self.context)
        self.socket.close()
