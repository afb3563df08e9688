"""What the endpoints share: the model, its engine, and who else works for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import Request

from speechverse.pipeline import SpeechVerse
from speechverse.serving import chat, transcribing
from speechverse.serving.calls import Call, Places
from speechverse.serving.engine import Engine, Ticket
from speechverse.serving.measures import Measures
from speechverse.serving.refusals import Refusal
from speechverse.serving.schema import ChatRequest
from speechverse.serving.settings import ServerSettings
from speechverse.serving.uploads import Decoders, Samples
from speechverse.types import Answer

Json = dict[str, Any]


class Service:
    """Answers requests about sounds with one loaded model."""

    def __init__(self, loaded: SpeechVerse, settings: ServerSettings) -> None:
        self.loaded, self.settings = loaded, settings
        self.measures = Measures()
        self.engine = Engine(settings.max_batch, self.measures.batches.observe)
        self.places = Places(settings.max_requests)
        self.decoders = Decoders(settings)
        # A thread for each request: one that waits keeps no other waiting.
        self._threads = ThreadPoolExecutor(settings.max_requests, "request")
        self.at_stop: list[Callable[[], None]] = []  # called once nothing new is taken
        self._finding = Lock()  # who writes is loaded once
        self.check = lru_cache(256)(self._check)
        self.measures.in_progress.set_function(lambda: self.places.taken)
        self.measures.waiting.set_function(lambda: self.engine.num_waiting)

    @property
    def ready(self) -> bool:
        return self.engine.alive

    def close(self) -> None:
        """Finishes what was taken."""
        self.engine.close()
        self._threads.shutdown()
        self.decoders.close()

    def call(self) -> Call:
        """A place for a request, before anything of it is read.

        Raises:
            Refusal: If there is none.
        """
        return Call(self.engine, self.places, self.settings.timeout)

    def check_model(self, name: str) -> None:
        """Raises a Refusal if a request is for another."""
        if name != self.settings.name:
            message = f"there is no model '{name}' here, but '{self.settings.name}'"
            raise Refusal(404, message, param="model", code="model_not_found")

    async def read(self, request: Request, call: Call, body: ChatRequest) -> chat.Asked:
        """What a chat request asks; see `chat.read`."""
        decoded = partial(self.decoders.decoded, unwanted=lambda: call.unwanted)
        reading = call.in_thread(self._threads, chat.read, self.loaded, decoded, body)
        asked = await call.answer(request, reading)
        self.measures.audio.inc(asked.question.seconds or 0)
        return asked

    async def answer(self, request: Request, call: Call, asked: chat.Asked) -> Answer:
        ticket = call.submit(
            Ticket(asked.work, asked.with_listener(unwanted=lambda: call.unwanted))
        )
        made = await call.answer(request, asyncio.wrap_future(ticket.future))
        self._count(asked, made)
        return made

    async def pieces(
        self, call: Call, asked: chat.Asked, wording: chat.Completion, with_cost: bool
    ) -> AsyncIterator[Json]:
        """An answer as OpenAI streams it; the first event comes with the first piece."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def put(piece: str | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, piece)

        def tell(piece: str) -> None:
            ticket.has_streamed = True
            put(piece)

        async def next_piece() -> str | None:
            try:
                return await asyncio.wait_for(queue.get(), call.left)
            except TimeoutError:
                raise call.late() from None

        told = asked.with_listener(on_piece=tell, unwanted=lambda: call.unwanted)
        ticket = Ticket(asked.work, told)
        ticket.future.add_done_callback(lambda future: put(None))
        call.submit(ticket)
        piece = await next_piece()
        if piece is None and not call.unwanted:
            ticket.future.result()  # raises what failed before anything could be told
        yield wording.begin()
        while piece is not None:
            yield wording.piece(piece)
            piece = await next_piece()
        if call.unwanted:  # it was given up, perhaps while it waited, and has no result
            return
        answer = ticket.future.result()
        self._count(asked, answer)
        yield wording.end(answer)
        if with_cost:
            yield wording.cost(answer)

    async def transcript(
        self, request: Request, call: Call, form: transcribing.Form
    ) -> transcribing.Transcript:
        content = await self._content(form)

        def make() -> transcribing.Transcript:
            work = self._work_of(form)
            with self._decoded(call, content) as samples:
                written = transcribing.segments(call, work, samples)
                return transcribing.transcript_of(written, work.writer, samples)

        return await call.answer(request, call.in_thread(self._threads, make))

    async def transcript_events(self, call: Call, form: transcribing.Form) -> AsyncIterator[Json]:
        steps = self._events(call, form, await self._content(form))
        while (event := await call.in_thread(self._threads, next, steps, None)) is not None:
            yield event

    def _events(self, call: Call, form: transcribing.Form, content: bytes) -> Iterator[Json]:
        work = self._work_of(form)
        with self._decoded(call, content) as samples:
            written = transcribing.segments(call, work, samples)
            yield from transcribing.events(written, samples.duration)

    async def _content(self, form: transcribing.Form) -> bytes:
        content = await form.file.read()
        if len(content) > self.settings.max_upload:
            raise Refusal(413, self.settings.too_large, param="file", code="too_large")
        return content

    def _check(self, path: str) -> None:
        """Raises an AudioError for a file that decoding, with its limits, does not get through."""
        content, longest = Path(path).read_bytes(), self.settings.max_seconds
        with self.decoders.decoded(content, longest, whole=False):
            pass

    def _work_of(self, form: transcribing.Form) -> transcribing.Writing:
        with self._finding:
            return transcribing.work_of(self.loaded, form)

    @contextmanager
    def _decoded(self, call: Call, content: bytes) -> Iterator[Samples]:
        longest, unwanted = self.settings.max_seconds, lambda: call.unwanted
        with self.decoders.decoded(content, longest, whole=False, unwanted=unwanted) as samples:
            self.measures.audio.inc(samples.duration)
            yield samples

    def _count(self, asked: chat.Asked, answer: Answer) -> None:
        self.measures.tokens.labels("prompt").inc(asked.prompt_tokens)
        self.measures.tokens.labels("answer").inc(answer.num_tokens or 0)
