"""Measures a model on real people: read sentences, digits, orders, wake phrases, speech or not; with 95 % intervals.

    python examples/people/measure.py path/to/speech --model tiny --output runs/people

`path/to/speech` holds a `manifest.jsonl` with one object a clip. Digits (fsdd) and orders (picovoice_s2i) are measured
twice: as the model is, and after `speechverse train recipes/digits.yaml` (three speakers, tested on the fourth) or
`recipes/orders.yaml` (three quarters of the clips, tested on the others' voices), each part tested in turn.
`--parts wake,speech` measures only these, `--unadapted` trains nothing, `--limit 200` asks so many clips a task.
`select` reads the sentences of the speakers that choices may look at, `reading` those of the reported ones. All that is
measured stays in the output folder: plain JSONL corpora, each model's results and answers, and `people.json` with the
printed numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpora import (
    Clip,
    digit_lines,
    order_lines,
    read_clips,
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
from speechverse.evaluation.provenance import describe, find_recogniser, find_whisper
from speechverse.metrics import bootstrap, normalize_english
from speechverse.pipeline import SpeechVerse
from speechverse.tasks import Task, get_task

RECIPES = Path(__file__).parents[2] / "recipes"
OWN_TASKS = Path(__file__).with_name("tasks.py")
DIGIT, DIGIT_LISTED, WAKE_PHRASE = (f"{OWN_TASKS}:{name}" for name in ("DIGIT", "DIGIT_LISTED", "WAKE_PHRASE"))
NUM_FOLDS = 4
SELECTED, REPORTED = ("1688", "1998"), ("2033", "367")
"""Readers of librispeech_small: those that choices may look at, and those whose numbers are reported."""
SPOKEN = ("alphanumeric_accents", "asr_misc", "fsdd", "librispeech_small", "picovoice_s2i", "picovoice_wakeword")
FREE = "generated"
WAYS = {FREE: DecodingOptions()} | {
    f"scored {how}": DecodingOptions(choice_mode="score", choice_scoring=how) for how in ("raw", "length", "prior")
}


@dataclass(frozen=True)
class Measured:
    """One number: a part's task, asked of a model and answered by a system in one way, with its 95 % interval."""

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
        asked = f"{self.part:<7} {self.model:<10} {self.task:<12} {self.system:<12} {self.answered:<13}"
        interval = f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
        return f"{asked} {self.metric:<17} {interval}  n={self.num_examples}"


@dataclass(frozen=True)
class Run:
    """What every part needs: where the clips are, which model, where to write, and whether and how to adapt."""

    speech: Path
    model: str
    output: Path
    adapts: bool
    overrides: Sequence[str]
    systems: Sequence[str]
    ways: Sequence[str]
    limit: int | None

    def answer(self, model: str | Path, corpus: Path, tasks: Sequence[str], output: Path) -> None:
        """Answers a JSONL corpus in each way, each into a folder of its own; clips are heard once for all of them."""
        loaded = SpeechVerse.from_pretrained(model)
        recogniser = find_recogniser(loaded.model)[0] if "cascade-ctc" in self.systems else None
        whisper = find_whisper(loaded.model)[0] if "cascade-whisper" in self.systems else None
        opened = Corpus.from_jsonl(corpus.stem, {"test": corpus})
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
                        tasks=asked(tasks, way), systems=tuple(self.systems), limit=self.limit, decoding=WAYS[way]
                    ),
                    output=output / way.replace(" ", "-"),
                    features=Path(features) / "heard",
                    recogniser=recogniser,
                    whisper=whisper,
                    about_model=describe(loaded.model, str(model)),
                )

    def pooled(self, part: str, model: str, tasks: Sequence[str], folders: Sequence[Path]) -> Iterator[Measured]:
        """Each task's headline metric over the answers of all folders together."""
        for way in self.ways:
            for task in map(get_task, asked(tasks, way)):
                metric, read = _scoring(part, task)
                for system in self.systems:
                    places = [folder / way.replace(" ", "-") for folder in folders]
                    if found := [pair for place in places for pair in read_answers(place, system, task.name)]:
                        predictions, references = zip(*((read(a), read(r)) for a, r in found), strict=True)
                        interval = bootstrap(metric, predictions, references)
                        yield Measured(part, model, task.name, system, way, metric, *interval, len(found))


