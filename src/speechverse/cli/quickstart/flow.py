"""The quickstart's parts in their order; each leaves whole files behind and is passed over when
they are there.
"""

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

from pydantic import TypeAdapter

from speechverse.cli.quickstart import clip_questions, lesson, quickstart_page
from speechverse.cli.quickstart.robot import COMMANDS, QUESTION
from speechverse.errors import AudioTooLongError, UserError
from speechverse.files import folder_lock, make_folder, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from speechverse import SpeechVerse
    from speechverse.evaluation import Results
    from speechverse.world import SynthSpec

CASCADE = "cascade-whisper"
SYSTEMS = ("speechverse", CASCADE)
LOOKED_AT = ("asr", "ic", "sf", "kws", "er", "sc")
"""What is looked at: four tasks about the words, two about the voice."""

FETCHING = "frozen parts"
"""Timed apart: it goes by the network, not by the machine."""

_ASKED = TypeAdapter(dict[str, clip_questions.Asked])


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is made and asked: made clips, how many of them are asked about, clips a task in the
    look, and clips that the lesson is learned on and tried on.
    """

    clips: int = 24
    asked: int = 3
    per_task: int = 10
    lesson_train: int = 80
    lesson_test: int = 40


@dataclass
class Quickstart:
    """One quickstart in one folder."""

    console: Console
    output: Path
    model: str = "small"
    clips: tuple[Path, ...] = ()
    sizes: Sizes = Sizes()
    seed: int = 1
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.speech, self.look = self.output / "speech", self.output / "look"
        lesson_folder = self.output / "lesson"
        self.lesson_speech, self.taught = lesson_folder / "speech", lesson_folder / "model"
        self.before, self.after = lesson_folder / "before", lesson_folder / "after"
        self.page = self.output / "quickstart.html"
        make_folder(lesson_folder)
        self._models: dict[str, SpeechVerse] = {}
        self._answers: list[clip_questions.Asked] = []
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        """Goes through the parts.

        Raises:
            UserError: If the folder was begun otherwise, another run is in it, or a part cannot be
                fetched.
            KeyboardInterrupt: If it was asked to stop; it says how to go on.
        """
        with folder_lock(self.output, "making the quickstart in"):
            self._check_folder()
            self._check_clips()
            try:
                for title, doing, part in self._parts():
                    self.console.rule(f"[bold]{title}", align="left")
                    self._print(doing)
                    with self._timed(title):
                        part()
                self._write_page()
            except KeyboardInterrupt:
                self._print(
                    f"stopped: what is finished stays in '{self.output}', and the same command"
                    " goes on"
                )
                raise
        self._say_where()

    @contextmanager
    def _timed(self, title: str) -> Iterator[None]:
        """Adds to what the part took before it was stopped."""
        file = self.output / "seconds.json"
        self._seconds = json.loads(file.read_text()) if file.exists() else {}
        begin = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - begin
            self._seconds[title] = self._seconds.get(title, 0.0) + took
            write_text(file, json.dumps(self._seconds))

    def _check_clips(self) -> None:
        """A clip too long to be asked about is told before anything is fetched or made."""
        if not self.clips:
            return
        from speechverse.audio import duration_of
        from speechverse.hub import resolve
        from speechverse.models.assembly import read_config

        longest = read_config(resolve(self.model)).max_audio_seconds
        for clip in self.clips:
            if (seconds := duration_of(clip)) > longest:
                raise AudioTooLongError(
                    f"'{clip}' lasts {seconds:.1f} s, and '{self.model}' hears {longest:g} s at"
                    " once: cut it shorter; `speechverse ask` takes longer ones"
                )

    def _check_folder(self) -> None:
        """Answers of one model must not stand beside those of another: what a folder was begun with
        is kept in it.
        """
        from speechverse.evaluation.provenance import checkpoint_fingerprint

        begun = {
            "model": self.model,
            "fingerprint": checkpoint_fingerprint(self.model),
            "seed": self.seed,
            "sizes": asdict(self.sizes),
            "changes": list(self.overrides),
        }
        file = self.output / "begun.json"
        found = json.loads(file.read_text()) if file.exists() else begun
        if other := [key for key in begun if begun[key] != found.get(key)]:
            raise UserError(
                f"'{self.output}' was begun with another {' and '.join(other)}: name a new folder"
                " with --output, or remove this one"
            )
        write_text(file, json.dumps(begun, indent=1))

    def _parts(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        """Title, what is happening in one line, and what does it."""
        sizes, recipe = self.sizes, self._recipe
        steps = recipe.curriculum[-1].steps * recipe.data.batch.max_examples
        fetching = "What the model stands on: from the package index, checked by hash."
        asking = "Made voices it never heard, and your own file, if you named one with --clip."
        looking = f"Six tasks, {sizes.per_task} clips each, beside {CASCADE}:"
        tried = f"{sizes.lesson_test} clips in other words and voices before and after"
        yield FETCHING, fetching, self._fetch
        yield "questions", asking, self._ask
        yield "a look", f"{looking} a look and not a measurement.", self._take_a_look
        yield (
            "something new",
            f"Four commands for a robot, read and then heard: {steps} clip-steps; {tried}.",
            self._teach,
        )

    def _fetch(self) -> None:
        names, fetched = known_parts_of(self.model), fetch(known_parts_of(self.model))
        here = [name for name in names if name not in fetched]
        self._print(f"{', '.join(here)}: here already" if here else "nothing else is needed")

    def _ask(self) -> None:
        from speechverse.data import Corpus

        self._make_speech(self.speech, self._speech_spec())
        file = self.output / "questions.json"
        kept = _ASKED.validate_json(file.read_bytes()) if file.exists() else {}
        made = clip_questions.clips_of(Corpus.open(self.speech), self.sizes.asked)
        clips = [*map(clip_questions.own_clip, self.clips), *made]
        systems = {} if all(clip.key in kept for clip in clips) else self._systems()
        for clip in clips:
            if clip.key not in kept:
                kept[clip.key] = clip_questions.ask(clip, systems)
                write_text(file, _ASKED.dump_json(kept, indent=1).decode())
            self._answers.append(kept[clip.key])
            self.console.print(quickstart_page.answers_table(self._answers[-1]))

    def _take_a_look(self) -> None:
        from speechverse.evaluation import results_table

        how = {"tasks": LOOKED_AT, "systems": SYSTEMS, "limit": self.sizes.per_task}
        self.console.print(results_table(self._evaluate(self.look, self.speech, self.model, how)))

    def _teach(self) -> None:
        from speechverse.training import train
        from speechverse.world import read_lines

        file = self.lesson_speech.with_name("lines.jsonl")
        lines = lesson.write_sentences(file, self.sizes.lesson_train, self.sizes.lesson_test)
        self._make_speech(self.lesson_speech, read_lines(lines, name="lesson", seed=self.seed))
        how: dict[str, Any] = {"tasks": (lesson.TASK,), "systems": SYSTEMS[:1], "limit": None}
        before = self._evaluate(self.before, self.lesson_speech, self.model, how)
        self._free()
        train(self._recipe, self.taught, resume=True)
        after = self._evaluate(self.after, self.lesson_speech, str(self.taught), how)
        for line in quickstart_page.lesson_lines(before, after):
            self._print(line)

    def _write_page(self) -> None:
        from speechverse.evaluation import load_answers, load_results

        made = quickstart_page.quickstart_page(
            model=self.model,
            answers=self._answers,
            look=(load_results(self.look), load_answers(self.look)),
            lesson=(load_results(self.before), load_results(self.after)),
            commands=self._next_commands(),
            spent=self._spent(),
        )
        write_text(self.page, made)

    @cached_property
    def _recipe(self) -> Any:
        return lesson.recipe(self.model, self.lesson_speech, [f"seed={self.seed}", *self.overrides])

    def _speech_spec(self) -> SynthSpec:
        """A few clean clips in held-out voices, some of them of two speakers."""
        from speechverse.world import SynthSpec

        spoilt = ("noisy_share", "room_share", "clipping_share", "telephone_share", "codec_share")
        shares: dict[str, Any] = dict.fromkeys((*spoilt, "non_speech_share"), 0.0)
        shares |= {"two_speaker_share": 0.25, "one_speaker_turns_share": 0.15}
        return SynthSpec("speech", 0, 0, self.sizes.clips, self.seed, {"grammar": 1.0}, **shares)

    def _make_speech(self, folder: Path, what: Any) -> None:
        from speechverse.cli.synth import make_corpus

        make_corpus(folder, what)

    def _evaluate(self, folder: Path, corpus: Path, model: str, how: dict[str, Any]) -> Results:
        """What a model and those beside it answer, measured once; stopped in between, it goes on
        from its answers.
        """
        from speechverse.cli.common import progress
        from speechverse.data import Corpus
        from speechverse.evaluation import EvaluationSettings, load_results
        from speechverse.evaluation.into_folder import evaluate_into
        from speechverse.evaluation.results import RESULTS

        if (folder / RESULTS).exists():
            return load_results(folder)
        asked = self._load(model), model, Corpus.open(corpus), EvaluationSettings(**how)
        with progress(quiet=False) as watch:
            return evaluate_into(folder, *asked, watch=watch)

    def _load(self, model: str) -> SpeechVerse:
        """A model, loaded when first asked for, one at a time."""
        from speechverse import SpeechVerse

        if model not in self._models:
            self._free()
            self._models[model] = SpeechVerse.from_pretrained(model)
        return self._models[model]

    def _systems(self) -> dict[str, Any]:
        """Whom to ask, by name."""
        from speechverse.evaluation.cascades import WhisperReader
        from speechverse.evaluation.provenance import find_whisper

        model = self._load(self.model)
        whisper, why_none = find_whisper(model.model)
        if whisper is None:
            self._print(f"{CASCADE} is left out: {why_none}")
            return {SYSTEMS[0]: model}
        return {SYSTEMS[0]: model, CASCADE: WhisperReader(model, whisper)}

    def _free(self) -> None:
        """Two models at a time would take more memory than was promised."""
        self._models.clear()
        gc.collect()

    def _spent(self) -> str:
        """How long the parts took."""
        own = {title: took for title, took in self._seconds.items() if title != FETCHING}
        told = ", ".join(f"{title} {took:.0f} s" for title, took in own.items())
        fetching = f"{FETCHING}, timed apart, {self._seconds[FETCHING]:.0f} s"
        return f"{told}; together {sum(own.values()) / 60:.1f} min; {fetching}"

    def _next_commands(self) -> list[tuple[str, str]]:
        """What to copy next, and what it does."""
        taught, choices = shlex.quote(str(self.taught)), ",".join(COMMANDS)
        asked = 'speechverse ask CLIP.wav "What is being said?"'
        new = f'speechverse ask CLIP.wav "{QUESTION}" --choices {choices} --model {taught}'
        made = "speechverse synth test-sets/clean --test-set clean"
        systems = f"--systems {','.join(SYSTEMS)}"
        measured = f"speechverse evaluate {self.model} --corpus test-sets/clean {systems}"
        return [
            ("ask about any recording", asked),
            ("the same by way of Whisper's text", f"{asked} --system {CASCADE}"),
            ("what it has just learned", new),
            ("measure it, not only look", f"{made}\n{measured}"),
        ]

    def _say_where(self) -> None:
        self.console.rule("[bold]done", align="left")
        self._print(f"time  {self._spent()}")
        self._print(f"page  {self.page.resolve()}")
        for what, lines in self._next_commands():
            self._print("\n".join(["", what, *(f"  {line}" for line in lines.splitlines())]))

    def _print(self, line: str) -> None:
        """As it is, and never folded: paths and commands are there to be copied."""
        self.console.print(line, soft_wrap=True, markup=False, highlight=False)


def known_parts_of(model: str) -> tuple[str, ...]:
    """Names of the known parts that a checkpoint stands on, encoder first; none where its parts are
    folders.
    """
    from speechverse.hub import local_folder, resolve
    from speechverse.pretrained import KNOWN

    config = json.loads((local_folder(resolve(model)) / "config.json").read_text(encoding="utf-8"))
    return tuple(name for name in (config["encoder"], config["llm"]) if name in KNOWN)


def fetch(names: tuple[str, ...]) -> list[str]:
    """Fetches the known parts that are not here, and names them.

    Raises:
        PartError: If one cannot be fetched, or the network is forbidden.
    """
    from speechverse.pretrained import get_part, is_here, part_named, refuse_offline

    refuse_offline(names)
    missing = [name for name in names if not is_here(part_named(name))]
    for name in missing:
        get_part(part_named(name))
    return missing
