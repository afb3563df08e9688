"""Validation: the loss on held-out examples, and the tasks' own metrics on answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from speechverse.batching import cut_into_batches
from speechverse.data.mixture import examples_digest
from speechverse.errors import CheckpointError
from speechverse.seeding import hash_seed
from speechverse.tasks import get_task
from speechverse.training.engine import Engine
from speechverse.training.inputs import Inputs
from speechverse.training.loss import TaskSums, loss_numbers, merge_sums
from speechverse.training.objectives import example_losses
from speechverse.training.recipe import Recipe, StageSection
from speechverse.types import Answer, Example

Answered = tuple[Example, Answer]


@dataclass(frozen=True)
class Validator:
    """Measures a model on a stage's validation examples, the work shared by all processes."""

    recipe: Recipe
    examples: Sequence[tuple[Example, float]]
    inputs: Inputs
    stage: StageSection

    @cached_property
    def digest(self) -> str:
        """Changes whenever something else would be measured."""
        return examples_digest(self.examples)

    def check_same(self, digest: str | None) -> None:
        """Raises CheckpointError for a checkpoint that was validated on something else.

        Its best loss would be compared with those of other clips; None says nothing of it.
        """
        if digest not in (None, self.digest):
            raise CheckpointError(
                "the checkpoint was made with other validation data (clips, texts, labels or"
                " tasks), so its best loss cannot be compared any more; resume with the same data"
                " or begin a new run"
            )

    def measure(self, model: nn.Module, engine: Engine) -> dict[str, float]:
        """Losses and metrics by name, alike on every process."""
        model.eval()
        with torch.no_grad(), engine.autocast():
            parts = engine.gather([self._losses(model, engine)])
            unheard = frozenset[int]().union(*(skipped for _, skipped in parts))
            answers = engine.gather(self._answers(engine, unheard))
        model.train()
        numbers = loss_numbers(merge_sums(part for part, _ in parts)) | _scores(answers)
        if unheard:
            numbers["unreadable"] = len(unheard)
        return {f"validation/{name}": value for name, value in numbers.items()}

    def _losses(self, model: nn.Module, engine: Engine) -> tuple[dict[str, list[float]], list[int]]:
        """This process' sums by task, and the places of examples whose clip could not be heard."""
        budget = self.recipe.data.batch
        length, collate = self.inputs.length(self.stage), self.inputs.collator(self.stage)
        lengths = {place: length(example) for place, (example, _) in enumerate(self.examples)}
        by_length = sorted(lengths, key=lengths.__getitem__)
        batches = cut_into_batches(
            by_length, lengths.__getitem__, budget.max_positions, budget.max_examples
        )
        sums, skipped = TaskSums(), list[int]()
        for batch in _own(list(batches), engine):
            examples, weights = zip(*(self.examples[place] for place in batch), strict=True)
            collated = collate(examples, weights).to(engine.device)
            losses = example_losses(model, collated, self.stage.objective)
            sums.add(collated.tasks, collated.loss_weights, losses)
            skipped += [batch[row] for row in collated.skipped]
        return sums.read(), skipped

    def _answers(self, engine: Engine, unheard: Collection[int]) -> list[Answered]:
        by_task: dict[str, list[int]] = defaultdict(list)
        for place, (example, _) in enumerate(self.examples):
            by_task[example.task].append(place)
        decoded = self.recipe.data.validation.decoded if self.stage.objective != "best_rq" else 0
        chosen = [
            self.examples[p][0]
            for places in by_task.values()
            for p in self._some(places, decoded)
            if p not in unheard
        ]
        own = _own(chosen, engine)
        answers = self.inputs.answers(own, self.stage) if own else []
        return list(zip(own, answers, strict=True))

    def _some(self, places: Sequence[int], count: int) -> list[int]:
        """The first few by hash: a corpus may come sorted by class."""
        seed = self.recipe.seed
        return sorted(places, key=lambda p: hash_seed(seed, "decoded", self.examples[p][0].id))[
            :count
        ]


def describe(numbers: Mapping[str, float]) -> str:
    """The loss, each task's headline metric and the share of answers that were cut."""
    shown = {name.removeprefix("validation/"): value for name, value in numbers.items()}
    metrics = [
        f"{name} {value:.2f}"
        for name, value in shown.items()
        if not name.startswith(("loss/", "unparsed_rate/"))
        and (value or not name.startswith("cut_rate/"))
    ]
    return "validation " + "  ".join(metrics)


def _own(items: Sequence[Any], engine: Engine) -> Sequence[Any]:
    return items[engine.rank :: engine.world_size]


def _scores(answered: Sequence[Answered]) -> dict[str, float]:
    """Each task's headline metric, and its shares of unparsed and of cut answers."""
    by_task: dict[str, list[Answered]] = defaultdict(list)
    for item in sorted(answered, key=lambda item: item[0].id):
        by_task[item[0].task].append(item)
    scores = {}
    for name, items in sorted(by_task.items()):
        task = get_task(name)
        predictions = [task.parse(made.text, example.choices) for example, made in items]
        examples = [example for example, _ in items]
        made = task.score(
            predictions, [e.reference for e in examples], [task.language_of(e) for e in examples]
        )
        for metric in (task.metrics[0], "unparsed_rate"):
            scores[f"{metric}/{name}"] = made[metric]
        scores[f"cut_rate/{name}"] = sum(answer.cut for _, answer in items) / len(items)
    return scores
