#!/usr/bin/env python3
"""A bootstrap server on aiocoap that goes through every order of its requests, and the wrong ones, with `buoy device`.

Usage: bootstrap.py PATH_OF_BUOY. The same process is the server that the device registers at, so it sees which configuration
holds: each has a lifetime of its own. Ends with "N passed, N failed"; everything that it starts it ends.
"""

import asyncio
import itertools
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import aiocoap
from aiocoap import Code, Message, resource

import lwm2m
from lines import free_port
from lwm2m import LINK, SENML_CBOR, SENML_JSON, TEXT, TLV

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from peer import Checks  # noqa: E402

ENDPOINT = "buoy-1"
TIMEOUT = 20


class Server(resource.Resource):
    """`/bs` and `/rd`."""

    def __init__(self):
        self.bootstraps, self.registers, self.remote = asyncio.Queue(), asyncio.Queue(), None

    async def render(self, request):
        query = dict((part.split("=", 1) + [""])[:2] for part in request.opt.uri_query)
        path = request.opt.uri_path
        if path == ("bs",) and request.code == Code.POST:
            self.remote = request.remote
            self.bootstraps.put_nowait(query)
        elif path == ("rd",) and request.code == Code.POST:
            self.registers.put_nowait((int(query["lt"]), request.remote))
            return Message(code=Code.CREATED, location_path=("rd", "1"))
        return Message(code=Code.CHANGED)


