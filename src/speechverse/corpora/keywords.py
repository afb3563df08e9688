"""Keywords of transcripts, by a text model, as the paper made the labels of its keyword tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechverse.batching import cut_into_batches
from speechverse.errors import CorpusError
from speechverse.files import append_log, disk_full_as_error, read_log
from speechverse.progress import Watch
from speechverse.types import Utterance

PAPER_MODEL = "Voicelab/vlt5-base-keywords"
"""The paper's footnote names it; how it is asked, below, is its model card's way."""

_PREFIX = "Keywords: "
_BUDGET = 8_000
"""Letters of a batch, padding included."""

Ask = Callable[[Sequence[str]], list[str]]
"""What a model answers to texts."""


@dataclass(frozen=True)
class Keywords:
    """What labels texts with keywords.

    Attributes:
        model: A hub id or a folder of a sequence-to-sequence model of transformers.
        device: Where it runs; by default a GPU where there is one.
    """

    model: str = PAPER_MODEL
    device: str | None = None

    def label(
        self, splits: Mapping[str, list[Utterance]], kept: Path, watch: Watch
    ) -> dict[str, list[Utterance]]:
        """The clips with keywords, where they have text and none yet.

        Args:
            kept: Answers are added to this file; an interrupted command goes on from it.
        """
        everyone = [clip for split in splits.values() for clip in split]
        texts = dict.fromkeys(clip.text for clip in everyone if clip.text)
        known = self._known(kept)
        missing = [text for text in texts if text not in known]
        advance = watch("keywords", len(missing))
        ask = load_model(self.model, self.device) if missing else None
        for batch in cut_into_batches(sorted(missing, key=len), len, _BUDGET):
            assert ask is not None
            found = dict(zip(batch, map(split_answer, ask(batch)), strict=True))
            self._keep(kept, found)
            known |= found
            advance(len(batch))
        return {split: [_labelled(clip, known) for clip in some] for split, some in splits.items()}

    def _known(self, kept: Path) -> dict[str, list[str]]:
        known = {}
        for told in read_log(kept):
            if told["model"] != self.model:
                raise CorpusError(
                    f"'{kept}' holds keywords by {told['model']}, not by {self.model}: name that"
                    " model, or delete the file"
                )
            known[told["text"]] = told["keywords"]
        return known

    def _keep(self, kept: Path, found: Mapping[str, list[str]]) -> None:
        lines = [
            {"text": text, "keywords": words, "model": self.model} for text, words in found.items()
        ]
        with disk_full_as_error(kept):
            append_log(kept, lines)


def _labelled(clip: Utterance, known: Mapping[str, list[str]]) -> Utterance:
    words = known.get(clip.text or "")
    if not words or "keywords" in clip.labels:
        return clip
    return replace(clip, labels={**clip.labels, "keywords": words})


def split_answer(answer: str) -> list[str]:
    """The keywords of an answer, which has commas between; each once, in lower case."""
    words = (word.strip().lower() for word in answer.split(","))
    return list(dict.fromkeys(word for word in words if word))


def load_model(name: str, device: str | None) -> Ask:
    """A sequence-to-sequence model that is asked for keywords.

    Raises:
        CorpusError: If it is a model of another kind.
    """
    import torch

    from speechverse.device import pick_device
    from speechverse.hub import resolve
    from speechverse.models.llm import load_llm_and_tokenizer

    place = pick_device(device)
    llm, tokenizer = load_llm_and_tokenizer(resolve(name), torch.float32)
    if not llm.config.is_encoder_decoder:
        raise CorpusError(
            f"'{name}' continues texts; keywords are asked of a sequence-to-sequence model such as"
            f" {PAPER_MODEL}"
        )
    model: Any = llm.to(place).eval()

    def ask(texts: Sequence[str]) -> list[str]:
        inputs = tokenizer([_PREFIX + text for text in texts], return_tensors="pt", padding=True)
        with torch.inference_mode():
            output = model.generate(
                input_ids=inputs["input_ids"].to(place),
                attention_mask=inputs["attention_mask"].to(place),
                **{"no_repeat_ngram_size": 3, "num_beams": 4, "max_new_tokens": 64},
            )
        return list(tokenizer.batch_decode(output, skip_special_tokens=True))

    return ask
