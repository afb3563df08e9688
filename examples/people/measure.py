"""Measures a model on real people: sentences, digits, orders, wake phrases, accents, ...; with 95 %
intervals.

    python examples/people/measure.py path/to/speech --model small --output runs/people

`path/to/speech` holds a `manifest.jsonl` with one object a clip. Five parts are measured twice: as
the model is, and after it was adapted to other speakers, each tested in turn: digits
(`recipes/digits.yaml`; to three speakers, tested on the fourth), orders, also as JSON
(`recipes/orders.yaml`; to three quarters of the clips, tested on other voices), accents and
speakers in meetings (`recipes/classes.yaml`). `--parts wake,speech` measures only these,
`--unadapted` trains nothing, `--limit 0` asks all clips. `select` reads the sentences of the
speakers that choices may look at, `reading` those of the reported ones. All that is measured stays
in the output folder: plain JSONL corpora, each model's results and answers, and `people.json` with
the printed numbers. Stopped, the same command goes on: no answer is made twice, and no model is
trained twice from the same weights, clips and recipe.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from corpora import (
    Clip,
    accent_lines,
    digit_lines,
    meeting_lines,
    order_lines,
    read_clips,
    read_jsonl,
    reading_lines,
    speaker_folds,
    speech_lines,
    wake_lines,
    write_jsonl,
    write_rotations,
)

from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.evaluation import EvaluationSettings, evaluate
from speechverse.evaluation.journal import Journal
from speechverse.evaluation.provenance import describe, find_recogniser, find_whisper
from speechverse.hub import local_folder, resolve
from speechverse.metrics import Interval, bootstrap, normalize
from speechverse.pipeline import SpeechVerse
from speechverse.tasks import OneOf, Task, get_task

RECIPES = Path(__file__).parents[2] / "recipes"
OWN_TASKS = Path(__file__).with_name("tasks.py")
DIGIT, DIGIT_LISTED, WAKE_PHRASE, ORDER_JSON, ORDER_FREE = (
    f"{OWN_TASKS}:{name}"
    for name in ("DIGIT", "DIGIT_LISTED", "WAKE_PHRASE", "ORDER_JSON", "ORDER_FREE")
)
NUM_FOLDS = 4
SELECTED, REPORTED = ("1688", "1998"), ("2033", "367")
"""Readers of librispeech_small: those that choices may look at, and those whose numbers are
reported.
"""
SPOKEN = (
    "alphanumeric_accents",
    "asr_misc",
    "fsdd",
    "librispeech_small",
    "picovoice_s2i",
    "picovoice_wakeword",
)
CLASSIFIERS = ("log-mel", "majority", "specialist")
FREE = "generated"
WAYS = {FREE: DecodingOptions()} | {
    f"scored {how}": DecodingOptions(choice_mode="score", choice_scoring=how)
    for how in ("raw", "length", "prior")
}


@dataclass(frozen=True)
class Measured:
    """One number: a part's task, asked of a model and answered by a system in one way, with its 95
    % interval.
    """

    part: str
    model: str
    task: str
    system: str
    answered: str
    metric: str
    value: float
    low: float
    high: float
    num_examples: int

    def __str__(self) -> str:
        asked = (
            f"{self.part:<7} {self.model:<10} {self.task:<12} {self.system:<12} {self.answered:<13}"
        )
        interval = f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
        return f"{asked} {self.metric:<17} {interval}  n={self.num_examples}"


@dataclass(frozen=True)
class Run:
    """What every part needs: where the clips are, which model, where to write, and whether and how
    to adapt.
    """

    speech: Path
    model: str
    output: Path
    adapts: bool
    overrides: Sequence[str]
    systems: Sequence[str]
    ways: Sequence[str]
    limit: int | None

    def beside(self, system: str) -> Run:
        """The same with another system beside."""
        return replace(self, systems=[*self.systems, *({system} - set(self.systems))])

    def answer(
        self, model: str | Path, splits: Mapping[str, Path], tasks: Sequence[str], output: Path
    ) -> None:
        """Answers the split `test` in each way, each into a folder of its own; clips are heard once
        for all of them.

        Answers are kept in one journal under all that they depend on, so that none is made twice.
        """
        loaded = SpeechVerse.from_pretrained(model)
        recogniser = find_recogniser(loaded.model)[0] if "cascade-ctc" in self.systems else None
        whisper = find_whisper(loaded.model)[0] if "cascade-whisper" in self.systems else None
        opened = Corpus.from_jsonl(splits["test"].stem, splits)
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output) as features:
            for way in self.ways:
                if not asked(tasks, way):
                    continue
                evaluate(
                    loaded.model,
                    loaded.processor,
                    opened,
                    EvaluationSettings(
                        tasks=asked(tasks, way),
                        systems=self.systems_in(way),
                        limit=self.limit,
                        decoding=WAYS[way],
                    ),
                    output=output / way.replace(" ", "-"),
                    features=Path(features) / "heard",
                    recogniser=recogniser,
                    whisper=whisper,
                    about_model=describe(loaded.model, str(model)),
                    journal=Journal(self.output / "answers.kept.jsonl"),
                )

    def systems_in(self, way: str) -> tuple[str, ...]:
        """Who answers in a way; a classifier knows but one."""
        return tuple(system for system in self.systems if way == FREE or system not in CLASSIFIERS)

    def pooled(
        self, part: str, model: str, tasks: Sequence[str], folders: Sequence[Path]
    ) -> Iterator[Measured]:
        """Each task's headline metric over the answers of all folders together."""
        for way in self.ways:
            for task in map(get_task, asked(tasks, way)):
                for system in self.systems_in(way):
                    places = [folder / way.replace(" ", "-") for folder in folders]
                    if rows := [
                        row for place in places for row in read_answers(place, system, task.name)
                    ]:
                        for metric, interval in _scored(part, task, rows):
                            yield Measured(
                                part, model, task.name, system, way, metric, *interval, len(rows)
                            )


