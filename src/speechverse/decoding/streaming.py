"""An answer piece by piece, made beside whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from threading import Event, Thread

from speechverse.types import Answer

Make = Callable[[Callable[[str], None], Event], Answer]


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they come. Whoever stops reading (`close`, an error, Ctrl-C, the
    end of the block) also stops the model, at its next token.

    Attributes:
        answer: The whole answer, once all pieces have come.
    """

    def __init__(self, make: Make, at_end: Callable[[Answer], None] = lambda answer: None) -> None:
        """Begins with the first piece that is asked for.

        Args:
            make: Makes the answer, telling a function its pieces, until it is cancelled.
            at_end: Is told the answer once all its pieces have been read, by whoever reads them:
                the model may be done long before.
        """
        self.answer: Answer | None = None
        self._pieces = self._run(make, at_end)

    def __next__(self) -> str:
        return next(self._pieces)

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the model, if it is still answering."""
        self._pieces.close()

    def _run(self, make: Make, at_end: Callable[[Answer], None]) -> Generator[str, None, None]:
        queue: SimpleQueue[str | Answer | BaseException] = SimpleQueue()
        unwanted = Event()

        def work() -> None:
            try:
                queue.put(make(queue.put, unwanted))
            except BaseException as error:
                queue.put(error)

        worker = Thread(target=work, daemon=True, name="answering")
        worker.start()
        try:
            while not isinstance(piece := queue.get(), Answer):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
            self.answer = piece
            at_end(piece)
        finally:
            unwanted.set()
            worker.join()
