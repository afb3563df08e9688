"""`speechverse quickstart`: the whole way, small, on this machine."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.files import write_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

QUESTIONS = (
    "Transcribe the preceding audio.",
    "Translate the audio to German.",
    "What is the intent of the speaker?",
    "Which emotion does the voice convey?",
    "How many people are speaking?",
)
"""What the finished model is asked of the first clips of the test set."""


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all that is made.")] = Path("quickstart"),
    train_clips: Annotated[int, typer.Option(min=50, help="Clips of fresh speech to train on.")] = 3300,
    limit: Annotated[int, typer.Option(min=1, help="Test examples a task.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the fresh speech and of the training.")] = 1,
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to the `tiny` recipe, key=value.")] = None,
) -> None:
    """Make speech, train the adapters through the curriculum, evaluate all tasks, write a page, ask some questions.

    Interrupt it when you like: the same command goes on where it stopped.

    Example: speechverse quickstart --output quickstart
    """
    from rich.console import Console

    Quickstart(Console(), output, train_clips, limit, seed, tuple(overrides or ())).run()


class Quickstart:
    """The four parts in their order; each leaves whole files behind and is passed over when they are there."""

    def __init__(
        self, console: Console, output: Path, train_clips: int, limit: int, seed: int, overrides: tuple[str, ...]
    ) -> None:
        self.console = console
        self.world, self.test = output / "speech", output / "test-speech"
        self.corpora = {"world": self.world, "test": self.test}
        self.model, self.report = output / "model", output / "report"
        self.times_file = output / "times.json"
        self.train_clips, self.limit, self.seed = train_clips, limit, seed
        self.overrides = overrides
        output.mkdir(parents=True, exist_ok=True)
        self.times: dict[str, float] = json.loads(self.times_file.read_text()) if self.times_file.exists() else {}

    def run(self) -> None:
        for title, part in self._parts():
            with self._timed(title):
                part()
        self._say_where()

    def _parts(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "fresh speech", self.make_speech
        yield "training", self.train
        yield "evaluation", self.evaluate
        yield "questions", self.ask

    def make_speech(self) -> None:
        from speechverse.cli.synth import make_corpus
        from speechverse.synth import SynthSpec, test_set_spec

        spec = SynthSpec(name="world", num_train=self.train_clips, num_dev=200, num_test=0, seed=self.seed)
        make_corpus(self.world, spec)
        make_corpus(self.test, test_set_spec(), test_set=True)

    def train(self) -> None:
        from speechverse.training import load_recipe, train

        corpora = [f"data.corpora.{name}.path={path.resolve()}" for name, path in self.corpora.items()]
        evaluation = ["evaluation.corpus=test", f"evaluation.limit={self.limit}"]
        changes = [f"seed={self.seed}", *corpora, *evaluation, *self.overrides]
        train(load_recipe("tiny", changes), self.model, resume=True)

    def evaluate(self) -> None:
        from speechverse.cli import evaluate

        if not (self.report / "report.html").exists():
            evaluate.command(str(self.model), output=self.report)

    def ask(self) -> None:
        from rich.text import Text

        from speechverse import SpeechVerse
        from speechverse.data import Corpus

        model = SpeechVerse.from_pretrained(self.model)
        for utterance in _askable(Corpus.open(self.test))[:3]:
            said = f"  ({utterance.duration:.1f} s: “{utterance.text}”)"
            self._print(Text.assemble("\n", (str(utterance.audio.path), "bold"), said))
            answers: Any = model.ask([utterance.audio] * len(QUESTIONS), list(QUESTIONS))
            for question, answer in zip(QUESTIONS, answers, strict=True):
                self._print(Text.assemble(f"  {question:<44} ", (answer.text, "green")))

    @contextmanager
    def _timed(self, title: str) -> Iterator[None]:
        self.console.rule(f"[bold]{title}", align="left")
        begin = time.monotonic()
        try:
            yield
        finally:  # what an interrupted run has spent counts too
            self.times[title] = self.times.get(title, 0.0) + time.monotonic() - begin
            write_text(self.times_file, json.dumps(self.times, indent=1))

    def _say_where(self) -> None:
        spent = ", ".join(f"{title} {seconds:.0f} s" for title, seconds in self.times.items())
        self.console.rule("[bold]done", align="left")
        self._print(f"time    {spent}; together {sum(self.times.values()) / 60:.1f} min")
        self._print(f"page    {(self.report / 'report.html').resolve()}")
        self._print(f'ask     speechverse ask CLIP "What is being said?" --model {shlex.quote(str(self.model))}')

    def _print(self, line: str | Text) -> None:
        """As it is, and never folded: paths and commands are there to be copied."""
        self.console.print(line, soft_wrap=True, markup=False, highlight=False)


def _askable(corpus: Any) -> list[Any]:
    """Clips of one speaker whose questions all have an answer."""
    return [u for u in corpus.utterances("test") if "intent" in u.labels and u.labels.get("num_speakers") == 1]