def _scored(
    part: str, task: Task, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Interval]]:
    """A task's metric over rows of answers; of single words that are transcribed, the share that is
    wrong.
    """
    languages = [row.get("language") for row in rows]
    if task.name == "asr" and part == "digits":
        said, true = (
            [normalize(row[side], language) for row, language in zip(rows, languages, strict=True)]
            for side in ("answer", "reference")
        )
        right = bootstrap("accuracy", said, true)
        yield "wrong", Interval(1 - right.value, 1 - right.high, 1 - right.low)
        return
    names = None  # a set's own names: `accents` are other ones here than the task's
    if task.constraint is OneOf:
        names = sorted({row[side].strip() for row in rows for side in ("answer", "reference")})
    said, true = (
        [task.parse(row[side], names) for row in rows] for side in ("answer", "reference")
    )
    for metric in (task.metrics[0], *(["unparsed_rate"] if part == "orders-json" else [])):
        yield metric, bootstrap(metric, said, true, languages=languages)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path)
    parser.add_argument("--model", default="small", help="The model to measure, and to adapt.")
    parser.add_argument("--output", type=Path, default=Path("runs/people"))
    parser.add_argument(
        "--parts",
        default=",".join(p for p in PARTS if p != "select"),
        help="Which, with commas between.",
    )
    parser.add_argument("--unadapted", action="store_true", help="Only as the model is.")
    parser.add_argument(
        "--systems",
        default="speechverse,cascade-whisper",
        help="Which answer, with commas between.",
    )
    parser.add_argument(
        "--ways", default=",".join(WAYS), help="How closed sets are answered, with commas between."
    )
    parser.add_argument(
        "--limit", type=int, default=60, help="Clips a task, of each speaker left out; 0 asks all."
    )
    parser.add_argument("overrides", nargs="*", help="Changes to the recipes, key=value.")
    options = parser.parse_intermixed_args()
    names, ways = options.parts.split(","), options.ways.split(",")
    for kind, given, known in (("part", names, PARTS), ("way", ways, WAYS)):
        if unknown := set(given) - set(known):
            parser.error(
                f"there is no {kind} {', '.join(sorted(unknown))}; there are {', '.join(known)}"
            )
    systems = options.systems.split(",")
    trained = (not options.unadapted, options.overrides)
    run = Run(
        options.speech,
        options.model,
        options.output,
        *trained,
        systems,
        ways,
        options.limit or None,
    )
    run.output.mkdir(parents=True, exist_ok=True)
    measured = []
    for name in names:
        for row in PARTS[name](run):
            measured.append(row)
            print(row, flush=True)
        told = json.dumps([asdict(row) for row in measured], indent=1)
        (run.output / "people.json").write_text(told + "\n", encoding="utf-8")


