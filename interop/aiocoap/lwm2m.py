"""LwM2M's content formats (Core 1.1, section 7.4), as far as the peers need them.

A tree of values is a dict of paths, which are tuples of numbers, to leaves: `{(3, 0, 9): 75, (3, 0, 7, 1): 5000}`.
"""

import base64
import json
import struct

import cbor2

TEXT, LINK, OPAQUE, SENML_JSON, SENML_CBOR, TLV = 0, 40, 42, 110, 112, 11542
FORMATS = {"text": TEXT, "opaque": OPAQUE, "senml_json": SENML_JSON, "senml_cbor": SENML_CBOR, "tlv": TLV}

STRING, INTEGER, FLOAT, BOOLEAN, OPAQUE_BYTES, TIME, LINKED = (
    "string", "integer", "float", "boolean", "opaque", "time", "objlnk")

TYPES = {
    0: {0: STRING, 1: BOOLEAN, 2: INTEGER, 10: INTEGER, 11: INTEGER, 12: INTEGER},
    1: {0: INTEGER, 1: INTEGER, 2: INTEGER, 3: INTEGER, 5: INTEGER, 6: BOOLEAN, 7: STRING, 13: INTEGER, 22: STRING},
    3: {0: STRING, 1: STRING, 2: STRING, 3: STRING, 6: INTEGER, 7: INTEGER, 8: INTEGER, 9: INTEGER, 10: INTEGER,
        11: INTEGER, 13: TIME, 14: STRING, 15: STRING, 16: STRING, 17: STRING, 18: STRING, 19: STRING, 20: INTEGER,
        21: INTEGER},
    5: {0: OPAQUE_BYTES, 1: STRING, 3: INTEGER, 5: INTEGER, 6: STRING, 7: STRING, 8: INTEGER, 9: INTEGER},
    3303: {5601: FLOAT, 5602: FLOAT, 5700: FLOAT, 5701: STRING},
    3311: {5701: STRING, 5706: STRING, 5805: FLOAT, 5820: FLOAT, 5850: BOOLEAN, 5851: INTEGER, 5852: INTEGER},
}


class Malformed(ValueError):
    """A payload that is not what its content format promises."""


def type_of(path):
    return TYPES.get(path[0], {}).get(path[2], OPAQUE_BYTES)


def path_of(text):
    """`/3/0/9` as numbers; raises ValueError on anything else."""
    parts = text.strip("/")
    path = tuple(int(part) for part in parts.split("/")) if parts else ()
    if len(path) > 4 or any(not 0 <= part <= 65535 for part in path):
        raise ValueError(f"not a path: {text}")
    return path


def text_of(path):
    return "/" + "/".join(str(part) for part in path)


def parse(kind, text):
    """A value from the words of a command."""
    if kind in (INTEGER, TIME):
        return int(text)
    if kind == FLOAT:
        return float(text)
    if kind == BOOLEAN:
        if text not in ("true", "false", "1", "0"):
            raise ValueError(f"neither true nor false: {text}")
        return text in ("true", "1")
    if kind == OPAQUE_BYTES:
        if text.startswith("@"):
            with open(text[1:], "rb") as file:
                return file.read()
        return bytes.fromhex(text)
    return text


def plain(value):
    """A value as the line protocols write it in JSON."""
    return value.hex() if isinstance(value, bytes) else value


