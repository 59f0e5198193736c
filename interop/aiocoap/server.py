#!/usr/bin/env python3
"""A minimal LwM2M server on aiocoap, moved by lines. The README beside this folder tells them."""

import argparse
import asyncio
import json
import logging
import secrets
import time
import warnings

import aiocoap
from aiocoap import Code, Message, error, resource

import lwm2m
from lines import commands, free_port, say, say_raw
from lwm2m import LINK, SENML_CBOR, SENML_JSON, TEXT


def event(kind, **fields):
    say_raw("EVENT " + json.dumps({"event": kind, **fields}))


class Registration:
    def __init__(self, identifier, remote, query, objects):
        self.id = identifier
        self.endpoint = query["ep"]
        self.version = query.get("lwm2m", "1.0")
        self.binding = query.get("b", "U")
        self.queue = "Q" in query or "Q" in self.binding
        self.lifetime = 86400
        self.objects = []
        self.observations = {}
        self.refresh(remote, query, objects)

    def refresh(self, remote, query, objects):
        self.remote = remote
        self.lifetime = int(query.get("lt", self.lifetime))
        self.objects = lwm2m.links(objects) if objects else self.objects
        self.heard = time.monotonic()

    def expired(self):
        return time.monotonic() > self.heard + self.lifetime

    def forget(self):
        for path in list(self.observations):
            self.cancel(path)

    def cancel(self, path):
        """Whether the path was still observed; the device learns it by a reset of its next notification."""
        request = self.observations.pop(path, None)
        if request is None or request.observation.cancelled:
            return False
        request.observation.cancel()
        return True

    def describe(self):
        return {"endpoint": self.endpoint, "id": self.id, "address": self.remote.hostinfo, "version": self.version,
                "lifetime": self.lifetime, "binding": self.binding, "queue": self.queue, "objects": self.objects}


class Server(resource.Resource):
    """`/rd`, `/rd/{id}`, `/dp` and `/.well-known/core`."""

    def __init__(self):
        self.registrations = {}

    def by_endpoint(self, endpoint):
        for registration in self.registrations.values():
            if registration.endpoint == endpoint:
                return registration
        raise ValueError(f"no such endpoint: {endpoint}")

    async def render(self, request):
        path, code = request.opt.uri_path, request.code
        if path == (".well-known", "core") and code == Code.GET:
            return Message(code=Code.CONTENT, content_format=LINK, payload=b'</rd>;rt="core.rd",</dp>')
        if path == ("rd",):
            return self.register(request) if code == Code.POST else self.refuse()
        if len(path) == 2 and path[0] == "rd":
            if path[1] not in self.registrations:
                raise error.NotFound()
            return {Code.POST: self.update, Code.DELETE: self.deregister}.get(code, self.refuse)(request)
        if path == ("dp",):
            return self.send(request) if code == Code.POST else self.refuse()
        raise error.NotFound()

    @staticmethod
    def refuse(_=None):
        raise error.UnallowedMethod()

    @staticmethod
    def query(request):
        return dict((part.split("=", 1) + [""])[:2] for part in request.opt.uri_query)

    def register(self, request):
        query = self.query(request)
        if not query.get("ep") or not query.get("lt", "1").isdigit() or not request.payload:
            return Message(code=Code.BAD_REQUEST, payload=b"ep, a lifetime or the object list is wrong")
        for old in [r for r in self.registrations.values() if r.endpoint == query["ep"]]:
            old.forget()
            del self.registrations[old.id]
        registration = Registration(secrets.token_hex(4), request.remote, query, request.payload.decode())
        self.registrations[registration.id] = registration
        event("registered", **registration.describe())
        return Message(code=Code.CREATED, location_path=("rd", registration.id))

    def update(self, request):
        registration = self.registrations[request.opt.uri_path[1]]
        registration.refresh(request.remote, self.query(request), request.payload.decode())
        event("updated", **registration.describe())
        return Message(code=Code.CHANGED)

    def deregister(self, request):
        self.end(self.registrations[request.opt.uri_path[1]], expired=False)
        return Message(code=Code.DELETED)

    def end(self, registration, expired):
        registration.forget()
        del self.registrations[registration.id]
        event("deregistered", endpoint=registration.endpoint, id=registration.id, expired=expired)

    def send(self, request):
        sender = next((r for r in self.registrations.values() if r.remote == request.remote), None)
        if sender is None:
            raise error.NotFound()
        form = int(request.opt.content_format) if request.opt.content_format is not None else None
        if form not in (SENML_JSON, SENML_CBOR):
            raise error.UnsupportedContentFormat()
        try:
            values = lwm2m.from_senml(request.payload, form)
        except lwm2m.Malformed as reason:
            return Message(code=Code.BAD_REQUEST, payload=str(reason).encode())
        event("send", endpoint=sender.endpoint, format=form, values=shown(values))
        return Message(code=Code.CHANGED)

    async def watch_lifetimes(self):
        while True:
            await asyncio.sleep(0.5)
            for registration in [r for r in self.registrations.values() if r.expired()]:
                self.end(registration, expired=True)


def shown(leaves):
    return {lwm2m.text_of(leaf): lwm2m.plain(value) for leaf, value in leaves.items()}


