"""What is answered instead of an answer, in the shape of OpenAI's errors."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from speechverse.errors import AudioError, AudioTooLongError, UserError, no_room
from speechverse.serving.uploads import NoRoomError

logger = logging.getLogger(__name__)

BUSY_SECONDS = 2
"""After which a refused client may try again."""

_UNION_TAG = re.compile(r"[a-z-]+\[.+\]|constrained-[a-z]+")
"""What pydantic writes among a place's names for one of the kinds that a field may be."""
_OF_STATUS = {401: "authentication_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """A request that gets no answer.

    Attributes:
        status: HTTP's.
        param: The field at fault.
        code: What is wrong, for programs.
        headers: More of the answer's.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers or {}

    @classmethod
    def of(cls, error: BaseException) -> Refusal:
        """What a client is told of an error; of one of our own no more than that it is one."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, AudioTooLongError):
            return cls(400, str(error), code="audio_too_long")
        if isinstance(error, AudioError):
            return cls(400, str(error), code="invalid_audio")
        if isinstance(error, UserError):
            return cls(400, str(error))
        if isinstance(error, NoRoomError) or no_room(error):  # the latter as a form is read
            logger.error("the disk for temporary files is full")
            return cls(503, str(NoRoomError()), code="no_room")
        if isinstance(error, HTTPException):  # of the framework: 404, 405 with Allow, 413
            return cls(error.status_code, str(error.detail), headers=error.headers)
        # An error's own words may hold what was asked or said, so its place alone is logged.
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s while answering a request, at\n%s", type(error).__name__, place)
        return cls(500, "the server failed at this request; its log says where")

    @property
    def body(self) -> dict[str, Any]:
        kind = _OF_STATUS.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        message = str(self).encode(errors="replace").decode()  # it may quote half a character
        told = {"message": message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(BUSY_SECONDS)} if self.status in (429, 503) else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.body, self.status, {**headers, **self.headers})


def handle_refusals(app: FastAPI) -> None:
    """Has the errors of a request answered in OpenAI's shape."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, RequestValidationError):
            return _unfit(error.errors(), request.headers.get("content-type", "")).response()
        return Refusal.of(error).response()

    for kind in (Refusal, UserError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refused)


def _unfit(errors: Sequence[Mapping[str, Any]], content_type: str) -> Refusal:
    """Of all that is wrong with a body what lies deepest: of what a field may be, what it was meant
    to be.
    """
    first = max(errors, key=lambda error: len(error["loc"]))
    parts = [str(part) for part in first["loc"] if part != "body"]
    place = ".".join(part for part in parts if not _UNION_TAG.fullmatch(part)) or None
    if place is None and "json" not in content_type:
        return Refusal(400, "send JSON, and say so: Content-Type: application/json")
    if place == "file":
        return Refusal(400, "'file': send it as a file: -F file=@clip.wav", param=place)
    bounds = first.get("ctx", {})
    takes_nothing = 0 in (bounds.get("max_length"), bounds.get("le"))
    if first["type"] == "extra_forbidden" or takes_nothing:
        message = f"'{place}' cannot be honoured by this server: leave it out"
        return Refusal(400, message, param=place, code="unsupported_parameter")
    return Refusal(400, f"'{place or 'the body'}': {first['msg']}", param=place)