def select(run: Run) -> Iterator[Measured]:
    """Read sentences of the speakers that choices may look at."""
    yield from unadapted(
        run, "select", reading_lines(read_clips(run.speech, "librispeech_small"), SELECTED), "asr"
    )


def reading(run: Run) -> Iterator[Measured]:
    """Read sentences of the reported speakers."""
    yield from unadapted(
        run, "reading", reading_lines(read_clips(run.speech, "librispeech_small"), REPORTED), "asr"
    )


def digits(run: Run) -> Iterator[Measured]:
    """Which of ten digits, answered freely and by the ten scores; adapted to three speakers, tested
    on the fourth.
    """
    lines = digit_lines(read_clips(run.speech, "fsdd"))
    rotations = list(write_rotations(lines, run.output / "digits"))
    yield from both(run, "digits", lines, ("asr", DIGIT, DIGIT_LISTED), rotations, "digits")


def orders(run: Run) -> Iterator[Measured]:
    """Slots of coffee orders; adapted to three quarters of the clips, tested on voices that these
    do not have.
    """
    lines = order_lines(read_clips(run.speech, "picovoice_s2i"))
    yield from both(
        run, "orders", lines, ("sf",), write_folds(lines, run.output / "orders"), "orders"
    )


def orders_json(run: Run) -> Iterator[Measured]:
    """The same as JSON, by the menu's schema and freely; the share that is none is told too."""
    lines = order_lines(read_clips(run.speech, "picovoice_s2i"))
    folds = write_folds(lines, run.output / "orders-json")
    asked_so = (f"data.mixtures.slots.0.task={ORDER_JSON}", f"evaluation.tasks=[{ORDER_JSON}]")
    yield from both(run, "orders-json", lines, (ORDER_JSON, ORDER_FREE), folds, "orders", asked_so)


def accents(run: Run) -> Iterator[Measured]:
    """Four groups of accents; adapted to three quarters of the speakers, beside a classifier of
    mean log-mels.
    """
    lines = accent_lines(read_clips(run.speech, "alphanumeric_accents"))
    folds = write_folds(lines, run.output / "accents", label="accent")
    asked_so = ("data.mixtures.classes.0.task=ac", "evaluation.tasks=[ac]")
    yield from both(run.beside("log-mel"), "accents", lines, ("ac",), folds, "classes", asked_so)


def meetings(run: Run) -> Iterator[Measured]:
    """How many speak in a window of a meeting; adapted to meetings with other people, beside a
    classifier.
    """
    lines = meeting_lines(read_clips(run.speech, "ami_pyannote"))
    folds = write_folds(lines, run.output / "meetings", label="class")
    yield from both(run.beside("log-mel"), "meetings", lines, ("class",), folds, "classes")


def write_folds(lines: Sequence[Clip], folder: Path, label: str | None = None) -> list[Path]:
    """A folder for each fold of speakers, in which they are `test.jsonl` and the others
    `train.jsonl`.
    """
    folds = speaker_folds(lines, NUM_FOLDS, label=label)
    for number, fold in enumerate(folds, start=1):
        write_jsonl(
            folder / f"fold-{number}" / "train.jsonl",
            [x for other in folds if other is not fold for x in other],
        )
        write_jsonl(folder / f"fold-{number}" / "test.jsonl", fold)
    return [folder / f"fold-{number}" for number in range(1, NUM_FOLDS + 1)]


