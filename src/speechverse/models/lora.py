"""LoRA on the LLM through PEFT, in PEFT's own file format."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer, cast_adapter_dtype
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from speechverse.config import Config, PositiveInt
from speechverse.errors import CheckpointError, RecipeError
from speechverse.files import atomic_write
from speechverse.hub import quiet_transformers, read_weights
from speechverse.seeding import fingerprint

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PEFT_PREFIX = "base_model.model."
_OTHER = "other"


class LoraConfig(Config):
    """Low-rank adapters on the LLM, made when a stage first trains them."""

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    targets: list[str] | Literal["all-linear"] | None = None
    """Names of the LLM's linear layers, or 'all-linear'; by default its query and value ones."""


def add(llm: PreTrainedModel, config: LoraConfig) -> None:
    """Puts fresh adapters (an identity until trained) into the LLM, which is changed in place.

    Raises:
        RecipeError: If no layer has such a name.
    """
    targets = config.targets
    peft_config = PeftLoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="SEQ_2_SEQ_LM" if llm.config.is_encoder_decoder else "CAUSAL_LM",
    )
    try:
        llm.add_adapter(peft_config)
    except ValueError as error:
        linear = {
            name.rpartition(".")[2]
            for name, module in llm.named_modules()
            if isinstance(module, nn.Linear)
        }
        fault = f"LoRA targets {targets} do not fit this LLM"
        if targets is None:
            kind = llm.config.model_type
            fault = f"no LoRA targets are known for {kind}: name some (lora.targets)"
        raise RecipeError(f"{fault}; its linear layers: {sorted(linear)}") from error
    # Adapters are trained, so they stay in fp32 whatever the frozen weights are kept in.
    cast_adapter_dtype(llm, "default", autocast_adapter_dtype=True)


def save(
    llm: PreTrainedModel, folder: Path, llm_name: str, dtype: torch.dtype | None = None
) -> None:
    """Writes the adapters as PEFT does, so that `PeftModel.from_pretrained` reads them too.

    Args:
        llm_name: What the LLM was asked for by: PEFT would write down this machine's path of a
            built-in one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _weights_of(llm, "default")
    weights = {
        _PEFT_PREFIX + name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in state.items()
    }
    with atomic_write(folder / _WEIGHTS) as aside:
        save_file(weights, aside, metadata={"format": "pt"})
    config = copy.copy(llm.peft_config["default"])
    config.base_model_name_or_path = llm_name
    config.save_pretrained(folder)


def load(llm: PreTrainedModel, folder: Path) -> None:
    """Reads adapters into an LLM that has fresh ones of the same shape.

    Raises:
        CheckpointError: If the file is missing or does not fit.
    """
    if not (folder / _WEIGHTS).is_file():
        raise CheckpointError(
            f"'{folder}' holds no LoRA weights ({_WEIGHTS}); the checkpoint is not whole"
        )
    weights = _read(folder)
    if wrong := _shapes(weights).items() ^ _shapes(_weights_of(llm, "default")).items():
        raise CheckpointError(
            f"the LoRA weights in '{folder}' do not fit the LLM, for example '{min(wrong)[0]}'"
        )
    set_peft_model_state_dict(llm, weights, adapter_name="default")


@contextmanager
def disabled(llm: PreTrainedModel) -> Iterator[None]:
    """The LLM as it was before any training, within the block."""
    llm.disable_adapters()
    try:
        yield
    finally:
        llm.enable_adapters()


@contextmanager
def replaced(llm: PreTrainedModel, folder: Path) -> Iterator[None]:
    """The LLM with other adapters, in PEFT's format, instead of its own if it has any, within the
    block.

    Raises:
        CheckpointError: If the folder holds none, or they do not fit the LLM.
    """
    _load_beside(llm, folder)
    try:
        llm.set_adapter(_OTHER)
        yield
    finally:
        _take_out_other(llm)


def _take_out_other(llm: PreTrainedModel) -> None:
    if "default" in llm.peft_config:
        llm.set_adapter("default")
    llm.delete_adapter(_OTHER)


def _load_beside(llm: PreTrainedModel, folder: Path) -> None:
    shapes = _shapes(_weights_in(folder))
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Already found a `peft_config`"
            )  # two are meant
            llm.load_adapter(str(folder), adapter_name=_OTHER)
        taken = _shapes(_weights_of(llm, _OTHER))
        fits, reason = shapes == taken, "it has other layers"
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        fits, reason = False, str(error).strip().splitlines()[0]
    if not fits:
        if _OTHER in getattr(llm, "peft_config", {}):
            _take_out_other(llm)
        raise CheckpointError(
            f"the LoRA in '{folder}' does not fit this LLM: {reason}; was it trained on another?"
        )


def lora_fingerprint(folder: Path) -> str:
    """A hash of the adapters in a folder.

    Raises:
        CheckpointError: If there are none.
    """
    _weights_in(folder)
    return fingerprint(*((folder / name).read_bytes() for name in (_CONFIG, _WEIGHTS)))


def _weights_in(folder: Path) -> dict[str, Tensor]:
    if not all((folder / name).is_file() for name in (_CONFIG, _WEIGHTS)):
        raise CheckpointError(
            f"'{folder}' holds no LoRA ({_CONFIG}, {_WEIGHTS}); give the folder 'lora' of a"
            " checkpoint that was trained in a stage with `reads: transcript`, or one that PEFT"
            " wrote"
        )
    return _read(folder)


def _read(folder: Path) -> dict[str, Tensor]:
    return {
        name.removeprefix(_PEFT_PREFIX): tensor
        for name, tensor in read_weights(folder / _WEIGHTS).items()
    }


def _weights_of(llm: PreTrainedModel, adapter: str) -> dict[str, Tensor]:
    """The adapters alone: PEFT asks the hub, each time, whether embeddings belong to them."""
    return dict(get_peft_model_state_dict(llm, adapter_name=adapter, save_embedding_layers=False))


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def parameters(llm: PreTrainedModel) -> list[nn.Parameter]:
    return [parameter for name, parameter in llm.named_parameters() if ".lora_" in name]


def set_training(llm: PreTrainedModel, mode: bool) -> None:
    """Switches the adapters' dropout, and nothing of the frozen LLM's."""
    for module in llm.modules():
        if isinstance(module, LoraLayer):
            module.lora_dropout.train(mode)


def merged(llm: PreTrainedModel) -> PreTrainedModel:
    """A copy of the LLM with the adapters added into its weights, and no trace of them left."""
    llm = copy.deepcopy(llm)
    for name, module in list(llm.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            llm.set_submodule(name, module.get_base_layer())
    llm._hf_peft_config_loaded = False
    del llm.peft_config
    return llm
