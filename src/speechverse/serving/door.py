"""What a request passes before anything of it is read: keys, sizes, a place, and a count of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from contextlib import nullcontext
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speechverse.serving.calls import Call
from speechverse.serving.refusals import Refusal
from speechverse.serving.service import Service

_BESIDE = 2**20  # bytes of a body beside its sounds
OPEN = ("/health", "/health/live", "/health/ready")
"""Paths that want no key: whoever watches a server has none."""


_READING = ("GET", "HEAD", "OPTIONS")


def _is_of_another_page(headers: Headers) -> bool:
    """Whether a browser sends this for another site's page: it would not let that page read the
    answer, but would let it ask.
    """
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _names_this_machine(host: str) -> bool:
    """Whether a `Host` header is an IP address or localhost: other names may lead anywhere."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


class Door:
    """An ASGI middleware."""

    def __init__(self, app: ASGIApp, service: Service, paths: Collection[str]) -> None:
        """Counts requests to these paths by their names, others together."""
        self._app, self._service, self._paths = app, service, frozenset(paths)
        self._settings, self._measures = service.settings, service.measures
        self._most = (
            self._settings.max_upload * 4 // 3 + _BESIDE
        )  # base64 makes four bytes of three

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks by sockets, and none may pass without key
            await send({"type": "websocket.close"})
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        began = time.perf_counter()
        status: int | None = None

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            if refusal := self._refusal(scope):
                await refusal.response()(scope, receive, noting)
                return
            asks = scope["method"] == "POST" and scope["path"].startswith("/v1/")
            if scope["method"] == "HEAD":  # as monitors ask; the server leaves the body out
                scope = {**scope, "method": "GET"}
            with self._service.call() if asks else nullcontext() as call:
                scope.setdefault("state", {})["call"] = call
                await self._app(scope, self._counted(receive, call), noting)
        except Exception as error:  # here, as whoever is outside would log what it says
            refusal = Refusal.of(error)
            if status is None:
                await refusal.response()(scope, receive, noting)
        finally:
            self._measures.requests.labels(path, str(status)).inc()
            self._measures.seconds.labels(path).observe(time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        if self._settings.only_here and not _names_this_machine(headers.get("host", "")):
            message = (
                "without API keys it is asked as localhost or by its address; with some by any name"
            )
            return Refusal(403, message, code="unknown_host")
        if scope["path"] not in OPEN:
            # What a browser adds of itself, on whoever's behalf, is enough for a page alone.
            a_page = not scope["path"].startswith("/v1/")
            if not self._settings.admits(headers.get("authorization", ""), by_password=a_page):
                message = "this server wants an API key: Authorization: Bearer ..."
                ask = {"WWW-Authenticate": 'Basic realm="an API key as password"'} if a_page else {}
                return Refusal(401, message, code="invalid_api_key", headers=ask)
        if scope["method"] not in _READING and _is_of_another_page(headers):
            return Refusal(403, "other pages may not call this server", code="cross_origin")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most:
            return Refusal(413, self._settings.too_large, code="too_large")
        return None

    def _counted(self, receive: Receive, call: Call | None) -> Receive:
        """Of a body whose length nobody told; one for which a place is held comes in time."""
        seen, more = 0, call is not None

        async def counting() -> Message:
            nonlocal seen, more
            try:
                message = await asyncio.wait_for(receive(), call.left if call and more else None)
            except TimeoutError:
                told = f"the request did not arrive in {self._settings.timeout:g} s"
                raise HTTPException(408, told) from None
            more = more and message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise HTTPException(413, self._settings.too_large)
            return message

        return counting
