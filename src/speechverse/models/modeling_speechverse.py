"""The model: frozen speech encoder → layer mixer → downsampler → [audio ; prompt] → frozen LLM with
LoRA.

Shape letters: L layers, B batch, T encoder frames, D width of the encoder, P prompt positions, N
target tokens, E width of the LLM's embeddings, V vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import ModelOutput

from speechverse.encoders import EncoderOutput, SpeechEncoder
from speechverse.errors import CheckpointError, RecipeError, unknown_name
from speechverse.hub import resolve
from speechverse.models import checkpoints
from speechverse.models import lora as adapters
from speechverse.models.assembly import (
    config_of,
    find_foundation,
    identity_of,
    load_chosen_encoder,
    read_config,
)
from speechverse.models.clip_statistics import ClipStatistics
from speechverse.models.configuration_speechverse import ModelConfig, SpeechVerseConfig
from speechverse.models.downsampler import Downsampler
from speechverse.models.llm import (
    embed_tokens,
    greedy_generation,
    llm_facts,
    load_llm_and_tokenizer,
)
from speechverse.models.mixer import LayerMixer
from speechverse.models.placing import place_audio
from speechverse.models.processing_speechverse import SpeechVerseProcessor
from speechverse.models.token_logits import token_logits
from speechverse.pretrained import refuse_offline
from speechverse.types import IGNORED, PartCount


@dataclass
class SpeechVerseOutput(ModelOutput):
    """What a forward pass gives.

    Attributes:
        loss: Mean negative log-likelihood of the labels, where there are any.
        logits: Aligned with `labels`: (B, N, V) for encoder-decoder LLMs, (B, P + N - 1, V) for
            decoder-only ones. For `ctc_tokens`, (B, T', C).
        lengths: For `ctc_tokens`, true positions of each row, (B,).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    lengths: Tensor | None = None


class SpeechVerseForConditionalGeneration(PreTrainedModel):
    """A SpeechVerse model over any encoder of `speechverse.encoders` and any LLM of transformers.

    Frozen parts stay in evaluation mode whatever `train()` says; only LoRA's dropout follows it.
    """

    config_class = SpeechVerseConfig
    main_input_name = "input_ids"
    _tokenizer: PreTrainedTokenizerBase | None = None  # kept, for reading it takes .3 s

    def __init__(
        self, config: SpeechVerseConfig, encoder: SpeechEncoder, llm: PreTrainedModel
    ) -> None:
        super().__init__(config)
        self.encoder = encoder
        chosen = config.settings
        self.encoder.last_layer_only = chosen.layer_mixing == "last"
        self.mixer = LayerMixer(config.num_encoder_layers, chosen.layer_mixing)
        self.downsampler = Downsampler(
            config.encoder_width, config.llm_width, chosen.downsampler, config.embedding_scale
        )
        self.clip_statistics: ClipStatistics | None = None
        if chosen.downsampler.clip_statistics:
            self.clip_statistics = ClipStatistics(
                config.num_encoder_layers,
                config.encoder_width,
                config.llm_width,
                chosen.layer_mixing,
            )
        self.llm = llm.requires_grad_(False).eval()
        self.llm.generation_config = greedy_generation(
            llm, config.start_id, config.end_id, config.pad_id
        )
        if chosen.lora is not None:
            adapters.add(self.llm, chosen.lora)
        self.set_trainable(["mixer", "downsampler", *(["lora"] if self.has_lora else [])])

    @classmethod
    def from_foundations(
        cls,
        encoder: str | Path,
        llm: str | Path,
        *,
        encoder_revision: str | None = None,
        llm_revision: str | None = None,
        dtype: torch.dtype = torch.float32,
        **settings: Any,
    ) -> SpeechVerseForConditionalGeneration:
        """Joins a pretrained encoder and a pretrained LLM with fresh learnable parts.

        Args:
            encoder: The speech encoder: a built-in's or known part's name, a folder, a CTranslate2
                folder or a hub id.
            llm: The LLM: a built-in's or known part's name, a folder, a `.gguf` file or a hub id.
            dtype: Precision of the frozen parts; what is trained stays in fp32.
            settings: Fields of `ModelConfig`, such as `layer_mixing`; `downsampler` and `lora` also
                as dicts.

        Raises:
            CheckpointError: If a foundation is missing or broken.
            RecipeError: If a setting is unknown or does not fit.
        """
        chosen = ModelConfig.of(settings)
        if chosen.encoder_family:  # to be found from anywhere
            path, _, name = chosen.encoder_family.rpartition(":")
            chosen = chosen.model_copy(
                update={"encoder_family": f"{Path(os.path.expanduser(path)).resolve()}:{name}"}
            )
        found_encoder, found_llm = resolve(encoder, encoder_revision), resolve(llm, llm_revision)
        encoder_module = load_chosen_encoder(found_encoder, chosen, dtype)
        llm_module, tokenizer = load_llm_and_tokenizer(found_llm, dtype)
        config = config_of(chosen, encoder_module, llm_module, llm_facts(llm_module, tokenizer))
        config.update(identity_of("encoder", found_encoder) | identity_of("llm", found_llm))
        return cls(config, encoder_module, llm_module)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        encoder: str | Path | None = None,
        llm: str | Path | None = None,
        allow_other_parts: bool = False,
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        **hub_kwargs: Any,
    ) -> SpeechVerseForConditionalGeneration:
        """Loads a checkpoint, and the foundations it stands on.

        Args:
            folder: Built-in name, folder or hub id of a checkpoint or an export.
            encoder: Where its encoder lies now, if not where it lay in training; it has to be the
                same one.
            llm: The same of its LLM.
            allow_other_parts: Take an encoder or LLM that is not the one it was trained with, and
                only warn.
            hub_kwargs: What transformers' `AutoModel` hands over; nothing else is taken.

        Raises:
            CheckpointError: If it is not whole, or the encoder or the LLM is not the one it was
                trained with.
        """
        if unknown := set(hub_kwargs) - {
            "config",
            "trust_remote_code",
            "adapter_kwargs",
            "_from_auto",
        }:
            raise TypeError(f"from_pretrained() takes no {', '.join(sorted(unknown))}")
        location = checkpoints.checkpoint_folder(folder, revision)
        config = read_config(resolve(folder, revision))
        chosen = (encoder or config.encoder, llm or config.llm)
        refuse_offline(str(name) for name in chosen)  # both at once, with one command
        found_encoder = find_foundation("encoder", config, location, encoder, allow_other_parts)
        found_llm = find_foundation("llm", config, location, llm, allow_other_parts)
        config.update(identity_of("encoder", found_encoder) | identity_of("llm", found_llm))
        encoder_module = load_chosen_encoder(found_encoder, config.settings, dtype)
        llm_module, tokenizer = load_llm_and_tokenizer(found_llm, dtype)
        model = cls(config, encoder_module, llm_module)
        model._tokenizer = tokenizer
        checkpoints.load_trained(model, location)
        return model.eval()

    def save_pretrained(
        self, folder: str | Path, dtype: torch.dtype | None = None, **kwargs: Any
    ) -> None:
        """Writes a checkpoint of what was trained, in `dtype`."""
        if kwargs:
            raise TypeError(f"save_pretrained() takes no {', '.join(sorted(kwargs))}")
        checkpoints.save(self, folder, dtype)

    def export(self, folder: str | Path) -> None:
        checkpoints.export(self, folder)

    def processor(self) -> SpeechVerseProcessor:
        return SpeechVerseProcessor.from_config(self.config, tokenizer=self._tokenizer)

    def load_trained(self, folder: Path) -> None:
        checkpoints.load_trained(self, folder)

    @property
    def has_lora(self) -> bool:
        return self.config.settings.lora is not None

    def add_lora(self, config: adapters.LoraConfig) -> None:
        """Adds fresh adapters to the LLM: an identity until trained.

        Raises:
            RecipeError: If there are adapters already, or no layer has a name in `targets`.
        """
        if self.has_lora:
            raise RecipeError(
                "the model has LoRA adapters already; train those, or start from a model without"
            )
        adapters.add(self.llm, config)
        self.config.choose(lora=config)

    @contextmanager
    def without_lora(self) -> Iterator[None]:
        """The LLM as it was before any training, within the block; for cascades.

        Raises:
            CheckpointError: If LoRA was merged into the LLM.
        """
        if self.config.merged:
            raise CheckpointError(
                "LoRA is merged into this export's LLM and cannot be left out; use the checkpoint"
                " instead"
            )
        with adapters.disabled(self.llm) if self.has_lora else nullcontext():
            yield

    def trainable_parts(self) -> dict[str, list[nn.Parameter]]:
        """What a stage can train, by name."""
        parts = {
            "mixer": list(self.mixer.parameters()),
            "downsampler": [
                p
                for module in (self.downsampler, self.clip_statistics)
                if module
                for p in module.parameters()
            ],
            "encoder": self.encoder.learning(),
        }
        return {**parts, "lora": adapters.parameters(self.llm)} if self.has_lora else parts

    def set_trainable(self, parts: Iterable[str], top_layers: int | None = None) -> None:
        """Lets exactly these parts learn and freezes all else.

        Args:
            top_layers: Of the encoder, so many of its last layers alone.

        Raises:
            RecipeError: If there is no such part, or the encoder has fewer layers.
        """
        chosen, available = set(parts), self.trainable_parts()
        for part in sorted(chosen):
            if part == "lora" and not self.has_lora:
                raise RecipeError(
                    "this model has no LoRA adapters to train; set lora in the model's settings"
                )
            if part not in available:
                raise RecipeError(unknown_name("part to train", part, available))
        self.encoder.set_trainable("encoder" in chosen, top_layers)
        self.config.encoder_trained |= "encoder" in chosen
        for part in available.keys() - {"encoder"}:
            for parameter in available[part]:
                parameter.requires_grad_(part in chosen)

    def parameter_report(self) -> list[PartCount]:
        """Parameters of each part, and how many of them learn."""
        parts = self.trainable_parts()
        parts["encoder"] = list(self.encoder.parameters())
        of_lora = {id(parameter) for parameter in parts.get("lora", [])}
        parts["llm"] = [
            parameter for parameter in self.llm.parameters() if id(parameter) not in of_lora
        ]
        return [
            PartCount(
                part,
                sum(p.numel() for p in group),
                sum(p.numel() for p in group if p.requires_grad),
            )
            for part, group in parts.items()
        ]

    def train(self, mode: bool = True) -> SpeechVerseForConditionalGeneration:
        """Training mode for what learns; the frozen parts see no dropout."""
        super().train(mode)
        self.llm.eval()
        if self.has_lora:
            adapters.set_training(self.llm, mode)
        return self

    def encode(self, audio_inputs: dict[str, Tensor]) -> EncoderOutput:
        return self.encoder(**audio_inputs)

    def embed_audio(self, encoder_output: EncoderOutput) -> tuple[Tensor, Tensor]:
        """Mixes layers and reduces frames: positions (B, T', E) for the LLM and their true lengths
        (B,).

        Where the model has clip statistics, each position carries its clip's.
        """
        prepared_LBTD = self.mixer.prepare(encoder_output.hidden_states)
        mixed_BTD = self.mixer(prepared_LBTD)
        positions_BTE, lengths = self.downsampler(
            mixed_BTD.to(self.downsampler.dtype), encoder_output.lengths
        )
        if self.clip_statistics is not None:
            told_BE = self.clip_statistics(prepared_LBTD, encoder_output.lengths)
            positions_BTE = positions_BTE + self.config.embedding_scale * told_BE[:, None]
        return positions_BTE, lengths

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        audio_inputs: dict[str, Tensor] | None = None,
        encoder_output: EncoderOutput | None = None,
        decoder_input_ids: Tensor | None = None,
        ctc_tokens: Tensor | None = None,
        logits_at: Tensor | None = None,
    ) -> SpeechVerseOutput:
        """Reads a batch the processor made.

        Args:
            input_ids: Prompts of shape (B, P), `config.audio_token_id` where audio goes.
            attention_mask: 1 for true positions, shape (B, P).
            labels: What each logit should predict, -100 where nothing; aligned, nothing is shifted
                here.
            audio_inputs: What the encoder takes.
            encoder_output: What the encoder gave before, instead.
            decoder_input_ids: What the LLM's decoder reads, where it has one, shape (B, N).
            ctc_tokens: Score instead, without running the LLM, how near each audio position lies to
                the embeddings of these C tokens, shape (C,): logits (B, T', C); the filling token
                is the blank.
            logits_at: Of a decoder-only LLM, the positions whose logits are wanted, shape (K,), the
                same of every row: logits (B, K, V). The head is as large as a fifth of a small LLM.
        """
        if ctc_tokens is not None:
            audio_BTE, lengths = self.embed_audio(encoder_output or self.encode(audio_inputs or {}))
            logits = token_logits(self.llm, audio_BTE, ctc_tokens, self.config.pad_id)
            return SpeechVerseOutput(logits=logits, lengths=lengths)
        decoder = {} if decoder_input_ids is None else {"decoder_input_ids": decoder_input_ids}
        inputs_embeds = self.embed_prompt(input_ids, audio_inputs, encoder_output)
        kept = {} if logits_at is None else {"logits_to_keep": logits_at}
        outputs = self.llm(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            use_cache=False,
            **decoder,
            **kept,
        )
        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                outputs.logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED
            )
        return SpeechVerseOutput(loss=loss, logits=outputs.logits)

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        audio_inputs: dict[str, Tensor] | None = None,
        encoder_output: EncoderOutput | None = None,
        **options: Any,
    ) -> Any:
        """Answers a batch the processor made with `generation=True`.

        Args:
            options: transformers' generation options; greedy, up to 256 new tokens, where they say
                nothing.

        Returns:
            New tokens only, shape (B, N); transformers' output with such `sequences` for
            `return_dict_in_generate`.
        """
        inputs_embeds = self.embed_prompt(input_ids, audio_inputs, encoder_output)
        answer = self.llm.generate(
            inputs_embeds=inputs_embeds, attention_mask=attention_mask, **options
        )
        if isinstance(answer, Tensor):
            return answer[:, self.num_start_tokens :]
        answer.sequences = answer.sequences[:, self.num_start_tokens :]
        return answer

    @property
    def num_start_tokens(self) -> int:
        """Ids before the first new token in generation, as logits processors see them."""
        return 1 if self.config.is_encoder_decoder else 0

    def embed_prompt(
        self,
        input_ids: Tensor,
        audio_inputs: dict[str, Tensor] | None = None,
        encoder_output: EncoderOutput | None = None,
    ) -> Tensor:
        """[audio ; prompt] as the LLM takes it, shape (B, P, E): audio over the placeholders, the
        clips of a prompt one after the other; no device is waited for.

        Raises:
            ValueError: If the prompts keep other numbers of positions than the audio takes: they
                are of another model's processor. On a GPU, where asking would mean waiting, it is
                the device that fails.
        """
        is_audio_BP = input_ids == self.config.audio_token_id
        embeddings_BPE = embed_tokens(
            self.llm, input_ids.masked_fill(is_audio_BP, self.config.pad_id)
        )
        if encoder_output is None:
            if audio_inputs is None:
                return embeddings_BPE
            encoder_output = self.encode(audio_inputs)
        audio_BTE, lengths = self.embed_audio(encoder_output)
        return place_audio(embeddings_BPE, is_audio_BP, audio_BTE, lengths)
