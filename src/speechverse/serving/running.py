"""A server as a process: until it is told to stop, and then until it has finished what it took."""

from __future__ import annotations

import logging
import signal
from types import FrameType

import uvicorn

from speechverse.pipeline import SpeechVerse
from speechverse.serving.app import create_app
from speechverse.serving.settings import ServerSettings

_FINISHING = 5  # seconds beyond a request's own


class _Server(uvicorn.Server):
    """Ends with status 0 when it was told to end: uvicorn's raises the signal anew, behind all that
    it finished, and so looks killed by it.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def server_of(
    loaded: SpeechVerse, settings: ServerSettings, host: str, port: int
) -> uvicorn.Server:
    """A server to `run()`; SIGTERM and Ctrl-C have it refuse what is new and finish what it took.

    Addresses and paths of requests are logged, what they hold is not.
    """
    return _Server(
        uvicorn.Config(
            create_app(loaded, settings),
            host=host,
            port=port,
            server_header=False,
            timeout_graceful_shutdown=round(settings.timeout) + _FINISHING,
        )
    )


def keep_content_out_of_logs() -> None:
    """Warnings of the pipeline quote instructions; errors stay."""
    logging.getLogger("speechverse").setLevel(logging.ERROR)