def _scoring(part: str, task: Task) -> tuple[str, Callable[[str], Any]]:
    """A task's metric and how an answer is read; of a single word that is transcribed, whether it is right."""
    if task.name == "asr" and part == "digits":
        return "accuracy", normalize_english
    return task.metrics[0], task.parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--model", default="tiny", help="The model to measure, and to adapt.")
    parser.add_argument("--output", type=Path, default=Path("runs/people"))
    parser.add_argument(
        "--parts", default=",".join(p for p in PARTS if p != "select"), help="Which, with commas between."
    )
    parser.add_argument("--unadapted", action="store_true", help="Only as the model is.")
    parser.add_argument("--systems", default="speechverse,cascade-ctc", help="Which answer, with commas between.")
    parser.add_argument("--ways", default=",".join(WAYS), help="How closed sets are answered, with commas between.")
    parser.add_argument("--limit", type=int, help="Clips a task; by default all.")
    parser.add_argument("overrides", nargs="*", help="Changes to both recipes, key=value.")
    options = parser.parse_intermixed_args()
    names, ways = options.parts.split(","), options.ways.split(",")
    for kind, given, known in (("part", names, PARTS), ("way", ways, WAYS)):
        if unknown := set(given) - set(known):
            parser.error(f"there is no {kind} {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    systems = options.systems.split(",")
    trained = (not options.unadapted, options.overrides)
    run = Run(options.speech, options.model, options.output, *trained, systems, ways, options.limit)
    measured = []
    for name in names:
        for row in PARTS[name](run):
            measured.append(row)
            print(row, flush=True)
    run.output.mkdir(parents=True, exist_ok=True)
    (run.output / "people.json").write_text(json.dumps([asdict(row) for row in measured], indent=1) + "\n")


def select(run: Run) -> Iterator[Measured]:
    """Read sentences of the speakers that choices may look at."""
    yield from unadapted(run, "select", reading_lines(read_clips(run.speech, "librispeech_small"), SELECTED), "asr")


def reading(run: Run) -> Iterator[Measured]:
    """Read sentences of the reported speakers."""
    yield from unadapted(run, "reading", reading_lines(read_clips(run.speech, "librispeech_small"), REPORTED), "asr")


def digits(run: Run) -> Iterator[Measured]:
    """Which of ten digits, answered freely and by the ten scores; adapted to three speakers, tested on the fourth."""
    folder, lines = run.output / "digits", digit_lines(read_clips(run.speech, "fsdd"))
    tested = list(write_rotations(lines, folder))
    write_jsonl(folder / "all.jsonl", lines)
    asked = ("asr", DIGIT, DIGIT_LISTED)
    run.answer(run.model, folder / "all.jsonl", asked, folder / "unadapted")
    yield from run.pooled("digits", "unadapted", asked, [folder / "unadapted"])
    if run.adapts:
        for own in tested:
            run.answer(adapt("digits", run.model, own, run.overrides), own / "test.jsonl", asked, own / "adapted")
        yield from run.pooled("digits", "adapted", asked, [own / "adapted" for own in tested])


def orders(run: Run) -> Iterator[Measured]:
    """Slots of coffee orders; adapted to three quarters of the clips, tested on voices that these do not have."""
    folder, lines = run.output / "orders", order_lines(read_clips(run.speech, "picovoice_s2i"))
    write_jsonl(folder / "all.jsonl", lines)
    run.answer(run.model, folder / "all.jsonl", ("sf",), folder / "unadapted")
    yield from run.pooled("orders", "unadapted", ("sf",), [folder / "unadapted"])
    if run.adapts:
        folds = speaker_folds(lines, NUM_FOLDS)
        tested = [folder / f"fold-{number}" for number in range(1, NUM_FOLDS + 1)]
        for own, fold in zip(tested, folds, strict=True):
            write_jsonl(own / "train.jsonl", [line for other in folds if other is not fold for line in other])
            write_jsonl(own / "test.jsonl", fold)
            run.answer(adapt("orders", run.model, own, run.overrides), own / "test.jsonl", ("sf",), own / "adapted")
        yield from run.pooled("orders", "adapted", ("sf",), [own / "adapted" for own in tested])


def wake(run: Run) -> Iterator[Measured]:
    """Is this phrase said? Each clip is asked for its own and for a wrong one, so that guessing gives one half."""
    yield from unadapted(run, "wake", wake_lines(read_clips(run.speech, "picovoice_wakeword")), WAKE_PHRASE)


def speech(run: Run) -> Iterator[Measured]:
    """Does anybody speak? Sounds and music against speech, as many clips of one as of the other."""
    labelled = read_clips(run.speech, "esc10", "pyaudioanalysis")
    yield from unadapted(run, "speech", speech_lines(labelled, read_clips(run.speech, *SPOKEN)), "sns")


def unadapted(run: Run, part: str, lines: Sequence[Clip], task: str) -> Iterator[Measured]:
    """One task asked of a model as it is."""
    folder = run.output / part
    write_jsonl(folder / "all.jsonl", lines)
    run.answer(run.model, folder / "all.jsonl", (task,), folder / "unadapted")
    yield from run.pooled(part, "unadapted", (task,), [folder / "unadapted"])


PARTS = {
    "select": select,
    "reading": reading,
    "digits": digits,
    "orders": orders,
    "wake": wake,
    "speech": speech,
}


def adapt(name: str, initial: str, folder: Path, overrides: Sequence[str]) -> Path:
    """Trains the recipe of that name on its one corpus, of the same name, in the folder; goes on where it stopped.

    Returns:
        The adapted model's folder.
    """
    corpus = f"data.corpora.{name}.jsonl"
    files = [f"{corpus}.{split}={(folder / f'{split}.jsonl').resolve()}" for split in ("train", "test")]
    train = [sys.executable, "-m", "speechverse", "train", str(RECIPES / f"{name}.yaml"), f"initial={initial}"]
    command = [*train, *files, *overrides, "--output", str(folder / "model"), "--resume"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


def asked(tasks: Sequence[str], way: str) -> tuple[str, ...]:
    """The tasks that can be answered in a way: a free answer has no choices to score."""
    return tuple(task for task in tasks if way == FREE or get_task(task).constraint)


def read_answers(folder: Path, system: str, task: str) -> list[tuple[str, str]]:
    """(answer, reference) of each example of a task."""
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [(row["answer"], row["reference"]) for row in rows if (row["system"], row["task"]) == (system, task)]


if __name__ == "__main__":
    main()
