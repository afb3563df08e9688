"""A server as a process: until it is told to stop, and then until it has finished what it took."""

from __future__ import annotations

import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from speechverse.serving.service import Service

FINISHING = 5
"""Seconds beyond a request's own."""


class _Server(uvicorn.Server):
    """Ends with status 0 when it was told to end: uvicorn's raises the signal anew, behind all that
    it finished, and so looks killed by it.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for stop in self._service.at_stop:
            stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def server_of(app: FastAPI, host: str, port: int) -> uvicorn.Server:
    """A server of what `create_app` makes, to `run()`; SIGTERM and Ctrl-C have it refuse what is
    new and finish what it took.

    Addresses and paths of requests are logged, what they hold is not.
    """
    service: Service = app.state.service
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            server_header=False,
            timeout_graceful_shutdown=round(service.settings.timeout) + FINISHING,
        ),
        service,
    )


def keep_content_out_of_logs() -> None:
    """Warnings of the pipeline quote instructions; errors stay."""
    logging.getLogger("speechverse").setLevel(logging.ERROR)
