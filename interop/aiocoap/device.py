#!/usr/bin/env python3
"""A minimal LwM2M 1.1 device on aiocoap. The README beside this folder tells its lines."""

import argparse
import asyncio
import logging
import os
import time

import aiocoap
from aiocoap import Code, Message, error, resource

import lwm2m
from lines import commands, free_port, say
from lwm2m import LINK, SENML_CBOR, SENML_JSON, TEXT, TLV

WRITABLE = {(3, 14), (3, 15), (3311, 5706), (3311, 5850), (3311, 5851), (3311, 5852)}
EXECUTABLE = {(3, 4), (3, 5), (3303, 5605)}


class Device(resource.ObservableResource):
    """Every path of the device; values are leaves as in `lwm2m`, or functions that make one."""

    def __init__(self, lifetime):
        super().__init__()
        self.attributes = {}
        self.watchers = {}
        self.values = {
            (1, 0, 0): 123, (1, 0, 1): lifetime, (1, 0, 6): False, (1, 0, 7): "U",
            (3, 0, 0): "Open Mobile Alliance", (3, 0, 1): "Interop 500", (3, 0, 2): "345000123", (3, 0, 3): "1.0.0",
            (3, 0, 6, 0): 1, (3, 0, 6, 1): 5, (3, 0, 7, 0): 3800, (3, 0, 7, 1): 5000, (3, 0, 8, 0): 125,
            (3, 0, 8, 1): 900, (3, 0, 9): 75, (3, 0, 10): 15, (3, 0, 11, 0): 0,
            (3, 0, 13): lambda: int(time.time()), (3, 0, 14): "+00:00", (3, 0, 15): "Etc/UTC", (3, 0, 16): "U",
            (3303, 0, 5601): 20.0, (3303, 0, 5602): 20.0, (3303, 0, 5700): 20.0, (3303, 0, 5701): "Cel",
            (3311, 0, 5850): False, (3311, 0, 5851): 100,
        }

    def object_links(self):
        instances = sorted({path[:2] for path in self.values})
        root = '</>;rt="oma.lwm2m";ct="%d %d %d"' % (SENML_JSON, SENML_CBOR, TLV)
        return ",".join([root] + [f"<{lwm2m.text_of(instance)}>" for instance in instances])

    def below(self, path):
        return {leaf: value() if callable(value) else value for leaf, value in self.values.items()
                if leaf[:len(path)] == path}

    def change(self, path, value):
        """Sets a value and tells the observers of every path that holds it."""
        self.values[path] = value
        for observation, watched in list(self.watchers.items()):
            if path[:len(watched)] == watched:
                observation.trigger()

    async def add_observation(self, request, observation):
        path = self.path(request)
        if not self.below(path):
            return
        self.watchers[observation] = path
        observation.accept(lambda: self.watchers.pop(observation, None))

    async def render(self, request):
        path = self.path(request)
        handler = {Code.GET: self.get, Code.PUT: self.put, Code.POST: self.post}.get(request.code)
        if handler is None:
            raise error.UnallowedMethod()
        try:
            return handler(path, request)
        except lwm2m.Malformed as reason:
            return Message(code=Code.BAD_REQUEST, payload=str(reason).encode())

    @staticmethod
    def path(request):
        try:
            return lwm2m.path_of("/".join(request.opt.uri_path))
        except ValueError:
            raise error.NotFound() from None

    def get(self, path, request):
        accept = request.opt.accept
        if accept == LINK:
            return self.discover(path)
        leaves = self.below(path)
        if not path or not leaves:
            if (path[0], path[-1]) in EXECUTABLE if len(path) == 3 else False:
                raise error.UnallowedMethod()
            raise error.NotFound()
        single = set(leaves) == {path}
        form = int(accept) if accept is not None else TEXT if single else TLV
        if form not in (TLV, SENML_JSON, SENML_CBOR) and not (single and form == TEXT):
            return Message(code=Code.NOT_ACCEPTABLE)
        return Message(code=Code.CONTENT, content_format=form, payload=lwm2m.encode(path, leaves, form))

    def discover(self, path):
        below = sorted({leaf[:length] for leaf in self.below(path) for length in range(max(1, len(path)), 4)})
        if not path or not below:
            raise error.NotFound()
        links = []
        for found in below:
            attributes = "".join(f";{a}" for a in self.attributes.get(found, ()))
            count = sum(1 for leaf in self.values if len(leaf) == 4 and leaf[:3] == found)
            links.append(f"<{lwm2m.text_of(found)}>" + (f";dim={count}" if count else "") + attributes)
        return Message(code=Code.CONTENT, content_format=LINK, payload=",".join(links).encode())

    def put(self, path, request):
        if request.opt.uri_query and not request.payload:
            if not self.below(path):
                raise error.NotFound()
            self.attributes[path] = request.opt.uri_query
            return Message(code=Code.CHANGED)
        return self.write(path, request)

    def write(self, path, request):
        form = TEXT if request.opt.content_format is None else int(request.opt.content_format)
        if form not in lwm2m.FORMATS.values() or (form in (TEXT, lwm2m.OPAQUE) and len(path) < 3):
            raise error.UnsupportedContentFormat()
        if not self.below(path) and (len(path) < 3 or (path[0], path[2]) not in WRITABLE | EXECUTABLE):
            raise error.NotFound()
        written = lwm2m.decode(path, request.payload, form)
        if any(leaf[:len(path)] != path for leaf in written):
            raise lwm2m.Malformed("a value outside the path that is written")
        if any((leaf[0], leaf[2]) not in WRITABLE for leaf in written):
            raise error.UnallowedMethod()
        for leaf, value in written.items():
            self.change(leaf, value)
            say(f"WRITE {lwm2m.text_of(leaf)} {lwm2m.spoken(value)}")
        return Message(code=Code.CHANGED)

    def post(self, path, request):
        if len(path) == 2:
            return self.write(path, request)
        if len(path) != 3 or path[:2] not in {leaf[:2] for leaf in self.values}:
            raise error.NotFound()
        if (path[0], path[2]) not in EXECUTABLE:
            raise error.UnallowedMethod()
        say(f"EXECUTE {lwm2m.text_of(path)} {request.payload.decode(errors='replace')}".strip())
        if path == (3, 0, 4):
            say("REBOOT")
        if path == (3, 0, 5):
            say("FACTORY_RESET")
        return Message(code=Code.CHANGED)


