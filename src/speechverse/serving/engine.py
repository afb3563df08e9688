"""One thread that owns the model; what waits for it is done in batches of like with like."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from queue import SimpleQueue
from threading import Condition, Event, Thread
from typing import Any, Protocol, TypeVar

Made = TypeVar("Made")


class Work(Protocol):
    """What is done with items; items of equal works are done together."""

    def __call__(self, items: Sequence[Any], /) -> Sequence[Any]:
        """A result for each item."""

    def __hash__(self) -> int: ...


class Ticket:
    """One item that waits or is being worked on.

    Attributes:
        future: Its result to come.
        has_streamed: Whether some of its result was told, so that it must not be begun anew.
    """

    def __init__(self, work: Work, item: Any) -> None:
        self.work, self.item, self.has_streamed = work, item, False
        self.future: Future[Any] = Future()
        self._given_up = Event()

    @property
    def begun(self) -> bool:
        """Whether it no longer waits."""
        return self.future.running() or self.future.done()

    @property
    def unwanted(self) -> bool:
        return self._given_up.is_set()

    def give_up(self) -> None:
        """Frees its place: at once while it waits, at the next token while it is answered."""
        self._given_up.set()
        self.future.cancel()


class Engine:
    """Takes items and works on them, those that came first before others, with all others that
    wait for equal work.

    Items that arrive while a batch is worked on wait for the next one.
    """

    def __init__(self, max_batch: int, on_batch: Callable[[int], None] = lambda size: None) -> None:
        """Makes an engine.

        Args:
            max_batch: Items worked on together.
            on_batch: Is told the size of each batch.
        """
        self._max_batch, self._on_batch = max_batch, on_batch
        self._waiting = deque[Ticket]()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._run, daemon=True, name="engine")

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def submit(self, ticket: Ticket) -> Ticket:
        """Has an item wait for its turn.

        Raises:
            RuntimeError: If the engine is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append(ticket)
            self._changed.notify()
        ticket.future.add_done_callback(lambda future: self._forget(ticket))
        return ticket

    def _forget(self, ticket: Ticket) -> None:
        """What was given up while it waited is let go at once, with its sound."""
        if ticket.future.cancelled():
            with self._changed, suppress(ValueError):  # it may just have been taken
                self._waiting.remove(ticket)

    def close(self) -> None:
        """Finishes what was taken, and ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self.alive:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._on_batch(len(batch))
            self._work_on(batch)

    def _next_batch(self) -> list[Ticket]:
        """Tickets that are running from now on; none once all is done and the engine closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                if batch := self._take():
                    return batch

    def _take(self) -> list[Ticket]:
        work, batch, left = self._waiting[0].work, list[Ticket](), deque[Ticket]()
        for ticket in self._waiting:
            if len(batch) == self._max_batch or ticket.work != work:
                left.append(ticket)
            elif ticket.future.set_running_or_notify_cancel():
                batch.append(ticket)
        self._waiting = left
        return batch

    def _work_on(self, batch: list[Ticket]) -> None:
        try:
            results = batch[0].work([ticket.item for ticket in batch])
        except BaseException as error:  # a library in Rust may panic; the thread goes on
            for ticket in batch:  # the fault of one is not that of its neighbours
                if len(batch) == 1:
                    ticket.future.set_exception(error)
                elif ticket.has_streamed:  # the error may quote what a neighbour asked
                    ticket.future.set_exception(RuntimeError("broken off in a batch that failed"))
                else:
                    self._work_on([ticket])
            return
        for ticket, result in zip(batch, results, strict=True):
            ticket.future.set_result(result)


class _Alone:
    """Work that equals no other, so that nothing joins it."""

    def __call__(self, items: Sequence[Callable[[], Any]], /) -> Sequence[Any]:
        return [item() for item in items]


def passed_on(engine: Engine, steps: Generator[Made]) -> Iterator[Made]:
    """What is made step by step, all of it in one turn of the engine's thread, which does not wait
    for who reads it; whoever stops reading stops it, at its next step.
    """
    queue = SimpleQueue[tuple[Made] | None]()

    def make() -> None:
        with closing(steps):
            for step in steps:
                queue.put((step,))
                if ticket.unwanted:
                    break

    ticket = Ticket(_Alone(), make)
    ticket.future.add_done_callback(lambda future: queue.put(None))
    engine.submit(ticket)
    try:
        while step := queue.get():
            yield step[0]
        ticket.future.result()
    finally:
        ticket.give_up()