class Device:
    """The process, with a flash that outlives it."""

    def __init__(self, buoy, folder, uri):
        self.command = [buoy, "device", "--bootstrap", uri, "--endpoint", ENDPOINT, "--flash", folder / "device.flash",
                        "--trust", folder / "key.pub.pem", "--factory", folder / "fw.bin"]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)

    def cut_power(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Script:
    """What the bootstrap server asks, and what it is told."""

    def __init__(self, context, server, check, uri):
        self.context, self.server, self.check, self.uri = context, server, check, uri

    async def ask(self, code, path, payload=b"", form=None, accept=None):
        message = Message(code=code, payload=payload)
        message.remote = self.server.remote
        message.opt.uri_path = ["bs"] if path == "/bs" else [str(part) for part in lwm2m.path_of(path)]
        if form is not None:
            message.opt.content_format = form
        if accept is not None:
            message.opt.accept = accept
        return await asyncio.wait_for(self.context.request(message).response, TIMEOUT)

    async def write(self, path, resources, form=TLV):
        base = lwm2m.path_of(path)
        leaves = {base + (number,): value for number, value in resources.items()}
        return (await self.ask(Code.PUT, path, lwm2m.encode(base, leaves, form), form)).code.dotted

    async def put(self, path, value, form=TEXT):
        leaf = lwm2m.path_of(path)
        return (await self.ask(Code.PUT, path, lwm2m.encode(leaf, {leaf: value}, form), form)).code.dotted

    async def delete(self, path="/"):
        return (await self.ask(Code.DELETE, path)).code.dotted

    async def security(self, identifier=101, instance=1, form=TLV, **other):
        resources = {0: self.uri, 1: False, 2: 3, 10: identifier}
        resources |= {int(key[1:]): value for key, value in other.items()}
        return await self.write(f"/0/{instance}", resources, form)

    async def account(self, lifetime, identifier=101, instance=1, form=SENML_JSON):
        return await self.write(f"/1/{instance}", {0: identifier, 1: lifetime, 6: True, 7: "U"}, form)

    async def discover(self, path="/"):
        answer = await self.ask(Code.GET, path, accept=LINK)
        return answer.code.dotted, answer.payload.decode()

    async def read(self, path="/1", form=TLV):
        return (await self.ask(Code.GET, path, accept=form)).code.dotted

    async def finish(self):
        answer = await self.ask(Code.POST, "/bs")
        return answer.code.dotted, answer.payload.decode(errors="replace")

    async def asked(self):
        """Waits until the device asks for a bootstrap."""
        return await asyncio.wait_for(self.server.bootstraps.get(), TIMEOUT)

    async def registered(self):
        """Waits for a Register, and keeps its sender; the lifetime tells which configuration holds."""
        lifetime, self.registration = await asyncio.wait_for(self.server.registers.get(), TIMEOUT)
        return lifetime

    async def trigger(self):
        """Lets the device ask again, by Bootstrap-Request Trigger."""
        message = Message(code=Code.POST)
        message.remote = self.registration
        message.opt.uri_path = ["1", "1", "9"]
        answer = await asyncio.wait_for(self.context.request(message).response, TIMEOUT)
        await self.asked()
        return answer.code.dotted


async def first_bootstrap(script, device):
    """A blank device: nothing before Finish counts, and a Finish without a server is refused."""
    check = script.check
    device.start()
    query = await script.asked()
    check.equal("a blank device asks with its name", (query["ep"], query["pct"]), (ENDPOINT, "112"))
    check.equal("Finish without a Write is refused", (await script.finish())[0], "4.06")
    check.equal("an account alone is taken", await script.security(), "2.04")
    code, words = await script.finish()
    check.that("Finish without the Server account is refused, with the reason", code == "4.06" and words, (code, words))
    check.equal("the Server account is taken", await script.account(300), "2.04")
    check.equal("nobody has registered so far", script.server.registers.qsize(), 0)
    check.equal("Finish holds now", (await script.finish())[0], "2.04")
    check.equal("the device registers as it was configured", await script.registered(), 300)


async def every_order(script):
    """Delete, Security, Server, Discover and Read in all 120 orders."""
    lifetime, wrong = 300, []
    for order in itertools.permutations(["delete", "security", "server", "discover", "read"]):
        lifetime += 1
        seen = [await script.trigger()]
        for step in order:
            if step == "server":
                seen.append(await script.account(lifetime))
            elif step == "discover":
                code, links = await script.discover()
                seen.append(code if links.startswith("</>;lwm2m=1.1,</0/") else links)
            else:
                seen.append(await getattr(script, step)())
        codes = {"delete": ["2.02"], "security": ["2.04"], "server": ["2.04"], "discover": ["2.05"],
                 "read": ["2.05", "4.04"]}
        fits = seen[0] == "2.04" and all(code in codes[step] for step, code in zip(order, seen[1:]))
        is_whole = order.index("delete") < min(order.index("security"), order.index("server"))
        seen.append((await script.finish())[0])
        fits = fits and seen[-1] == ("2.04" if is_whole else "4.06")
        if not is_whole:
            seen += [await script.security(), await script.account(lifetime), (await script.finish())[0]]
            fits = fits and seen[-1] == "2.04"
        seen.append(await script.registered())
        if not (fits and seen[-1] == lifetime):
            wrong.append((order, seen))
    script.check.that("every order of Delete, Write, Discover and Read ends as it should", not wrong, wrong[:3])
    return lifetime


async def formats(script, lifetime):
    for form, name in ((TLV, "TLV"), (SENML_JSON, "SenML JSON"), (SENML_CBOR, "SenML CBOR")):
        lifetime += 1
        await script.trigger()
        codes = [await script.delete(), await script.security(form=form), await script.account(lifetime, form=form)]
        codes.append((await script.finish())[0])
        script.check.equal(f"a configuration in {name}", codes, ["2.02", "2.04", "2.04", "2.04"])
        script.check.equal(f"it holds, {name}", await script.registered(), lifetime)
    return lifetime


async def wrong_requests(script, lifetime):
    """Each is refused by its code, and together they change nothing."""
    await script.trigger()
    links = lwm2m.links((await script.discover("/0"))[1])
    own = next(link for link in links if link.startswith("</0/") and "ssid" not in link).split(">")[0][1:]
    for what, code, path, expected in (
            ("Delete of the Device object", Code.DELETE, "/3", "4.00"),
            ("Delete of the bootstrap server's own account", Code.DELETE, own, "4.00"),
            ("Delete of an unknown object", Code.DELETE, "/9999", "4.04"),
            ("Delete of a resource", Code.DELETE, "/1/1/1", "4.05"),
            ("Read of the Security object", Code.GET, "/0", "4.05"),
            ("Read of another object", Code.GET, "/3/0", "4.05"),
            ("Read of a server that isn't there", Code.GET, "/1/9", "4.04"),
            ("Execute", Code.POST, "/3/0/4", "4.05")):
        script.check.equal(f"{what} is refused", (await script.ask(code, path)).code.dotted, expected)
    for what, write, expected in (
            ("a URI that is too long", script.security(instance=5, r0="coap://" + "x" * 200), "4.00"),
            ("a security mode that isn't one", script.security(instance=5, r2=9), "4.00"),
            ("a negative lifetime", script.put("/1/1/1", -1), "4.00"),
            ("a binding that makes no sense", script.put("/1/1/7", "nonsense"), "4.00"),
            ("a resource of an unknown object", script.put("/4711/0/1", b"x"), "4.04"),
            ("a read-only resource", script.put("/3/0/0", "Other"), "4.05")):
        script.check.equal(f"Write of {what} is refused", await write, expected)
    answer = await script.ask(Code.PUT, "/1/1", b"GIF", form=22)
    script.check.equal("Write of a picture is refused", answer.code.dotted, "4.15")
    script.check.equal("Write of broken TLV is refused",
                       (await script.ask(Code.PUT, "/1/1", b"\xc8\x00\xff", TLV)).code.dotted, "4.00")
    script.check.equal("Finish after what was refused", (await script.finish())[0], "2.04")
    script.check.equal("nothing has changed", await script.registered(), lifetime)


async def wrong_configurations(script, device, lifetime):
    """Accounts that don't go together are refused at Finish; the power goes, and the device has its old ones."""
    async def bare_account(script):
        await script.account(777, identifier=102, instance=2)

    async def bare_security(script):
        await script.security(identifier=102, instance=2)

    async def same_identifier(script):
        await script.security(instance=2)

    async def unusable_identifier(script):
        await script.security(identifier=0)
        await script.account(777, identifier=0)

    async def other_scheme(script):
        await script.security(r0="gopher://127.0.0.1")

    async def secured_without_a_key(script):
        await script.security(r0="coaps://127.0.0.1", r2=0)

    for what, wrong in (
            ("no server", lambda script: script.delete("/1")),
            ("Delete of object 0 alone", lambda script: script.delete("/0")),
            ("a Server without its account", bare_account),
            ("an account without its Server", bare_security),
            ("two accounts with one short id", same_identifier),
            ("short id 0", unusable_identifier),
            ("a URI of another scheme", other_scheme),
            ("a coaps URI without a key", secured_without_a_key)):
        await script.trigger()
        await wrong(script)
        code, words = await script.finish()
        script.check.that(f"Finish with {what} is refused, with the reason", code == "4.06" and words, (code, words))
        device.cut_power()
        device.start()
        script.check.equal(f"after {what} and a power cut the old accounts hold", await script.registered(), lifetime)
        script.check.equal(f"after {what} no other bootstrap is asked for", script.server.bootstraps.qsize(), 0)


def build(buoy, folder):
    run = subprocess.run
    run([buoy, "fw", "keygen", "--kind", "p256", folder / "key"], check=True, capture_output=True)
    run([buoy, "fw", "build", "--release", "1.0.0", folder / "fw.bin"], check=True)
    run([buoy, "fw", "sign", "--key", folder / "key.key.pem", folder / "fw.bin"], check=True, capture_output=True)


async def main(buoy):
    check = Checks()
    server, port = Server(), free_port()
    context = await aiocoap.Context.create_server_context(server, bind=("127.0.0.1", port))
    uri = f"coap://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        build(buoy, folder)
        device = Device(buoy, folder, uri)
        script = Script(context, server, check, uri)
        try:
            await first_bootstrap(script, device)
            lifetime = await every_order(script)
            lifetime = await formats(script, lifetime)
            await wrong_requests(script, lifetime)
            await wrong_configurations(script, device, lifetime)
        except asyncio.TimeoutError:
            check.that("the device does what is waited for", False, "nothing came in time")
        finally:
            device.cut_power()
            await context.shutdown()
    return check.end()


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", DeprecationWarning)
    sys.exit(asyncio.run(main(sys.argv[1])))
