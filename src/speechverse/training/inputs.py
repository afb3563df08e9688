"""What a stage feeds its model: how long an example is in a batch, and the tensors made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from speechverse.data import Collator, FeatureCache, FrameCollator, frames_of, length_function
from speechverse.data.collate import Collate
from speechverse.data.frames import refuse_unaligned
from speechverse.data.plan import Length
from speechverse.decoding import answer
from speechverse.encoders.best_rq.pretraining import EncoderForPreTraining
from speechverse.encoders.ctc import greedy_ids
from speechverse.models import SpeechVerseForConditionalGeneration, SpeechVerseProcessor
from speechverse.training.build import Trained
from speechverse.training.engine import Engine, plain_attention_where_faster
from speechverse.training.recipe import Recipe, StageSection
from speechverse.training.sources import Sources, open_cache
from speechverse.training.text_checks import check_texts
from speechverse.types import Answer, Example


class Inputs(Protocol):
    """Of one kind of model."""

    def length(self, stage: StageSection) -> Length:
        """Positions of the LLM, or frames of the encoder, that an example takes."""

    def collator(self, stage: StageSection) -> Collate:
        """Makes batches of examples."""

    def answers(self, examples: Sequence[Example], stage: StageSection) -> list[Answer]:
        """What the model says to examples."""


@dataclass
class AskedInputs:
    """A SpeechVerse model's: audio or its transcript with an instruction, by the processor."""

    recipe: Recipe
    model: SpeechVerseForConditionalGeneration
    processor: SpeechVerseProcessor
    cache: FeatureCache | None = None

    def length(self, stage: StageSection) -> Length:
        length = length_function(self.processor, stage.reads)
        if stage.objective != "ctc":
            return length

        def aligned(example: Example) -> int:
            positions = length(example)
            self._check_alignment(example)
            return positions

        return aligned

    def _check_alignment(self, example: Example) -> None:
        """Whether CTC can write the target along the audio's positions; a choice has no place.

        Raises:
            AudioError: If there are too few.
        """
        if example.target in (example.choices or ()):
            return
        num_frames = self.processor.front_end.num_frames(example.utterance.num_samples)
        positions = self.model.config.num_audio_positions(num_frames)
        tokens = self.processor.encode_target(example.target)[:-1]
        refuse_unaligned(example.target, tokens, positions, "positions of audio")

    def collator(self, stage: StageSection) -> Collator:
        return Collator(self.processor, self.cache, stage.reads)

    def answers(self, examples: Sequence[Example], stage: StageSection) -> list[Answer]:
        reads = (lambda clip: clip.text or "") if stage.reads == "transcript" else None
        return answer(
            self.model,
            self.processor,
            examples,
            self.recipe.decoding,
            cache=self.cache,
            transcript_of=reads,
        )


@dataclass
class HeardInputs:
    """An encoder's that is pre-trained: its frames, and the pieces of a CTC head."""

    recipe: Recipe
    model: EncoderForPreTraining

    def length(self, stage: StageSection) -> Length:
        assert self.recipe.encoder is not None
        return frames_of(self.model.front_end, self.recipe.encoder.max_seconds, self._pieces(stage))

    def collator(self, stage: StageSection) -> FrameCollator:
        return FrameCollator(self.model.front_end, self._pieces(stage))

    def _pieces(self, stage: StageSection) -> Any:
        return self.model.tokenizer if stage.objective == "ctc" else None

    def answers(self, examples: Sequence[Example], stage: StageSection) -> list[Answer]:
        """Transcripts, greedily; none without a CTC head."""
        if stage.objective != "ctc":
            return []
        return [Answer(self._transcribe(example, stage)) for example in examples]

    def _transcribe(self, example: Example, stage: StageSection) -> str:
        batch, device = self.collator(stage)([example]), next(self.model.parameters()).device
        inputs = batch.to(device).inputs
        with torch.inference_mode():
            logits = self.model(inputs["input_features"], inputs["frame_lengths"], "ctc")
        pieces: Any = self.model.tokenizer
        return pieces.decode(greedy_ids(logits, inputs["frame_lengths"], pieces.pad_token_id)[0])


def inputs_of(
    model: Trained, recipe: Recipe, sources: Sources, engine: Engine, folder: Path
) -> Inputs:
    """What a run feeds its model, once what can be known of the data was checked.

    Raises:
        RecipeError: If the LLM's tokenizer cannot spell the data.
    """
    if not isinstance(model, SpeechVerseForConditionalGeneration):
        return HeardInputs(recipe, model)
    plain_attention_where_faster(model.llm, engine.device, engine.precision)
    processor = model.processor()
    inputs = AskedInputs(recipe, model, processor)
    check_texts(recipe, sources, processor, inputs.length)
    model.config.prompt_fingerprint = processor.prompt_fingerprint
    return replace(inputs, cache=open_cache(sources, model.encoder, processor, folder, engine))