def both(
    run: Run,
    part: str,
    lines: Sequence[Clip],
    tasks: Sequence[str],
    folds: Sequence[Path],
    recipe: str,
    changes: Sequence[str] = (),
) -> Iterator[Measured]:
    """Tasks asked of a model as it is and, on each fold, of what the recipe made of it on the other
    folds.
    """
    yield from unadapted(run, part, lines, *tasks)
    if not run.adapts:
        return
    for fold in folds:
        model = adapt(
            recipe,
            run.model,
            fold,
            (f"data.cache_folder={fold.parent / 'features'}", *changes, *run.overrides),
        )
        splits = {split: fold / f"{split}.jsonl" for split in ("train", "test")}
        run.answer(model, splits, tasks, fold / "adapted")
    yield from run.pooled(part, "adapted", tasks, [fold / "adapted" for fold in folds])


def wake(run: Run) -> Iterator[Measured]:
    """Is this phrase said? Each clip is asked for its own and for a wrong one, so that guessing
    gives one half.
    """
    yield from unadapted(
        run, "wake", wake_lines(read_clips(run.speech, "picovoice_wakeword")), WAKE_PHRASE
    )


def speech(run: Run) -> Iterator[Measured]:
    """Does anybody speak? Sounds and music against speech, as many clips of one as of the other."""
    labelled = read_clips(run.speech, "esc10", "pyaudioanalysis")
    yield from unadapted(
        run, "speech", speech_lines(labelled, read_clips(run.speech, *SPOKEN)), "sns"
    )


def unadapted(run: Run, part: str, lines: Sequence[Clip], *tasks: str) -> Iterator[Measured]:
    """Tasks asked of a model as it is."""
    folder = run.output / part
    write_jsonl(folder / "all.jsonl", lines)
    run.answer(run.model, {"test": folder / "all.jsonl"}, tasks, folder / "unadapted")
    yield from run.pooled(part, "unadapted", tasks, [folder / "unadapted"])


PARTS = {
    "select": select,
    "reading": reading,
    "digits": digits,
    "orders": orders,
    "orders-json": orders_json,
    "wake": wake,
    "speech": speech,
    "accents": accents,
    "meetings": meetings,
}


def adapt(recipe: str, initial: str, folder: Path, changes: Sequence[str]) -> Path:
    """Trains a recipe on its one corpus, of the same name, in the folder.

    Stopped, it goes on; a whole one of the same weights, clips and recipe is taken as it is, any
    other is made anew.

    Returns:
        The adapted model's folder.
    """
    files = {split: folder / f"{split}.jsonl" for split in ("train", "test")}
    made_of = _hash_of([RECIPES / f"{recipe}.yaml", *weights_of(initial), files["train"]], changes)
    stamp = folder / "made-of.sha256"
    known = stamp.is_file() and stamp.read_text(encoding="utf-8") == made_of
    if not known:  # a model of other weights, clips or recipe is not gone on with
        shutil.rmtree(folder / "model", ignore_errors=True)
    stamp.write_text(made_of, encoding="utf-8")
    corpora = [
        f"data.corpora.{recipe}.jsonl.{split}={path.resolve()}" for split, path in files.items()
    ]
    train = [
        sys.executable,
        "-m",
        "speechverse",
        "train",
        str(RECIPES / f"{recipe}.yaml"),
        f"initial={initial}",
    ]
    way = "--resume" if known else "--overwrite"
    command = [*train, *corpora, *changes, "--output", str(folder / "model"), way]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


def weights_of(model: str) -> list[Path]:
    """The files that hold what a model learned."""
    folder = local_folder(resolve(model))
    return sorted([*folder.glob("*.safetensors"), *folder.glob("lora/*.safetensors")])


def _hash_of(files: Sequence[Path], words: Sequence[str]) -> str:
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("\n".join([*parts, *words]).encode()).hexdigest()


def asked(tasks: Sequence[str], way: str) -> tuple[str, ...]:
    """The tasks that can be answered in a way: a free answer, or a list of slots, has no choices
    to score.
    """
    return tuple(task for task in tasks if way == FREE or get_task(task).constraint is OneOf)


def read_answers(folder: Path, system: str, task: str) -> list[dict[str, Any]]:
    """What a system answered to each example of a task."""
    rows = read_jsonl(folder / "answers.jsonl")
    return [row for row in rows if (row["system"], row["task"]) == (system, task)]


if __name__ == "__main__":
    main()
