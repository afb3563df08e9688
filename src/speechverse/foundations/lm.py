"""`speechverse pretrain lm`: the small LLM, from its text data to a folder in the hub's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerFast

from speechverse.files import only_run_in
from speechverse.foundations.beginnings import begin_with
from speechverse.foundations.cards import lm_card
from speechverse.foundations.compute import Compute
from speechverse.foundations.lm_data import LmBatches, Sample, SampleMaker, collate
from speechverse.foundations.lm_model import StreamedLm, new_lm
from speechverse.foundations.phases import Numbers, Phase, made_of
from speechverse.foundations.practice import Practice
from speechverse.foundations.recipe import LmRecipe
from speechverse.foundations.saving import save_foundation
from speechverse.foundations.text_side import TextSide, world_words
from speechverse.foundations.world import label_sets, world_tokenizer
from speechverse.seeding import rng_for
from speechverse.tasks import Task
from speechverse.training.engine import plain_attention_where_faster
from speechverse.training.memory import keep_freed_memory
from speechverse.types import Example

_WIDEST_ANSWER = 48  # pieces
_GATE_BATCH = 32

Scores = dict[str, dict[str, dict[str, float]]]
"""Kind of text → task → metric → value."""

KINDS = {"clean": "", "stretched": "~", "reworded": "'"}
"""What the gate asks → how the run's log marks it."""


def pretrain_lm(recipe: LmRecipe, output: Path) -> Path:
    """Makes the LLM, or goes on making it.

    Args:
        recipe: Sizes, data and steps.
        output: The run's folder: states, logs, and at the end `llm/`.

    Returns:
        The folder that transformers loads.

    Raises:
        CheckpointError: If what the run should begin with cannot be loaded.
        RecipeError: If that is of another shape.
    """
    keep_freed_memory()
    with only_run_in(output):
        tokenizer = world_tokenizer(recipe.tokenizer)
        labels = label_sets()
        train = TextSide(labels, "train", recipe.data.seed, recipe.data.sentences)
        held_out = TextSide(labels, "dev", recipe.data.seed, 40 * recipe.data.gate_examples)
        copying = train.tasks["asr"].prompts.seen
        maker = SampleMaker(tokenizer, train, Practice(world_words(train.utterances), copying), recipe.data)
        batches = LmBatches(maker, recipe.data, recipe.shape.max_positions)
        compute = Compute.of(recipe.compute)
        lm = new_lm(recipe, tokenizer)
        if recipe.initial is not None:
            begin_with(lm, recipe.initial)
        lm.get_input_embeddings().requires_grad_(not recipe.freeze_embeddings)
        model = StreamedLm(lm).to(compute.device)
        plain_attention_where_faster(model.lm, compute.device, "bf16" if compute.bf16 else "fp32")

        def loss(step: int) -> tuple[Tensor, Numbers]:
            with compute.autocast():
                return model.loss(batches[step])

        gate = Gate(model, maker, held_out, recipe.data.gate_examples)
        origin = made_of(recipe, tokenizer)
        Phase("lm", model, loss, recipe.training, recipe.seed, origin, gate.headlines).run(output)
        return save_lm(output / "llm", recipe, model, tokenizer, gate.scores())


class Gate:
    """Each task's score on held-out text, clean, stretched, and clean but asked in held-out words.

    Below 0.9 there, the audio is not to blame.
    """

    def __init__(self, model: StreamedLm, maker: SampleMaker, world: TextSide, examples: int) -> None:
        self.model, self.maker, self.world, self.examples = model, maker, world, examples

    def headlines(self) -> Numbers:
        """Each task's first metric: `name` on clean text, `name~` on stretched, `name'` in held-out words."""
        return {
            name + mark: next(iter(scores.values()))
            for kind, mark in KINDS.items()
            for name, scores in self.scores((kind,))[kind].items()
        }

    def scores(self, kinds: Sequence[str] = tuple(KINDS)) -> Scores:
        """All metrics of all tasks; the noise over stretched text is the same each time."""
        self.model.eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return {kind: {name: self._score(task, kind) for name, task in self.world.tasks.items()} for kind in kinds}

    def _score(self, task: Task, kind: str) -> dict[str, float]:
        examples: list[Example] = []
        samples: list[Sample] = []
        for utterance in self.world.held_out(task, self.examples):
            rng = rng_for(0, "gate", task.name, utterance.id)
            example, question = self.world.ask(task, utterance, rng, "held_out" if kind == "reworded" else "seen")
            examples.append(example)
            samples.append(self.maker.make(*question, rng=rng, stretched=kind == "stretched"))
        answers = self._answers(samples)
        read = [task.parse(text, example.choices) for text, example in zip(answers, examples, strict=True)]
        scores = task.score(read, [example.reference for example in examples])
        exact = sum(a == e.target.lower() for a, e in zip(answers, examples, strict=True)) / max(1, len(examples))
        return {**scores, "exact": exact}

    def _answers(self, samples: Sequence[Sample]) -> list[str]:
        texts: list[str] = []
        for start in range(0, len(samples), _GATE_BATCH):
            batch = collate(samples[start : start + _GATE_BATCH])
            ids = self.model.answer(batch, max_new_tokens=_WIDEST_ANSWER)
            texts += self.maker.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts


def save_lm(
    folder: Path, recipe: LmRecipe, model: StreamedLm, tokenizer: PreTrainedTokenizerFast, scores: Scores
) -> Path:
    """Writes weights, tokenizer, generation settings, card and gate."""
    lm = model.lm
    lm.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=lm.config.decoder_start_token_id,
    )
    return save_foundation(folder, lm, tokenizer, lm_card(recipe, lm, tokenizer, scores), {"gate": scores})
