#!/usr/bin/env python3
"""CoAP as a LwM2M server must speak it (RFC 7252, 7959; LwM2M 1.1 transport), asked from outside.

Prints `PASS name`, `FAIL name reason` or `SKIP name reason` for each check and ends with the counts.
"""

import argparse
import asyncio
import logging
import random
import sys
import urllib.parse

import aiocoap

import coap_wire as wire
from coap_wire import CON, DELETE, GET, NON, POST, PUT, RST, Endpoint, Message

SILENCE = 0.25
LINK_FORMAT = (wire.CONTENT_FORMAT, wire.uint(40))


class Skipped(Exception):
    pass


def expect(holds, reason):
    if not holds:
        raise AssertionError(reason)


def expect_code(response, *codes):
    expect(response is not None, "no response")
    seen = "a reset" if response.kind == RST else response.dotted
    expect(seen in codes, f"{seen} instead of {' or '.join(codes)}")
    return response


class Probe:
    def __init__(self, address, large, seed):
        self.address = address
        self.large = large
        self.random = random.Random(seed)
        self.counter = 0

    def endpoint(self):
        return Endpoint(self.address)

    def query(self, name, lifetime="60"):
        parts = [f"ep={name}", f"lt={lifetime}", "lwm2m=1.1", "b=U"]
        return [(wire.URI_QUERY, part.encode()) for part in parts]

    def name(self):
        self.counter += 1
        return f"probe-{self.random.getrandbits(48):012x}-{self.counter}"

    def register(self, client, options=None, payload=b"</1/0>,</3/0>"):
        options = self.query(self.name()) if options is None else options
        return client.ask(client.message(POST, wire.path("rd") + options + [LINK_FORMAT], payload))

    def deregister(self, client, registered):
        location = [(wire.URI_PATH, part) for part in registered.all(wire.LOCATION_PATH)]
        return client.ask(client.message(DELETE, location))

    def check_well_known_core_is_link_format(self):
        with self.endpoint() as client:
            response = expect_code(client.ask(client.message(GET, wire.path(".well-known/core"))), "2.05")
            expect(response.uint(wire.CONTENT_FORMAT) == 40, "no link format")

    def check_ping_is_answered_by_a_reset(self):
        with self.endpoint() as client:
            expect(client.ping(), "no reset")

    def check_unknown_critical_option_is_bad_option(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(2049, b"x")]
            expect_code(client.ask(client.message(GET, options)), "4.02")

    def check_unknown_critical_option_without_confirmation_is_rejected(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(2049, b"x")]
            response = client.ask(client.message(GET, options, kind=NON), seconds=1)
            expect(response is None or response.kind == RST or response.dotted == "4.02", "it was carried out")

    def check_unknown_elective_option_is_ignored(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(2048, b"x")]
            expect_code(client.ask(client.message(GET, options)), "2.05")

    def check_repeated_single_option_is_bad_option_or_ignored(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(wire.ACCEPT, wire.uint(40)), (wire.ACCEPT, wire.uint(40))]
            expect_code(client.ask(client.message(GET, options)), "4.02", "2.05")

    def check_too_long_path_segment_is_refused(self):
        with self.endpoint() as client:
            expect_code(client.ask(client.message(GET, [(wire.URI_PATH, b"a" * 300)])), "4.00", "4.02", "4.04")

    def check_unknown_path_is_not_found(self):
        with self.endpoint() as client:
            expect_code(client.ask(client.message(GET, wire.path("no/such/place"))), "4.04")

    def check_wrong_method_is_not_allowed(self):
        with self.endpoint() as client:
            for method in (PUT, DELETE):
                expect_code(client.ask(client.message(method, wire.path("rd"))), "4.05")

    def check_unknown_method_is_not_allowed(self):
        with self.endpoint() as client:
            expect_code(client.ask(client.message(0x1F, wire.path("rd"))), "4.05")

    def check_unacceptable_format_is_not_acceptable(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(wire.ACCEPT, wire.uint(60))]
            expect_code(client.ask(client.message(GET, options)), "4.06")

    def check_tokens_come_back(self):
        with self.endpoint() as client:
            for size in (0, 1, 4, 8):
                token = bytes(range(size))
                message = client.message(GET, wire.path(".well-known/core"), token=token)
                expect_code(client.ask(message), "2.05")

    def check_non_confirmable_request_is_answered(self):
        with self.endpoint() as client:
            message = client.message(GET, wire.path(".well-known/core"), kind=NON)
            response = expect_code(client.ask(message), "2.05")
            expect(response.kind == NON, "not by a non-confirmable message")

    def check_duplicate_is_answered_alike_and_done_once(self):
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [LINK_FORMAT]
            message = client.message(POST, options, b"</1/0>,</3/0>")
            first, again = client.ask(message), client.ask(message)
            expect_code(first, "2.01")
            expect_code(again, "2.01")
            expect(first.all(wire.LOCATION_PATH) == again.all(wire.LOCATION_PATH), "two registrations")
            expect_code(self.deregister(client, first), "2.02")

    def check_registration_lives_and_ends(self):
        with self.endpoint() as client:
            registered = expect_code(self.register(client), "2.01")
            location = registered.all(wire.LOCATION_PATH)
            expect(len(location) == 2 and location[0] == b"rd", f"the location is {location}")
            at = [(wire.URI_PATH, part) for part in location]
            expect_code(client.ask(client.message(POST, at)), "2.04")
            expect_code(client.ask(client.message(POST, at + [(wire.URI_QUERY, b"lt=120")])), "2.04")
            expect_code(client.ask(client.message(DELETE, at)), "2.02")
            expect_code(client.ask(client.message(POST, at)), "4.04")
            expect_code(client.ask(client.message(DELETE, at)), "4.04", "2.02")

    def check_registering_again_replaces(self):
        with self.endpoint() as client:
            options = self.query(self.name())
            first = expect_code(self.register(client, options), "2.01")
            second = expect_code(self.register(client, options), "2.01")
            if first.all(wire.LOCATION_PATH) != second.all(wire.LOCATION_PATH):
                expect_code(client.ask(client.message(POST, [(wire.URI_PATH, part) for part in
                                                             first.all(wire.LOCATION_PATH)])), "4.04")
            expect_code(self.deregister(client, second), "2.02")

    def check_bad_registrations_are_refused(self):
        whole = dict(ep=self.name(), lt="60", lwm2m="1.1", b="U")
        bad = {
            "no endpoint": {**whole, "ep": None}, "empty endpoint": {**whole, "ep": ""},
            "lifetime in words": {**whole, "lt": "soon"}, "negative lifetime": {**whole, "lt": "-1"},
            "no version": {**whole, "lwm2m": None},
        }
        wrong = []
        with self.endpoint() as client:
            for what, query in bad.items():
                options = [(wire.URI_QUERY, f"{k}={v}".encode()) for k, v in query.items() if v is not None]
                codes = ("4.00", "4.12") if what == "no version" else ("4.00",)
                response = self.register(client, options)
                if response is None or response.dotted not in codes:
                    wrong.append(f"{what}: {response.dotted if response else 'no response'}")
        expect(not wrong, "; ".join(wrong))

    def check_unsupported_version_fails_its_precondition(self):
        with self.endpoint() as client:
            options = [(wire.URI_QUERY, part) for part in (b"ep=" + self.name().encode(), b"lt=60", b"lwm2m=9.9")]
            expect_code(self.register(client, options), "4.12")

    def check_bad_object_lists_are_refused(self):
        wrong = []
        with self.endpoint() as client:
            for links in (b"not links", b"</1/0", b"<</1/0>>", b"</1/0>,,</3/0>", b"\xff\xfe\x00"):
                response = self.register(client, payload=links)
                if response is None or response.dotted != "4.00":
                    wrong.append(f"{links!r}: {response.dotted if response else 'no response'}")
        expect(not wrong, "; ".join(wrong))

    def long_list(self, size):
        links, i = b"</1/0>,</3/0>", 0
        while len(links) < size:
            links += b",</3303/%d>" % i
            i += 1
        return links

    def check_long_registration_comes_in_blocks_of_each_size(self):
        for size in (16, 64, 256, 1024):
            self.upload(self.long_list(3 * size + 5), size)

    def upload(self, links, size):
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [LINK_FORMAT]
            at = 0
            while True:
                more = at + size < len(links)
                message = client.message(POST, options + [(wire.BLOCK1, wire.block(at // size, more, size))],
                                         links[at:at + size])
                response = client.ask(message)
                expect_code(response, "2.31" if more else "2.01")
                acknowledged = response.block(wire.BLOCK1)
                expect(acknowledged is not None and acknowledged[0] == at // size,
                       f"block {at // size} acknowledged as {acknowledged}")
                at += size
                if not more:
                    break
                if acknowledged[2] < size:  # the server wants smaller ones from here on
                    size = acknowledged[2]
            expect_code(self.deregister(client, response), "2.02")

    def check_block_without_its_start_is_incomplete(self):
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [LINK_FORMAT, (wire.BLOCK1, wire.block(3, True, 64))]
            expect_code(client.ask(client.message(POST, options, b"x" * 64)), "4.08")

    def check_upload_starts_again_at_block_zero(self):
        links = self.long_list(150)
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [LINK_FORMAT]
            for number, more in ((0, True), (1, True), (0, True), (1, True), (2, False)):
                part = links[number * 64:number * 64 + 64]
                response = client.ask(client.message(
                    POST, options + [(wire.BLOCK1, wire.block(number, more, 64))], part))
                expect_code(response, "2.31" if more else "2.01")
            expect_code(self.deregister(client, response), "2.02")

    def check_huge_announced_size_is_refused_or_not_believed(self):
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [
                LINK_FORMAT, (wire.BLOCK1, wire.block(0, True, 1024)), (wire.SIZE1, wire.uint(0xFFFFFFFF))]
            expect_code(client.ask(client.message(POST, options, b"x" * 1024)), "4.13", "2.31", "a reset")

    def check_endless_upload_is_stopped(self):
        with self.endpoint() as client:
            options = wire.path("rd") + self.query(self.name()) + [LINK_FORMAT]
            for number in range(1024):
                response = client.ask(client.message(
                    POST, options + [(wire.BLOCK1, wire.block(number, True, 1024))], b"x" * 1024))
                expect_code(response, "2.31", "4.13", "4.00")
                if response.dotted != "2.31":
                    return
            raise AssertionError("a mebibyte of object list was taken")

    def check_reserved_block_size_is_a_bad_request(self):
        with self.endpoint() as client:
            options = wire.path(".well-known/core") + [(wire.BLOCK2, bytes([7]))]
            expect_code(client.ask(client.message(GET, options)), "4.00", "4.02")

    def check_library_uploads_a_long_registration(self):
        asyncio.run(self.library_upload())

    async def library_upload(self):
        context = await aiocoap.Context.create_client_context()
        try:
            request = aiocoap.Message(code=aiocoap.POST, uri="coap://%s:%d/rd" % self.address)
            request.opt.uri_query = (f"ep={self.name()}", "lt=60", "lwm2m=1.1", "b=U")
            request.opt.content_format = 40
            request.payload = self.long_list(5000)
            response = await asyncio.wait_for(context.request(request).response, 10)
            expect(response.code == aiocoap.CREATED, f"{response.code}")
            end = aiocoap.Message(code=aiocoap.DELETE, uri="coap://%s:%d" % self.address)
            end.opt.uri_path = response.opt.location_path
            await asyncio.wait_for(context.request(end).response, 10)
        finally:
            await context.shutdown()

    def download(self, client, where, size):
        """The representation and the ETags that came with its blocks."""
        body, etags, number = b"", set(), 0
        while True:
            options = wire.path(where) + [(wire.BLOCK2, wire.block(number, False, size))]
            response = expect_code(client.ask(client.message(GET, options)), "2.05")
            etags.add(response.first(wire.ETAG))
            block = response.block(wire.BLOCK2)
            if block is None:
                expect(number == 0 and len(response.payload) <= size, "no block option on a part")
                return response.payload, etags
            expect(block[0] * block[2] == len(body), f"block {block} at {len(body)}")
            expect(block[2] <= size, f"blocks of {block[2]} for {size}")
            expect(len(response.payload) == block[2] or not block[1], "a short block that isn't the last")
            body += response.payload
            if not block[1]:
                return body, etags
            size = min(size, block[2])
            number = len(body) // size

    def check_downloads_of_every_block_size_are_alike(self):
        where = self.large or ".well-known/core"
        with self.endpoint() as client:
            bodies = {size: self.download(client, where, size)[0] for size in (16, 32, 64, 128, 256, 512, 1024)}
            expect(len(set(bodies.values())) == 1, f"lengths {({s: len(b) for s, b in bodies.items()})}")

    def check_small_blocks_are_negotiated_early(self):
        where = self.large or ".well-known/core"
        with self.endpoint() as client:
            options = wire.path(where) + [(wire.BLOCK2, wire.block(0, False, 16))]
            response = expect_code(client.ask(client.message(GET, options)), "2.05")
            expect(len(response.payload) <= 16, f"{len(response.payload)} bytes in a block of 16")

    def check_large_download_comes_in_blocks_unasked(self):
        if not self.large:
            raise Skipped("no --large resource")
        with self.endpoint() as client:
            response = expect_code(client.ask(client.message(GET, wire.path(self.large))), "2.05")
            block = response.block(wire.BLOCK2)
            expect(block is not None and block[0] == 0 and block[1], f"its block option is {block}")

    def check_block_beyond_the_end_is_refused(self):
        with self.endpoint() as client:
            options = wire.path(self.large or ".well-known/core") + [(wire.BLOCK2, wire.block(0xFFFFF, False, 16))]
            expect_code(client.ask(client.message(GET, options)), "4.00", "4.02", "4.08")

    def check_etag_is_one_and_validates(self):
        where = self.large or ".well-known/core"
        with self.endpoint() as client:
            etags = self.download(client, where, 64)[1]
            if etags == {None}:
                expect(not self.large, "no ETag on a large resource")
                raise Skipped("the resource has no ETag")
            expect(len(etags) == 1, f"{len(etags)} ETags in one download")
            options = wire.path(where) + [(wire.ETAG, etags.pop())]
            response = expect_code(client.ask(client.message(GET, options)), "2.03")
            expect(not response.payload, "a payload in 2.03")

    def check_hostile_datagrams(self):
        wrong = []
        for name, data, may_reset in hostile():
            with self.endpoint() as client:
                client.send(data)
                answer = client.receive(SILENCE)
                is_reset = answer is not None and len(answer) == 4 and Message.decode(answer).kind == RST
                if answer is not None and not (may_reset and is_reset):
                    wrong.append(f"{name}: answered by {answer[:24].hex()}")
                expect(client.ping(), f"{name}: no life after it")
        expect(not wrong, "; ".join(wrong))

    def check_largest_datagram_is_survived(self):
        with self.endpoint() as client:
            client.send(Message(CON, POST, 1, b"t", wire.path("rd"), b"x" * 65000).encode())
            client.receive(SILENCE)
            expect(client.ping(), "no life after it")

    def check_random_datagrams_are_survived(self):
        with self.endpoint() as client:
            for _ in range(500):
                client.send(self.random.randbytes(self.random.randrange(64)))
            while client.receive(SILENCE) is not None:
                pass
            expect(client.ping(), "no life after them")

    def check_damaged_registrations_are_survived(self):
        with self.endpoint() as client:
            for _ in range(300):
                options = wire.path("rd") + self.query(self.name(), "1") + [LINK_FORMAT]
                data = bytearray(client.message(POST, options, b"</1/0>,</3/0>").encode())
                for _ in range(self.random.randrange(1, 4)):
                    data[self.random.randrange(len(data))] = self.random.randrange(256)
                client.send(bytes(data))
            while client.receive(SILENCE) is not None:
                pass
            expect(client.ping(), "no life after them")


def hostile():
    """Name, bytes, and whether a reset is a right answer (RFC 7252, sections 3 and 4.2: else silence)."""
    yield "nothing", b"", False
    yield "one byte", b"\x40", False
    yield "three bytes", b"\x40\x01\x00", False
    for version in (0, 2, 3):
        yield f"version {version}", bytes([version << 6]) + b"\x01\x12\x34", False
    # Lengths of 9 to 12 are tokens to those who know RFC 8974, and 15 is reserved to all.
    yield "token length 15", b"\x4f\x01\x12\x34" + bytes(15), True
    yield "token cut off", b"\x48\x01\x12\x34abc", True
    yield "payload marker without payload", b"\x40\x01\x12\x34\xff", True
    yield "option delta 15", b"\x40\x01\x12\x34\xf1a", True
    yield "option length 15", b"\x40\x01\x12\x34\xbfaaaaaaaaaaaaaaa", True
    yield "option cut off", b"\x40\x01\x12\x34\xb5rd", True
    yield "option delta cut off", b"\x40\x01\x12\x34\xe0\x00", True
    yield "option length cut off", b"\x40\x01\x12\x34\xbe\x00", True
    yield "option number above 65535", b"\x40\x01\x12\x34\xe0\xff\xff\xe0\xff\xff", True
    yield "empty message with a token", b"\x41\x00\x12\x34t", True
    yield "empty message with a payload", b"\x40\x00\x12\x34\xffx", True
    yield "empty non-confirmable message", b"\x50\x00\x12\x34", True
    yield "acknowledgement of nothing", b"\x60\x00\x12\x34", False
    yield "reset of nothing", b"\x70\x00\x12\x34", False
    yield "acknowledgement with a request", b"\x60\x01\x12\x34\xb2rd", False
    yield "reset with a request", b"\x70\x01\x12\x34\xb2rd", False
    yield "acknowledgement with a response to nothing", b"\x64\x45\x12\x34abcd\xffx", False
    yield "confirmable response to nothing", b"\x44\x45\x12\x34abcd\xffx", True
    yield "non-confirmable response to nothing", b"\x54\x45\x12\x34abcd\xffx", True
    for code in (0x20, 0x3F, 0xC1, 0xE1):
        yield f"confirmable message of reserved class {code >> 5}", bytes([0x40, code]) + b"\x12\x34", True


def address_of(uri):
    parts = urllib.parse.urlsplit(uri)
    return parts.hostname, parts.port or 5683


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="coap://127.0.0.1:PORT")
    parser.add_argument("--large", help="path of a resource of more than 1024 bytes that has an ETag")
    parser.add_argument("--only", help="run the checks whose name holds this")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)

    probe = Probe(address_of(options.server), options.large and options.large.strip("/"), options.seed)
    print(f"# seed {options.seed}")
    passed = failed = skipped = 0
    for attribute in [a for a in vars(Probe) if a.startswith("check_")]:
        name = attribute.removeprefix("check_")
        if options.only and options.only not in name:
            continue
        try:
            getattr(probe, attribute)()
            passed += 1
            print(f"PASS {name}", flush=True)
        except Skipped as reason:
            skipped += 1
            print(f"SKIP {name} {reason}", flush=True)
        except Exception as reason:  # whatever goes wrong in a check is its failure, and the next one still runs
            failed += 1
            print(f"FAIL {name} {reason or type(reason).__name__}", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
