"""One request from its admission to its end: its place, its deadline, and what it waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from threading import Lock
from typing import Any, TypeVar

from fastapi import Request

from speechverse.serving.engine import Engine, Ticket
from speechverse.serving.refusals import Refusal
from speechverse.types import Seconds

Made = TypeVar("Made")


class Places:
    """How many requests are taken at once."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self.taken = 0

    def take(self) -> None:
        """Raises a Refusal where there is none."""
        with self._lock:
            if self.taken >= self._most:
                message = f"{self._most} requests are being answered: come again a little later"
                raise Refusal(429, message, code="queue_full")
            self.taken += 1

    def free(self) -> None:
        with self._lock:
            self.taken -= 1


class Call:
    """A request that has a place until the end of its block, whether answered, late or given up,
    and until no thread works for it any longer.
    """

    def __init__(self, engine: Engine, places: Places, timeout: Seconds) -> None:
        places.take()
        self._engine, self._places, self._timeout = engine, places, timeout
        self._deadline = time.monotonic() + timeout
        self._tickets: list[Ticket] = []
        self._closed = self._begun = False
        self._users, self._lock = 1, Lock()  # the block, and the threads at work

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def left(self) -> Seconds:
        """Until its deadline."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits any longer."""
        return self._closed

    def submit(self, ticket: Ticket) -> Ticket:
        """Has something of it wait for its turn.

        Raises:
            Refusal: If nobody waits for it any longer.
        """
        if self._closed:
            raise self.late()
        self._begun = self._begun or any(one.begun for one in self._tickets)
        self._tickets = [*(one for one in self._tickets if not one.future.done()), ticket]
        self._engine.submit(ticket)
        if self._closed:  # meanwhile, by another thread, which may not have seen this one
            ticket.give_up()
        return ticket

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            for ticket in self._tickets:
                ticket.give_up()
            self._release()

    async def in_thread(self, threads: Executor, make: Callable[..., Made], *given: Any) -> Made:
        """What is made in a thread, which holds the place for as long as it works."""
        with self._lock:
            self._users += 1
        future = threads.submit(make, *given)
        future.add_done_callback(lambda future: self._release())
        return await asyncio.wrap_future(future)

    def _release(self) -> None:
        with self._lock:
            self._users -= 1
            left = self._users
        if not left:
            self._places.free()

    def late(self) -> Refusal:
        """What is told at the deadline: whether to come again, or to ask for less."""
        if not self._begun and not any(ticket.begun for ticket in self._tickets):
            message = f"no turn came in {self._timeout:g} s: come again a little later"
            return Refusal(503, message, code="overloaded")
        return Refusal(504, f"the answer took more than {self._timeout:g} s", code="timeout")

    async def answer(self, request: Request, making: Awaitable[Made]) -> Made:
        """What is being made, unless the deadline comes or the client goes before.

        Raises:
            Refusal: If so.
        """
        task, gone = asyncio.ensure_future(making), asyncio.ensure_future(_left(request))
        try:
            either: set[asyncio.Future[Any]] = {task, gone}
            await asyncio.wait(either, timeout=self.left, return_when="FIRST_COMPLETED")
            if task.done():
                return task.result()
            raise Refusal(499, "the client went away") if gone.done() else self.late()
        finally:
            gone.cancel()
            task.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