def spoken(value):
    """A value as the device's lines write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(plain(value))


def to_text(kind, value):
    if kind == BOOLEAN:
        return b"1" if value else b"0"
    if kind == OPAQUE_BYTES:
        return base64.b64encode(value)
    return str(value).encode()


def from_text(kind, payload):
    try:
        if kind == OPAQUE_BYTES:
            return base64.b64decode(payload, validate=True)
        text = payload.decode()
        if kind == BOOLEAN and text not in ("0", "1"):
            raise Malformed(f"a boolean in text is 0 or 1, not {text!r}")
        return parse(kind, text)
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error


INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = range(4)


def tlv_value(kind, value):
    if kind == BOOLEAN:
        return b"\x01" if value else b"\x00"
    if kind in (INTEGER, TIME):
        for code, bits in ((">b", 7), (">h", 15), (">i", 31), (">q", 63)):
            if -(1 << bits) <= value < 1 << bits:
                return struct.pack(code, value)
        raise ValueError(f"too large for an integer: {value}")
    if kind == FLOAT:
        return struct.pack(">d", value)
    if kind == LINKED:
        return struct.pack(">HH", *(int(part) for part in value.split(":")))
    return value if isinstance(value, bytes) else str(value).encode()


def from_tlv_value(kind, raw):
    try:
        if kind == BOOLEAN:
            if raw not in (b"\x00", b"\x01"):
                raise Malformed(f"not a boolean: {raw.hex()}")
            return raw == b"\x01"
        if kind in (INTEGER, TIME):
            return struct.unpack({1: ">b", 2: ">h", 4: ">i", 8: ">q"}[len(raw)], raw)[0]
        if kind == FLOAT:
            return struct.unpack({4: ">f", 8: ">d"}[len(raw)], raw)[0]
        if kind == LINKED:
            return "%d:%d" % struct.unpack(">HH", raw)
        return bytes(raw) if kind == OPAQUE_BYTES else raw.decode()
    except (KeyError, struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"not {kind}: {raw.hex()}") from error


def tlv_entry(kind, number, content):
    head = kind << 6
    identifier = struct.pack(">B", number) if number < 256 else struct.pack(">H", number)
    head |= 0x20 if number > 255 else 0
    size = len(content)
    if size < 8:
        return bytes([head | size]) + identifier + content
    width = 1 if size < 1 << 8 else 2 if size < 1 << 16 else 3
    return bytes([head | width << 3]) + identifier + size.to_bytes(width, "big") + content


def tlv_entries(payload):
    at = 0
    while at < len(payload):
        head = payload[at]
        wide = 2 if head & 0x20 else 1
        width = head >> 3 & 3
        body = at + 1 + wide + width
        number = int.from_bytes(payload[at + 1:at + 1 + wide], "big")
        size = int.from_bytes(payload[at + 1 + wide:body], "big") if width else head & 7
        if body + size > len(payload):
            raise Malformed("a TLV is longer than its payload")
        yield head >> 6, number, payload[body:body + size]
        at = body + size


def to_tlv(path, leaves):
    """The values below `path`, which names an object, an instance or a resource."""
    if len(path) >= 3:
        return _tlv_resources(leaves)
    instances = sorted({leaf[1] for leaf in leaves})
    each = {i: _tlv_resources({leaf: v for leaf, v in leaves.items() if leaf[1] == i}) for i in instances}
    if len(path) == 2:
        return each.get(path[1], b"")
    return b"".join(tlv_entry(INSTANCE, i, content) for i, content in each.items())


def _tlv_resources(leaves):
    out = b""
    multiple = {}
    for leaf, value in sorted(leaves.items()):
        content = tlv_value(type_of(leaf), value)
        if len(leaf) == 4:
            multiple.setdefault(leaf[2], []).append(tlv_entry(RESOURCE_INSTANCE, leaf[3], content))
        else:
            out += tlv_entry(RESOURCE, leaf[2], content)
    return out + b"".join(tlv_entry(MULTIPLE, number, b"".join(parts)) for number, parts in multiple.items())


def from_tlv(path, payload):
    leaves = {}
    for kind, number, content in tlv_entries(payload):
        if kind == INSTANCE:
            leaves.update(from_tlv((path[0], number), content))
            continue
        resource = path[:2] + (number,) if kind != RESOURCE_INSTANCE else path[:3]
        if len(resource) < 3:
            if len(path) == 1:  # an object of one instance may leave the instance out
                resource = (path[0], 0, number)
            else:
                raise Malformed("a resource instance outside a resource")
        if kind == RESOURCE:
            leaves[resource] = from_tlv_value(type_of(resource), content)
        elif kind == RESOURCE_INSTANCE:
            leaves[resource + (number,)] = from_tlv_value(type_of(resource), content)
        else:
            for inner, instance, value in tlv_entries(content):
                if inner != RESOURCE_INSTANCE:
                    raise Malformed("a multiple resource holds something else than instances")
                leaves[resource + (instance,)] = from_tlv_value(type_of(resource), value)
    return leaves


_CBOR = {"bn": -2, "bt": -3, "n": 0, "v": 2, "vs": 3, "vb": 4, "t": 6, "vd": 8, "vlo": "vlo"}
_NAMES = {label: name for name, label in _CBOR.items()}


def to_senml(leaves, form):
    records = []
    for leaf, value in sorted(leaves.items()):
        kind = type_of(leaf)
        record = {"n": text_of(leaf)}
        if kind == BOOLEAN:
            record["vb"] = value
        elif kind == OPAQUE_BYTES:
            record["vd"] = value if form == SENML_CBOR else base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        elif kind == LINKED:
            record["vlo"] = value
        else:
            record["vs" if kind == STRING else "v"] = value
        records.append(record)
    if form == SENML_CBOR:
        return cbor2.dumps([{_CBOR[name]: value for name, value in record.items()} for record in records])
    return json.dumps(records, separators=(",", ":")).encode()


def from_senml(payload, form):
    """The leaves, and None for a path that has no value, as in the request of a Read-Composite."""
    try:
        records = cbor2.loads(payload) if form == SENML_CBOR else json.loads(payload)
        if form == SENML_CBOR:
            records = [{_NAMES.get(label, label): value for label, value in record.items()} for record in records]
        base = ""
        leaves = {}
        for record in records:
            base = record.get("bn", base)
            leaf = path_of(base + record.get("n", ""))
            value = next((record[name] for name in ("v", "vs", "vb", "vd", "vlo") if name in record), None)
            if "vd" in record and form == SENML_JSON:
                value = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            if value is not None and len(leaf) > 2 and type_of(leaf) == FLOAT:
                value = float(value)
            leaves[leaf] = value
        return leaves
    except (ValueError, TypeError, AttributeError, cbor2.CBORDecodeError) as error:
        raise Malformed(str(error)) from error


def encode(path, leaves, form):
    if form == TLV:
        return to_tlv(path, leaves)
    if form in (SENML_JSON, SENML_CBOR):
        return to_senml(leaves, form)
    (leaf, value), = leaves.items()
    return value if form == OPAQUE else to_text(type_of(leaf), value)


def decode(path, payload, form):
    if form == TLV:
        return from_tlv(path, payload)
    if form in (SENML_JSON, SENML_CBOR):
        return from_senml(payload, form)
    return {path: bytes(payload) if form == OPAQUE else from_text(type_of(path), payload)}


def links(text):
    """A link-format list as `[(target, attributes as text)]`; enough for the lists that devices register."""
    parts, quoted, current = [], False, ""
    for letter in text:
        quoted ^= letter == '"'
        if letter == "," and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [part.strip() for part in parts + [current] if part.strip()]
