"""Training adapters: the feature cache and the batch plan, each against doing without.

Everything runs the last stage of the recipe `laptop` on the parts of `small`: all eleven tasks;
mixer, downsampler and LoRA learn. Precision, attention and memory are in both sides what a run
takes on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took, lacks_parts

STEPS = 2  # in a repetition


class _Stage:
    """The stage, made ready as the trainer makes it."""

    def __init__(self, folder: Path, cache: str) -> None:
        from benchmarks import material
        from speechverse.data import Collator, length_function
        from speechverse.training.build import build_model, make_trainable
        from speechverse.training.engine import Engine, plain_attention_where_faster
        from speechverse.training.memory import keep_freed_memory
        from speechverse.training.sources import Sources, open_cache
        from speechverse.training.stage import StageRun

        recipe = material.recipe(
            folder, f"data.cache={cache}", f"data.cache_folder={folder / 'features'}"
        )
        keep_freed_memory()
        engine, sources = Engine.make(recipe), Sources(recipe)
        self.precision, self.model = engine.precision, build_model(recipe, engine.dtype)
        plain_attention_where_faster(self.model.llm, engine.device, engine.precision)
        self.settings = recipe.curriculum[-1]
        trained = make_trainable(self.model, self.settings.train, recipe)
        self.facts: dict[str, Any] = {"on": material.FROZEN_PARTS, "in": engine.precision}
        is_new, began = cache == "all" and not (folder / "features").exists(), time.perf_counter()
        outputs = open_cache(sources, self.model.encoder, folder, engine)
        if is_new:
            heard = sum(utterance.duration for utterance in sources.utterances())
            self.facts["cache made at (audio s/s)"] = heard / (time.perf_counter() - began)
            self.facts["cache MB"] = (
                sum(file.stat().st_size for file in (folder / "features").iterdir()) / 1e6
            )
        processor = self.model.processor()
        self.length, self.collator = length_function(processor), Collator(processor, outputs)
        self.loader = sources.loader(self.settings, self.length, self.collator, engine)
        self.run = StageRun(self.settings, recipe, engine, self.model, trained)

    def random_batches(self) -> Iterator[Any]:
        """Batches in the order drawn, each of as many examples as the plan's have on average."""
        from speechverse.data.plan import MicroBatch

        plan = self.loader.plan
        size = round(
            mean(
                len(batch.examples)
                for step in islice(plan.steps(), 16)
                for batch in step.micro_batches
            )
        )
        for pass_index in count():
            draws = plan.mixture.draws(pass_index)
            while len(group := list(islice(draws, size))) == size:
                examples = tuple(plan.mixture.example(draw) for draw in group)
                yield MicroBatch(
                    examples, (1.0,) * size, tuple(self.length(example) for example in examples)
                )


def _planned(folder: Path, cache: str) -> Repeat:
    """Our loop over the plan's batches, collating included."""
    stage = _Stage(folder, cache)
    numbers, steps = count(), iter(stage.loader)

    def repeat() -> Took:
        began = time.perf_counter()
        for loaded in islice(steps, STEPS):
            stage.run.step(next(numbers), loaded)
        seconds = time.perf_counter() - began
        heard, told = stage.run.window.audio_seconds, stage.run.numbers()
        facts = {"padding efficiency": told["padding_efficiency"], "loss": told["loss"]}
        return Took(seconds, heard, stage.facts | facts)

    return repeat


def _transformers_trainer(folder: Path, cache: str) -> Repeat:
    """Transformers' Trainer over random batches, collating included; its set-up before the first
    step is not.
    """
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            self.began = time.perf_counter()

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            self.seconds = time.perf_counter() - self.began

    class InPlace(Trainer):
        def _prepare_inputs(self, inputs: Any) -> Any:
            return inputs  # nothing to move on a CPU, and it cannot rebuild named tuples

    stage, clock = _Stage(folder, cache), Clock()
    batches = stage.random_batches()
    arguments: dict[str, Any] = {
        "output_dir": str(folder / "trainer"),
        "max_steps": STEPS,
        "learning_rate": stage.settings.learning_rate,
        **dict.fromkeys(("logging_strategy", "save_strategy"), "no"),
        **dict.fromkeys(("use_cpu", "disable_tqdm"), True),
        "bf16": stage.precision == "bf16",
        "report_to": "none",
        "remove_unused_columns": False,
    }

    def repeat() -> Took:
        chosen = list(islice(batches, STEPS))
        examples = [example for batch in chosen for example in batch.examples]
        trainer = InPlace(
            stage.model,
            TrainingArguments(per_device_train_batch_size=len(chosen[0].examples), **arguments),
            data_collator=lambda rows: stage.collator(rows).inputs,
            train_dataset=examples,
            callbacks=[clock],
        )
        trainer.train()
        efficiency = mean(sum(batch.positions) / batch.padded_positions for batch in chosen)
        facts = {"padding efficiency": efficiency, "in": stage.precision}
        return Took(clock.seconds, sum(e.utterance.duration for e in examples), facts)

    return repeat


_CACHED = Side("the batch plan, encoder outputs from the cache", partial(_planned, cache="all"))
_HEARD = Side("the batch plan, frozen encoder at each step", partial(_planned, cache="none"))
_RANDOM = Side(
    "transformers' Trainer, random batches, cached", partial(_transformers_trainer, cache="all")
)
_PLAIN = Side("transformers' Trainer, random batches", partial(_transformers_trainer, cache="none"))
CLAIMS = (
    Claim(
        "training with the feature cache against without it, same batches",
        _CACHED,
        _HEARD,
        "audio s/s",
        lacks=lacks_parts,
    ),
    Claim(
        "the batch plan against random batches of the same mean size",
        _CACHED,
        _RANDOM,
        "audio s/s",
        lacks=lacks_parts,
    ),
    Claim(
        "the batch plan against random batches, without a cache in either",
        _HEARD,
        _PLAIN,
        "audio s/s",
        lacks=lacks_parts,
    ),
    Claim(
        "the cache and the batch plan together against neither",
        _CACHED,
        _PLAIN,
        "audio s/s",
        lacks=lacks_parts,
    ),
)