class Registration:
    """The device's side of `/rd` and `/dp`."""

    def __init__(self, context, device, options):
        self.context = context
        self.device = device
        self.options = options
        self.location = None

    async def ask(self, label, code, path, query=(), payload=b"", form=None):
        """The response if it is a success; otherwise says what went wrong and gives None."""
        request = Message(code=code, uri=self.options.server)
        request.opt.uri_path = path
        request.opt.uri_query = query
        request.payload = payload
        if form is not None:
            request.opt.content_format = form
        try:
            response = await asyncio.wait_for(self.context.request(request).response, self.options.timeout)
        except (error.NetworkError, error.TimeoutError, asyncio.TimeoutError) as reason:
            say(f"{label}_FAILED {'timeout' if not isinstance(reason, error.NetworkError) else reason}")
            return None
        if response.code.is_successful():
            return response
        say(f"{label}_FAILED {response.code.dotted} {response.payload.decode(errors='replace')}".strip())
        return None

    async def register(self):
        options = self.options
        query = (f"ep={options.endpoint}", f"lt={options.lifetime}", "lwm2m=1.1", "b=U") + (("Q",) * options.queue)
        response = await self.ask("REGISTER", Code.POST, ("rd",), query, self.device.object_links().encode(), LINK)
        if response is not None:
            self.location = response.opt.location_path
            say(f"REGISTERED {self.location[-1]}")

    async def update(self):
        if self.location and await self.ask("UPDATE", Code.POST, self.location) is not None:
            say("UPDATED")

    async def deregister(self):
        if self.location and await self.ask("DEREGISTER", Code.DELETE, self.location) is not None:
            self.location = None
            say("DEREGISTERED")

    async def send(self, words):
        form = SENML_JSON if "senml_json" in words else SENML_CBOR
        leaves = {}
        for word in words:
            if word.startswith("/"):
                leaves.update(self.device.below(lwm2m.path_of(word)))
        if await self.ask("SEND", Code.POST, ("dp",), (), lwm2m.to_senml(leaves, form), form) is not None:
            say("SENT 2.04")

    async def keep_alive(self):
        while True:
            await asyncio.sleep(max(1, self.options.lifetime * 0.8))
            await self.update()


async def drift(device, seconds, temperature_is_set):
    while not temperature_is_set.is_set():
        await asyncio.sleep(seconds)
        if not temperature_is_set.is_set():
            value = round(device.values[3303, 0, 5700] + 0.1, 1)
            device.change((3303, 0, 5700), value if value <= 30 else 15.0)


async def obey(device, registration, temperature_is_set):
    async for line in commands():
        word, *rest = line.split(" ", 2)
        try:
            if word == "set":
                path = lwm2m.path_of(rest[0])
                if path not in device.values:
                    raise ValueError(f"no value at {rest[0]}")
                if path[0] == 3303:
                    temperature_is_set.set()
                device.change(path, lwm2m.parse(lwm2m.type_of(path), rest[1]))
                say(f"SET {lwm2m.text_of(path)} {lwm2m.spoken(device.values[path])}")
            elif word == "send":
                await registration.send(line.split())
            elif word in ("register", "update", "deregister"):
                await getattr(registration, word)()
            elif word == "abort":
                os._exit(0)
            elif word == "quit":
                break
            else:
                say(f"ERROR unknown command: {word}")
        except (ValueError, IndexError) as reason:
            say(f"ERROR {reason}")
    await registration.deregister()


async def main(options):
    device = Device(options.lifetime)
    context = await aiocoap.Context.create_server_context(device, bind=("127.0.0.1", free_port()))
    registration = Registration(context, device, options)
    temperature_is_set = asyncio.Event()
    await registration.register()
    tasks = [asyncio.create_task(registration.keep_alive())]
    if options.tick > 0:
        tasks.append(asyncio.create_task(drift(device, options.tick / 1000, temperature_is_set)))
    await obey(device, registration, temperature_is_set)
    for task in tasks:
        task.cancel()
    await context.shutdown()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="coap://127.0.0.1:PORT")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--lifetime", type=int, default=300, help="seconds")
    parser.add_argument("--queue", action="store_true")
    parser.add_argument("--tick", type=int, default=1000, help="milliseconds between temperatures; 0: never")
    parser.add_argument("--timeout", type=float, default=10, help="seconds to wait for the server's answers")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.CRITICAL)
    asyncio.run(main(arguments()))
