"""Whisper as CTranslate2 keeps it (`model.bin`), turned into transformers' layout."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from speechverse.errors import CheckpointError
from speechverse.files import write_text

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import WhisperConfig

WEIGHTS = "model.bin"
_FORMAT_VERSION = 6
_SPEC = "WhisperSpec"
_KINDS = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""CTranslate2's numbers for its element types are their places in this list."""
_GELU = 3
"""Its number for the only activation that Whisper has."""
_END = "<|endoftext|>"
_MULTILINGUAL_FROM = 51865
"""Tokens of the smallest multilingual Whisper (openai/whisper, tokenizer.py)."""
_SINGLE_BYTES = 256
"""Tokens that stand for one byte each, before the first that is merged."""


class _Reader:
    """Takes numbers and strings off a file; running out of it means that it was cut short."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def number(self, kind: str) -> int:
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def string(self) -> str:
        return self.take(self.number("H")).rstrip(b"\0").decode()

    def take(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if len(piece) < size:
            raise EOFError
        return piece


def is_ctranslate2(folder: Path) -> bool:
    """Whether a folder is CTranslate2's and not the hub's."""
    return (folder / WEIGHTS).is_file() and not list(folder.glob("*.safetensors"))


def read_variables(file: Path) -> dict[str, Tensor]:
    """Every variable of a Whisper's `model.bin`, in the element type it is stored in.

    Raises:
        CheckpointError: If the file is cut short, of another version, or of another kind.
    """
    try:
        with file.open("rb") as stream:
            reader = _Reader(stream)
            _check_header(file, reader)
            return dict(_variable(reader) for _ in range(reader.number("I")))
    except (EOFError, UnicodeDecodeError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"'{file}' is no whole CTranslate2 model: it ends too early or is garbled; fetch it"
            " anew"
        ) from error


def _check_header(file: Path, reader: _Reader) -> None:
    version = reader.number("I")
    if version != _FORMAT_VERSION:
        raise CheckpointError(
            f"'{file}' has version {version} of CTranslate2's format, and only {_FORMAT_VERSION} is"
            " known; convert the model anew with a present CTranslate2, or give a folder in the"
            " model hub's format"
        )
    if (spec := reader.string()) != _SPEC:
        raise CheckpointError(
            f"'{file}' holds a CTranslate2 model of kind {spec}; of these only Whisper ({_SPEC})"
            " can be taken; give a folder in the model hub's format"
        )
    reader.number("I")  # the spec's revision: variables are looked up one by one anyway


def _variable(reader: _Reader) -> tuple[str, Tensor]:
    import torch

    name = reader.string()
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    dtype = getattr(torch, _KINDS[reader.number("B")])
    raw = bytearray(reader.take(reader.number("I")))
    return name, torch.frombuffer(raw, dtype=dtype).reshape(shape)


def write_whisper_folder(source: Path, folder: Path) -> None:
    """Writes a CTranslate2 folder of Whisper as the hub would keep it.

    Numbers stay as exact as they are stored; weights of 8 or 16 bit integers become fp32.

    Raises:
        CheckpointError: If the source is broken or lacks a file.
    """
    from safetensors.torch import save_file
    from transformers import WhisperFeatureExtractor

    variables, tokens = _Variables(source / WEIGHTS), _tokens(source)
    config = _config(variables, tokens)
    save_file(_state(variables, config), folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    _write_generation_config(source, folder, config, tokens)
    seconds = 2 * config.max_source_positions // 100
    WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds).save_pretrained(
        folder
    )
    _write_tokenizer(source, folder, config)


class _Variables:
    """A model's variables by name: weights as floats, settings as numbers."""

    def __init__(self, file: Path) -> None:
        self._file, self._all = file, read_variables(file)

    def weight(self, name: str) -> Tensor:
        tensor = self._get(name)
        if tensor.is_floating_point():
            return tensor
        scale = self._get(f"{name}_scale").float()
        return tensor.float() / scale.reshape(-1, *[1] * (tensor.dim() - 1))

    def setting(self, name: str) -> int:
        return int(self._get(name).item())

    def num_layers(self, half: str) -> int:
        return sum(
            name.startswith(f"{half}/layer_") and name.endswith("/ffn/linear_0/bias")
            for name in self._all
        )

    def _get(self, name: str) -> Tensor:
        if name not in self._all:
            raise CheckpointError(
                f"'{self._file}' holds no '{name}', so it is no whole Whisper; fetch it anew"
            )
        return self._all[name]


