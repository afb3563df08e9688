"""Other audio LLMs of transformers (Qwen2-Audio, Granite Speech and their like), through their own
processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from jinja2 import TemplateError

from speechverse import audio
from speechverse.errors import UserError
from speechverse.evaluation.parts import ONE_CLIP, OfFamily, Parts, asks_about_several
from speechverse.hub import folder_fingerprint, loading, local_folder, resolve
from speechverse.progress import Advance, ignore
from speechverse.quiet import quiet_transformers
from speechverse.types import SAMPLING_RATE, TOKENS_A_SECOND, TOKENS_BESIDE, Answer, Example


class AudioLlm(OfFamily):
    """An audio LLM of the hub: its own chat template puts the clip before the same instruction, it
    answers freely, and its answers go through the same parsers.
    """

    family: ClassVar[str] = "audio-llm"
    title: ClassVar[str] = "another audio LLM, which hears the audio and answers freely"
    name: ClassVar[str]
    hears: ClassVar[bool] = False  # it needs nothing of the model's encoder

    def __init__(self, parts: Parts) -> None:
        """Loads it, on the model's device.

        Raises:
            CheckpointError: If it cannot be loaded, or is none that transformers has.
            UserError: If its processor knows no chat.
        """
        self.parts, found = parts, resolve(self.which)
        where: Any = {"revision": found.revision}
        with loading("audio LLM", found):
            processor: Any = transformers.AutoProcessor.from_pretrained(found.name, **where)
            config = transformers.AutoConfig.from_pretrained(found.name, **where)
            # The auto class does not know every kind; a folder names its own.
            kind: Any = getattr(transformers, (config.architectures or [""])[0], None)
            kind = kind or transformers.AutoModelForMultimodalLM
            model = kind.from_pretrained(found.name, dtype="auto", **where)
        template = getattr(processor, "chat_template", None)
        template = template or getattr(getattr(processor, "tokenizer", None), "chat_template", None)
        if not template:
            raise UserError(f"'{self.which}' has no chat template to ask it by; name another")
        processor.chat_template = template
        self._processor, self._model = processor, model.to(parts.model.device).eval()
        self._sign = None if _takes_parts(processor) else processor.audio_token
        self._fingerprint = folder_fingerprint(local_folder(found))

    @property
    def stands_on(self) -> str:
        return self._fingerprint

    def missing(self, examples: Sequence[Example]) -> str | None:
        if asks_about_several(examples):
            return ONE_CLIP
        hearing = getattr(self._processor, "audio_processor", None)  # Granite Speech's name for it
        rate = (hearing or self._processor.feature_extractor).sampling_rate
        return None if rate == SAMPLING_RATE else f"it hears {rate} Hz, not {SAMPLING_RATE}"

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        """One at a time: these models' padding changes answers."""
        made = []
        for example in examples:
            made.append(self._answer(example))
            progress(1)
        return made

    def _inputs(self, samples: np.ndarray, instruction: str) -> Any:
        """The clip and the instruction as the user's turn, in tensors of one row."""
        if self._sign is None:
            return self._processor.apply_chat_template(
                _turn(_parts(samples, instruction)),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        text = self._processor.apply_chat_template(
            _turn(self._sign + instruction), add_generation_prompt=True, tokenize=False
        )
        return self._processor(text=text, audio=[samples], return_tensors="pt")

    @torch.no_grad()
    def _answer(self, example: Example) -> Answer:
        clip, options = audio.load(example.utterance.audio), self.parts.options
        with quiet_transformers():
            inputs = self._inputs(clip.samples, example.instruction).to(self._model.device)
            for name, value in inputs.items():
                if torch.is_floating_point(value):
                    inputs[name] = value.to(self._model.dtype)
            limit = options.max_new_tokens or TOKENS_BESIDE + round(TOKENS_A_SECOND * clip.duration)
            ids = self._model.generate(
                **inputs, max_new_tokens=limit, do_sample=False, num_beams=options.num_beams
            )[0, inputs["input_ids"].shape[1] :]
        text = self._processor.decode(ids, skip_special_tokens=True).strip()
        return Answer(text, ended="length" if len(ids) >= limit else "end")


def _takes_parts(processor: Any) -> bool:
    """Whether its chat template takes a turn of audio and text in parts. Granite Speech's takes one
    text, in which the sign for audio stands; given parts, it fails or leaves the audio out.
    """
    sign = getattr(processor, "audio_token", None)
    if sign is None:
        return True
    turn = _turn(_parts(np.zeros(0, dtype=np.float32), "?"))
    try:
        return sign in processor.apply_chat_template(turn, tokenize=False)
    except (TypeError, TemplateError):
        return False


def _parts(samples: np.ndarray, instruction: str) -> list[dict[str, Any]]:
    return [{"type": "audio", "audio": samples}, {"type": "text", "text": instruction}]


def _turn(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]