class Operator:
    """Carries out the commands."""

    def __init__(self, context, server, timeout):
        self.context = context
        self.server = server
        self.timeout = timeout

    async def obey(self, line):
        words = line.split()
        if words[0] == "list":
            return {"success": True, "registrations": [r.describe() for r in self.server.registrations.values()]}
        if words[0] == "quit":
            return {"success": True}
        handler = getattr(self, "do_" + words[0], None)
        if handler is None:
            raise ValueError(f"unknown command: {words[0]}")
        return await handler(self.server.by_endpoint(words[1]), words[2], words[3:], line)

    async def do_read(self, device, path, rest, _):
        return await self.exchange(device, path, self.message(device, Code.GET, path, accept=form_of(rest)))

    async def do_discover(self, device, path, rest, _):
        return await self.exchange(device, path, self.message(device, Code.GET, path, accept=LINK))

    async def do_delete(self, device, path, rest, _):
        return await self.exchange(device, path, self.message(device, Code.DELETE, path))

    async def do_execute(self, device, path, rest, line):
        payload = line.split(" ", 3)[3].encode() if rest else b""
        form = TEXT if payload else None
        return await self.exchange(device, path, self.message(device, Code.POST, path, payload, form))

    async def do_write(self, device, path, rest, line):
        kind, _, name = rest[0].partition(":")
        leaf = lwm2m.path_of(path)
        value = lwm2m.parse(kind, line.split(" ", 4)[4] if len(rest) > 1 else "")
        form = form_of([name] if name else ["opaque" if kind == "opaque" else "text"])
        payload = lwm2m.encode(leaf, {leaf: value}, form)
        return await self.exchange(device, path, self.message(device, Code.PUT, path, payload, form))

    async def do_attributes(self, device, path, rest, _):
        message = self.message(device, Code.PUT, path)
        message.opt.uri_query = rest
        return await self.exchange(device, path, message)

    async def do_observe(self, device, path, rest, _):
        message = self.message(device, Code.GET, path, accept=form_of(rest))
        message.opt.observe = 0
        request = self.context.request(message)
        answer = self.describe(device, path, await asyncio.wait_for(request.response, self.timeout))
        if answer["success"]:
            def notified(response):
                told = self.describe(device, path, response)
                event("notification", endpoint=device.endpoint, path=path, code=told["code"],
                      values=told.get("values", {}))

            # Not `async for`: it drops what comes just before the end of an observation.
            request.observation.register_callback(notified)
            device.cancel(path)
            device.observations[path] = request
        return answer

    async def do_cancel(self, device, path, rest, _):
        cancelled = device.cancel(path)
        return {"success": cancelled, "endpoint": device.endpoint, "path": path, "cancelled": int(cancelled)}

    @staticmethod
    def message(device, code, path, payload=b"", form=None, accept=None):
        message = Message(code=code, payload=payload)
        message.remote = device.remote
        message.opt.uri_path = [str(part) for part in lwm2m.path_of(path)]
        if form is not None:
            message.opt.content_format = form
        if accept is not None:
            message.opt.accept = accept
        return message

    async def exchange(self, device, path, message):
        response = await asyncio.wait_for(self.context.request(message).response, self.timeout)
        return self.describe(device, path, response)

    @staticmethod
    def describe(device, path, response):
        answer = {"endpoint": device.endpoint, "path": path, "success": response.code.is_successful(),
                  "code": response.code.dotted}
        if not answer["success"]:
            answer["error"] = response.payload.decode(errors="replace")
            return answer
        if response.opt.content_format is not None:
            form = answer["format"] = int(response.opt.content_format)
            if form == LINK:
                answer["links"] = lwm2m.links(response.payload.decode())
            else:
                answer["values"] = shown(lwm2m.decode(lwm2m.path_of(path), response.payload, form))
        elif response.opt.location_path:
            answer["location"] = "/".join(response.opt.location_path)
        return answer


def form_of(words):
    if not words:
        return None
    if words[0].isdigit():
        return int(words[0])
    if words[0].lower() not in lwm2m.FORMATS:
        raise ValueError(f"unknown content format: {words[0]}")
    return lwm2m.FORMATS[words[0].lower()]


async def main(options):
    server = Server()
    port = options.port or free_port()
    context = await aiocoap.Context.create_server_context(server, bind=("127.0.0.1", port))
    operator = Operator(context, server, options.timeout)
    lifetimes = asyncio.create_task(server.watch_lifetimes())
    say(f"READY {port}")
    async for line in commands():
        command = line.split()[0]
        try:
            answer = await operator.obey(line)
        except asyncio.TimeoutError:
            answer = {"success": False, "error": "timeout"}
        except IndexError:
            answer = {"success": False, "error": "too few words"}
        except (ValueError, OSError, error.Error) as reason:
            answer = {"success": False, "error": str(reason)}
        say_raw(json.dumps({"command": command, **answer}))
        if command == "quit":
            break
    lifetimes.cancel()
    await context.shutdown()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5683, help="0: any; READY tells it")
    parser.add_argument("--timeout", type=float, default=5, help="seconds to wait for a device's answer")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", DeprecationWarning)
    asyncio.run(main(arguments()))