def _state(variables: _Variables, config: WhisperConfig) -> dict[str, Tensor]:
    """The weights under transformers' names, without the tied output layer."""
    state = {"model.decoder.embed_tokens.weight": variables.weight("decoder/embeddings/weight")}
    for half in ("encoder", "decoder"):
        state[f"model.{half}.embed_positions.weight"] = variables.weight(
            f"{half}/position_encodings/encodings"
        )
    for theirs, ours in _modules(config):
        stored = {"weight": "gamma", "bias": "beta"} if theirs.endswith("layer_norm") else {}
        for kind in ("weight", "bias"):
            pieces = variables.weight(f"{theirs}/{stored.get(kind, kind)}").chunk(len(ours))
            for name, piece in zip(ours, pieces, strict=True):
                if kind == "weight" or not name.endswith(".k_proj"):
                    state[f"{name}.{kind}"] = piece.contiguous()
                elif piece.any():
                    raise CheckpointError(
                        f"'{theirs}' gives keys a bias, which no Whisper has; fetch the model anew"
                    )
    return state


_ATTENTIONS = {"encoder": {"self_attention": "self_attn"}}
_ATTENTIONS["decoder"] = _ATTENTIONS["encoder"] | {"attention": "encoder_attn"}
_PROJECTIONS = {
    "self_attention": (("q", "k", "v"), ("out",)),
    "attention": (("q",), ("k", "v"), ("out",)),
}
"""CTranslate2 keeps what is multiplied with the same input as one matrix."""


def _modules(config: WhisperConfig) -> Iterator[tuple[str, list[str]]]:
    """Each module's name in CTranslate2, and those of transformers that are joined in it."""
    for conv in ("conv1", "conv2"):
        yield f"encoder/{conv}", [f"model.encoder.{conv}"]
    for half, num_layers in (
        ("encoder", config.encoder_layers),
        ("decoder", config.decoder_layers),
    ):
        yield f"{half}/layer_norm", [f"model.{half}.layer_norm"]
        for number in range(num_layers):
            theirs, ours = f"{half}/layer_{number}", f"model.{half}.layers.{number}"
            yield f"{theirs}/ffn/layer_norm", [f"{ours}.final_layer_norm"]
            yield f"{theirs}/ffn/linear_0", [f"{ours}.fc1"]
            yield f"{theirs}/ffn/linear_1", [f"{ours}.fc2"]
            for attention, module in _ATTENTIONS[half].items():
                yield f"{theirs}/{attention}/layer_norm", [f"{ours}.{module}_layer_norm"]
                for place, joined in enumerate(_PROJECTIONS[attention]):
                    yield (
                        f"{theirs}/{attention}/linear_{place}",
                        [f"{ours}.{module}.{name}_proj" for name in joined],
                    )


def _tokens(source: Path) -> dict[str, int]:
    """Every token's id, from the tokenizer or from the plain vocabulary."""
    if (file := source / "tokenizer.json").is_file():
        content = _read_json(file)
        try:
            added = {token["content"]: token["id"] for token in content["added_tokens"]}
            return {**content["model"]["vocab"], **added}
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"'{file}' is no tokenizer of Whisper's: it has no vocabulary; fetch it anew"
            ) from error
    if (file := source / "vocabulary.json").is_file():
        return {token: number for number, token in enumerate(_read_json(file))}
    if (file := source / "vocabulary.txt").is_file():
        tokens = file.read_text(encoding="utf-8").split("\n")
        return {token: number for number, token in enumerate(tokens)}
    raise CheckpointError(
        f"'{source}' holds neither tokenizer.json nor a vocabulary beside its {WEIGHTS}; add one"
    )


def _token(tokens: dict[str, int], name: str) -> int:
    if name not in tokens:
        raise CheckpointError(
            f"the tokenizer beside this {WEIGHTS} has no {name}, so it is not Whisper's; fetch it"
            " anew"
        )
    return tokens[name]


