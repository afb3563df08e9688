"""The one thread that owns the model: who is worked on with whom, and when."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from speechverse.serving.calls import Call, Places
from speechverse.serving.engine import Engine, Ticket, passed_on


@dataclass(frozen=True)
class Counting:
    """Doubles numbers, notes what it is given together, and waits until it is let go."""

    name: str
    seen: list = field(compare=False, default_factory=list)
    go: threading.Event = field(compare=False, default_factory=threading.Event)

    def __call__(self, items):
        self.seen.append(list(items))
        assert self.go.wait(10)
        return [2 * item for item in items]


@pytest.fixture
def engine():
    made = Engine(max_batch=3)
    made.start()
    yield made
    made.close()


def begun(engine, work, item):
    """A ticket that the engine is busy with."""
    ticket = engine.submit(Ticket(work, item))
    while not ticket.begun:
        pass
    return ticket


def test_what_waits_joins_the_next_batch_of_equal_work_and_who_came_first_is_first(engine):
    work, other = Counting("a"), Counting("b")
    first = begun(engine, work, 0)
    tickets = [engine.submit(Ticket(work, n)) for n in range(1, 3)]
    tickets += [engine.submit(Ticket(other, 10))]
    tickets += [engine.submit(Ticket(work, n)) for n in range(3, 6)]
    other.go.set()
    work.go.set()
    assert [one.future.result(10) for one in (first, *tickets)] == [0, 2, 4, 20, 6, 8, 10]
    assert (work.seen, other.seen) == ([[0], [1, 2, 3], [4, 5]], [[10]])


def test_what_is_given_up_frees_its_place_and_the_fault_of_one_is_its_own(engine):
    work = Counting("a")
    begun(engine, work, 0)
    gone, bad, good = (engine.submit(Ticket(work, item)) for item in (1, None, 2))
    told, untold = (Ticket(Counting("b", go=work.go), item) for item in ("ab", "cd"))
    failing = Ticket(told.work, None)
    told.has_streamed = True
    for ticket in (told, failing, untold):
        engine.submit(ticket)
    gone.give_up()
    work.go.set()
    assert good.future.result(10) == 4
    for faulty in (bad, failing):
        assert isinstance(faulty.future.exception(10), TypeError)
    assert untold.future.result(10) == "cdcd"  # begun anew, as nobody had heard of it
    assert isinstance(told.future.exception(10), RuntimeError)  # its neighbour's words are not told
    assert gone.future.cancelled() and [1] not in work.seen
    assert engine.num_waiting == 0


def test_what_is_given_up_while_it_waits_is_let_go_of_at_once(engine):
    work = Counting("a")
    begun(engine, work, 0)
    tickets = [engine.submit(Ticket(Counting("b"), n)) for n in range(100)]
    for ticket in tickets[1:]:
        ticket.give_up()
    assert engine.num_waiting == 1
    tickets[0].work.go.set()
    work.go.set()
    assert tickets[0].future.result(10) == 0


def test_what_is_asked_while_its_call_closes_is_given_up():
    class Closing(Engine):
        def submit(self, ticket):
            call.close()  # as another thread may, between the look and the line
            return super().submit(ticket)

    call = Call(Closing(1), Places(1), timeout=10)
    assert call.submit(Ticket(Counting("a"), 0)).future.cancelled()


def test_a_closing_engine_finishes_what_it_took_and_takes_no_more(engine):
    work = Counting("a")
    tickets = [begun(engine, work, 0), *(engine.submit(Ticket(work, n)) for n in (1, 2))]
    closing = threading.Thread(target=engine.close)
    closing.start()
    work.go.set()
    closing.join(10)
    assert [ticket.future.result(0) for ticket in tickets] == [0, 2, 4]
    with pytest.raises(RuntimeError):
        engine.submit(Ticket(work, 3))


def test_what_comes_step_by_step_is_made_in_a_turn_of_its_own_whoever_reads_it(engine):
    work, threads, stopped = Counting("a"), set(), threading.Event()

    def steps(number):
        try:
            for step in range(number):
                threads.add(threading.current_thread().name)
                yield step
        finally:
            stopped.set()

    begun(engine, work, 0)
    read, left = passed_on(engine, steps(3)), passed_on(engine, steps(10**9))
    reading = threading.Thread(target=lambda: (next(left), left.close()))
    reading.start()
    reading.join(0.05)
    assert reading.is_alive() and not threads  # it waits behind what came before
    work.go.set()
    reading.join(10)
    assert stopped.wait(10)
    assert next(read) == 0  # it is not read on, and holds nobody up
    assert engine.submit(Ticket(work, 1)).future.result(10) == 2
    assert [*read] == [1, 2] and threads == {"engine"}

    def failing():
        yield 1
        raise ValueError("its own")

    failed = passed_on(engine, failing())
    assert next(failed) == 1
    with pytest.raises(ValueError, match="its own"):
        next(failed)
