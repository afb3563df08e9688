"""The paper's table 7: labels that training never held, with and without descriptions, with and
without a constraint.

    speechverse synth test-sets/unseen --test-set unseen
    python examples/unseen_labels/two_by_two.py small test-sets/unseen --limit 0
    python examples/unseen_labels/two_by_two.py small test-sets/unseen --task sf
    python examples/unseen_labels/two_by_two.py small test-sets/unseen --task
    examples/unseen_labels/domain.yaml

The four cells ask of the same clips in the same words, with the same labels in the same order;
nothing differs but descriptions and constraint. Prints each cell with its 95 % interval, and what a
cell gains over having neither, with the interval of the pairs. The oracle reads the true transcript
in the same cells: what it cannot do is no fault of hearing. Clips are heard once for all cells, and
no answer is made twice: stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.evaluation import AnswerRecord, EvaluationSettings, evaluate, load_answers
from speechverse.evaluation.journal import Journal
from speechverse.evaluation.provenance import describe
from speechverse.metrics import bootstrap, bootstrap_difference
from speechverse.pipeline import SpeechVerse
from speechverse.tasks import Task, get_task

CELLS = {
    "neither": (False, "free"),
    "constraint": (False, "constrain"),
    "descriptions": (True, "free"),
    "both": (True, "constrain"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="A run's folder, a checkpoint, or a built-in name.")
    parser.add_argument("corpus", type=Path, help="A corpus folder with labels of the task.")
    parser.add_argument("--task", default="ic", help="ic, sf, or a file with a closed task.")
    parser.add_argument("--size", type=int, default=8, help="Labels in a list.")
    parser.add_argument("--systems", default="speechverse,oracle", help="With commas between.")
    parser.add_argument("--limit", type=int, default=300, help="Clips; 0 asks all.")
    parser.add_argument("--max-new-tokens", type=int, default=48, help="Of a free answer.")
    parser.add_argument("--output", type=Path, default=Path("runs/two-by-two"))
    options = parser.parse_args()
    task, records = get_task(options.task), answered(options)
    for system in options.systems.split(","):
        for line in told(task, system, records):
            print(line, flush=True)


def answered(options: argparse.Namespace) -> dict[str, list[AnswerRecord]]:
    """The answers of each cell, which are in folders of their own."""
    loaded = SpeechVerse.from_pretrained(options.model)
    corpus, records = Corpus.open(options.corpus), {}
    options.output.mkdir(parents=True, exist_ok=True)
    for cell, (descriptions, mode) in CELLS.items():
        settings = EvaluationSettings(
            tasks=(options.task,),
            systems=tuple(options.systems.split(",")),
            limit=options.limit or None,
            choices_per_prompt=options.size,
            descriptions=descriptions,
            decoding=DecodingOptions(choice_mode=mode, max_new_tokens=options.max_new_tokens),
        )
        evaluate(
            loaded.model,
            loaded.processor,
            corpus,
            settings,
            output=options.output / cell,
            features=options.output / "heard",
            about_model=describe(loaded.model, options.model),
            journal=Journal(options.output / "answers.kept.jsonl"),
        )
        records[cell] = load_answers(options.output / cell)
    return records


def told(task: Task, system: str, records: dict[str, list[AnswerRecord]]) -> Iterator[str]:
    """A line for each cell of a system, then one for each difference; of the clips together and by
    stratum.
    """
    metric = task.metrics[-1]  # of slots the names alone, of one label whether it is right
    for stratum in ["", *_strata(records["neither"])]:
        cells = {
            cell: [one for one in of_cell if one.system == system and stratum in ("", *one.slices)]
            for cell, of_cell in records.items()
        }
        if not cells["neither"]:
            continue
        true = [task.parse(one.reference, one.choices) for one in cells["neither"]]
        said = {
            cell: [task.parse(one.answer, one.choices) for one in rows]
            for cell, rows in cells.items()
        }
        name = f"{system:<12} {stratum.removeprefix('stratum: ') or 'all':<16}"
        for cell, predictions in said.items():
            read = sum(not one.unparsed for one in cells[cell])
            shown = _shown(bootstrap(metric, predictions, true))
            yield f"{name} {cell:<23} {metric} {shown}  n={len(true)}, {read} readable"
        for cell in list(said)[1:]:
            pair = said["neither"], said[cell]
            gain = _shown(bootstrap_difference(metric, pair, true))
            yield f"{name} {cell + ' - neither':<23} {metric} {gain}"


def _strata(records: Sequence[AnswerRecord]) -> list[str]:
    return sorted({part for one in records for part in one.slices if part.startswith("stratum")})


def _shown(interval: Any) -> str:
    value, low, high = (100 * part for part in interval)
    return f"{value:6.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