def _config(variables: _Variables, tokens: dict[str, int]) -> WhisperConfig:
    from transformers import WhisperConfig

    embeddings = variables.weight("decoder/embeddings/weight")
    if variables.setting("decoder/activation") != _GELU:
        raise CheckpointError(
            "this Whisper computes with another activation than gelu, so it is none; fetch it anew"
        )
    halves: dict[str, int] = {}
    for half in ("encoder", "decoder"):
        halves[f"{half}_layers"] = variables.num_layers(half)
        halves[f"{half}_attention_heads"] = variables.setting(f"{half}/num_heads")
        halves[f"{half}_ffn_dim"] = len(variables.weight(f"{half}/layer_0/ffn/linear_0/bias"))
    end = _token(tokens, _END)
    return WhisperConfig(
        architectures=["WhisperForConditionalGeneration"],
        dtype=embeddings.dtype,
        vocab_size=embeddings.shape[0],
        d_model=embeddings.shape[1],
        num_mel_bins=variables.weight("encoder/conv1/weight").shape[1],
        max_source_positions=len(variables.weight("encoder/position_encodings/encodings")),
        max_target_positions=len(variables.weight("decoder/position_encodings/encodings")),
        scale_embedding=bool(variables.setting("decoder/scale_embeddings")),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=_token(tokens, "<|startoftranscript|>"),
        **halves,
    )


def _write_generation_config(
    source: Path, folder: Path, config: WhisperConfig, tokens: dict[str, int]
) -> None:
    """Special tokens, what is never written, and which heads attend in step."""
    own = _read_json(source / "config.json") if (source / "config.json").is_file() else {}
    kept = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    settings = {
        **{key: getattr(config, key) for key in kept},
        "alignment_heads": own.get("alignment_heads"),
        "begin_suppress_tokens": own.get("suppress_ids_begin"),
        "suppress_tokens": own.get("suppress_ids"),
        "max_length": config.max_target_positions,
        "max_initial_timestamp_index": 50,  # 1 s, as in all of Whisper's own sizes
        "no_timestamps_token_id": _token(tokens, "<|notimestamps|>"),
        "prev_sot_token_id": tokens.get("<|startofprev|>"),
        "return_timestamps": False,
        "is_multilingual": config.vocab_size >= _MULTILINGUAL_FROM,
    }
    if settings["is_multilingual"]:
        names = {number: token for token, number in tokens.items()}
        settings["lang_to_id"] = {
            names[number]: number for number in own.get("lang_ids", []) if number in names
        }
        settings["task_to_id"] = {
            task: _token(tokens, f"<|{task}|>") for task in ("transcribe", "translate")
        }
        # Said, since transformers finds a language by itself but then asks for no task, and a
        # Whisper that is asked for none turns in circles.
        settings["task"] = "transcribe"
    said = {key: value for key, value in settings.items() if value is not None}
    write_text(folder / "generation_config.json", json.dumps(said, indent=2) + "\n")


def _write_tokenizer(source: Path, folder: Path, config: WhisperConfig) -> None:
    """The tokenizer as it is; without one the encoder can be used, and the decoder cannot write."""
    if not (source / "tokenizer.json").is_file():
        return
    tokenizer = _read_json(source / "tokenizer.json")
    _mend_merges(tokenizer["model"])
    write_text(folder / "tokenizer.json", json.dumps(tokenizer, ensure_ascii=False))
    special = [token["content"] for token in tokenizer["added_tokens"] if token["special"]]
    settings = {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        **{f"{kind}_token": _END for kind in ("bos", "eos", "pad", "unk")},
        "additional_special_tokens": [token for token in special if token != _END],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": config.max_target_positions,
    }
    write_text(
        folder / "tokenizer_config.json", json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    )


def _mend_merges(model: dict[str, Any]) -> None:
    """Puts back the first merge, which some converters took for a heading.

    Tokens were numbered in the order of their merges, so the first are known by their numbers.
    """
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    by_number = {number: token for token, number in model["vocab"].items()}
    joined = ["".join(merge) for merge in merges[:1]]
    if joined == [by_number.get(_SINGLE_BYTES + 1)] and len(first := by_number[_SINGLE_BYTES]) == 2:
        model["merges"] = [list(first), *merges]


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"'{file}' is no JSON ({error}); fetch it anew") from error
