"""The endpoints."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import generate_latest

from speechverse import __version__
from speechverse.pipeline import SpeechVerse
from speechverse.serving import chat, transcribing
from speechverse.serving.calls import Call
from speechverse.serving.door import Door
from speechverse.serving.refusals import Refusal, handle_refusals
from speechverse.serving.schema import ChatRequest, TranscriptionForm, TranslationForm
from speechverse.serving.service import Service
from speechverse.serving.settings import ServerSettings

_DESCRIPTION = (
    "Answers about sounds, by OpenAI's conventions. What cannot be honoured is an error. Sounds are"
    " sent with the request; no addresses are fetched."
)
_UPLOADED = "multipart/form-data"


def create_app(loaded: SpeechVerse, settings: ServerSettings | None = None) -> FastAPI:
    """An ASGI app that answers with a loaded model; see docs/serving.md."""
    service = Service(loaded, settings or ServerSettings())

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        yield
        service.close()

    # Its pages of documentation would load scripts from elsewhere; /openapi.json is there.
    app = FastAPI(
        title="speechverse",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    handle_refusals(app)
    _add_chat(app, service)
    _add_audio(app, service)
    _add_about(app, service)
    app.add_middleware(Door, service=service, paths=app.openapi()["paths"])
    return app


def _add_chat(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions", responses=_answered("text/event-stream"))
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        """Answer about one sound or several."""
        service.check_model(body.model)
        call: Call = request.state.call
        asked = await service.read(request, call, body)
        wording = chat.Completion(asked, service.settings.name)
        if not body.stream:
            return JSONResponse(wording.whole(await service.answer(request, call, asked)))
        cost = body.stream_options is not None and bool(body.stream_options.include_usage)
        events = service.pieces(call, asked, wording, cost)
        return await _streamed(request, call, events, done=True)


def _add_audio(app: FastAPI, service: Service) -> None:
    async def transcribe(request: Request, form: transcribing.Form) -> Response:
        await _refuse_doubled(request)
        service.check_model(form.model)
        call: Call = request.state.call
        if form.stream:
            return await _streamed(request, call, service.transcript_events(call, form))
        made = await service.transcript(request, call, form)
        words = transcribing.format_transcript(made, form.response_format)
        return PlainTextResponse(words) if isinstance(words, str) else JSONResponse(words)

    told = _answered("text/plain", "text/event-stream")

    @app.post("/v1/audio/transcriptions", responses=told)
    async def transcriptions(
        request: Request, form: Annotated[TranscriptionForm, Form(media_type=_UPLOADED)]
    ) -> Response:
        """Write down what is said in a recording of any length."""
        return await transcribe(request, form)

    @app.post("/v1/audio/translations", responses=told)
    async def translations(
        request: Request, form: Annotated[TranslationForm, Form(media_type=_UPLOADED)]
    ) -> Response:
        """Write what is said in another language."""
        return await transcribe(request, form)


def _add_about(app: FastAPI, service: Service) -> None:
    model = {
        "id": service.settings.name,
        "object": "model",
        "created": 0,
        "owned_by": "speechverse",
    }

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{name:path}", responses=_REFUSED)
    async def one_model(name: str) -> dict[str, Any]:
        if name != service.settings.name:
            raise Refusal(404, f"there is no model '{name}' here", code="model_not_found")
        return model

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health", responses=_REFUSED)
    @app.get("/health/ready", responses=_REFUSED)
    async def ready() -> dict[str, str]:
        if not service.ready:
            raise Refusal(503, "the engine has failed", code="not_ready")
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(service.measures.registry))


async def _refuse_doubled(request: Request) -> None:
    """A form's field that comes twice: all but the last would be ignored."""
    names = [name for name, _ in (await request.form()).multi_items()]
    for name in names:
        if names.count(name) > 1 and not name.endswith("[]"):
            raise Refusal(400, f"'{name}' is given twice: send it once", param=name)


async def _streamed(
    request: Request, call: Call, events: AsyncIterator[dict[str, Any]], done: bool = False
) -> Response:
    """The first event is awaited before anything is told, so that what fails until then is an
    error of the request, which a client may try again.
    """
    first = await call.answer(request, anext(events))
    headers = {"Cache-Control": "no-store"}
    sent = _sent(first, events, done)
    return StreamingResponse(sent, media_type="text/event-stream", headers=headers)


async def _sent(
    first: dict[str, Any], others: AsyncIterator[dict[str, Any]], done: bool
) -> AsyncIterator[str]:
    """As server-sent events; what fails in their midst is one of them, the last."""
    try:
        yield _event(first)
        async for event in others:
            yield _event(event)
        if done:
            yield "data: [DONE]\n\n"
    except Exception as error:
        yield _event(Refusal.of(error).body)


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": (
            "400: it cannot be answered as it is asked. 401: it has no key. 404: there is no such"
            " model. 408: it did not arrive in time. 413: it is too large. 429: too many at once."
            " 500: the server failed. 503: no turn came in time, there is no room for recordings,"
            " or the engine has failed. 504: the answer took too long."
        ),
        "content": {"application/json": {"schema": _ERROR}},
    }
}


def _answered(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What comes back of an endpoint that also answers with other kinds of content than JSON."""
    # An event is JSON of several shapes, which no schema here tells apart.
    content = {
        kind: {"schema": {"type": "string"} if kind == "text/plain" else {}} for kind in kinds
    }
    return {200: {"content": content}, **_REFUSED}
