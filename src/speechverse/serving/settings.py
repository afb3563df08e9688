"""How a server is run."""

from __future__ import annotations

import hmac
import math
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, fields

from speechverse.errors import UserError
from speechverse.types import Seconds


@dataclass(frozen=True)
class ServerSettings:
    """How a server is run.

    Attributes:
        name: Of the model, as requests name it.
        keys: API keys; without any, nobody is asked for one.
        only_here: Whether it is for this machine alone: a page of the network whose name was turned
            to this machine's address afterwards may not ask either (DNS rebinding).
        max_requests: Requests taken at once; one more is told to come again later.
        max_batch: Questions answered together.
        timeout: Seconds that a request may take.
        max_upload: Bytes of a request's audio.
        max_seconds: Of a recording to write down.
        decode_seconds: Processor time that decoding one recording may take.
        decode_memory: Bytes of memory that it may take.
        decoders: Processes that decode.
    """

    name: str = "small"
    keys: tuple[str, ...] = ()
    only_here: bool = False
    max_requests: int = 64
    max_batch: int = 16
    timeout: Seconds = 600.0
    max_upload: int = 25 * 2**20
    max_seconds: Seconds = 2 * 3600.0
    decode_seconds: int = 60
    decode_memory: int = 2**30
    decoders: int = 2

    def __post_init__(self) -> None:
        """Raises a UserError for a number that lets nothing through, or is none."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) in (int, float) and not 0 < value < math.inf:
                raise UserError(f"`{field.name}` is {value:g}, but wants a number above 0")

    @property
    def too_large(self) -> str:
        """What is told of more bytes than may be sent."""
        return f"a request's sounds may have {self.max_upload:,} bytes"

    def admits(self, header: str, by_password: bool = False) -> bool:
        """Whether an `Authorization` header has one of the keys; all are compared, each in constant
        time.

        Args:
            by_password: Whether it may be the password that somebody told a browser.
        """
        scheme, _, told = header.partition(" ")
        given = told.strip().encode() if scheme.lower() == "bearer" else b""
        if by_password and scheme.lower() == "basic":
            with suppress(ValueError):
                _, _, given = b64decode(told).partition(b":")
        matches = [hmac.compare_digest(key.encode(), given) for key in self.keys]
        return not self.keys or any(matches)
