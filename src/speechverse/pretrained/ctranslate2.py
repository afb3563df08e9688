"""Whisper as CTranslate2 keeps it (`model.bin`), read without its runtime and turned into transformers' layout."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.errors import CheckpointError
from speechverse.files import write_text

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.bin"
_FORMAT_VERSION = 6
_SPEC = "WhisperSpec"
_KINDS = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""CTranslate2's numbers for its element types are their places in this list."""
_ACTIVATIONS = ("relu", "gelu_tanh", "swish", "gelu", "gelu_sigmoid")


class _Reader:
    """Takes numbers and strings off a byte buffer; running out of it means that the file was cut short."""

    def __init__(self, data: Any) -> None:
        self._data, self._at = data, 0

    def number(self, kind: str) -> int:
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def string(self) -> str:
        return self.take(self.number("H")).rstrip(b"\0").decode()

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise EOFError
        self._at += size
        return piece


def is_ctranslate2(folder: Path) -> bool:
    """Whether a folder is CTranslate2's and not the hub's."""
    return (folder / WEIGHTS).is_file() and not list(folder.glob("*.safetensors"))


def read_variables(file: Path) -> dict[str, Tensor]:
    """Every variable of a CTranslate2 model of Whisper, in the element type it is stored in.

    Args:
        file: The `model.bin`.

    Raises:
        CheckpointError: If the file was cut short, is of another version, or holds another kind of model.
    """
    if file.stat().st_size == 0:
        raise _broken(file)
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(data)
        try:
            _check_header(file, reader)
            return dict(_variable(reader) for _ in range(reader.number("I")))
        except (EOFError, UnicodeDecodeError, IndexError, RuntimeError) as error:
            raise _broken(file) from error


def _broken(file: Path) -> CheckpointError:
    return CheckpointError(f"'{file}' is no whole CTranslate2 model: it ends too early or is garbled; fetch it anew")


def _check_header(file: Path, reader: _Reader) -> None:
    version = reader.number("I")
    if version != _FORMAT_VERSION:
        raise CheckpointError(
            f"'{file}' has version {version} of CTranslate2's format, and only {_FORMAT_VERSION} is known; "
            "convert the model anew with a present CTranslate2, or give a folder in the model hub's format"
        )
    if (spec := reader.string()) != _SPEC:
        raise CheckpointError(
            f"'{file}' holds a CTranslate2 model of kind {spec}; of these only Whisper ({_SPEC}) can be taken; "
            "give a folder in the model hub's format"
        )
    reader.number("I")  # the revision of the spec: names of variables are looked up one by one anyway


def _variable(reader: _Reader) -> tuple[str, Tensor]:
    import torch

    name = reader.string()
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    dtype = getattr(torch, _KINDS[reader.number("B")])
    raw = bytearray(reader.take(reader.number("I")))
    return name, torch.frombuffer(raw, dtype=dtype).reshape(shape)


def write_whisper_folder(source: Path, folder: Path) -> None:
    """Writes a CTranslate2 folder of Whisper as the hub would keep it: encoder, decoder and tokenizer.

    Numbers stay as exact as they are stored; weights of 8 or 16 bit integers become fp32.

    Args:
        source: Holds `model.bin`, `config.json`, and `tokenizer.json` or a vocabulary.
        folder: Is there and empty.

    Raises:
        CheckpointError: If the source is broken or lacks a file.
    """
    from safetensors.torch import save_file

    variables = _Variables(source / WEIGHTS)
    tokens = _tokens(source)
    config = _config(variables, tokens)
    save_file(_state(variables, config), folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", _generation_config(source, config, tokens))
    _write_json(folder / "preprocessor_config.json", _preprocessor_config(config))
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

    def count(self, pattern: str) -> int:
        """How many of the names made from 0, 1, 2, ... are there."""
        number = 0
        while pattern.format(number) in self._all:
            number += 1
        return number

    def _get(self, name: str) -> Tensor:
        if name not in self._all:
            raise CheckpointError(f"'{self._file}' holds no '{name}', so it is no whole Whisper; fetch it anew")
        return self._all[name]


def _state(variables: _Variables, config: dict[str, Any]) -> dict[str, Tensor]:
    """The weights under transformers' names; the output layer is tied to the embeddings and left out."""
    state = {
        f"model.encoder.{conv}.{kind}": variables.weight(f"encoder/{conv}/{kind}")
        for conv in ("conv1", "conv2")
        for kind in ("weight", "bias")
    }
    state["model.decoder.embed_tokens.weight"] = variables.weight("decoder/embeddings/weight")
    for half in ("encoder", "decoder"):
        state[f"model.{half}.embed_positions.weight"] = variables.weight(f"{half}/position_encodings/encodings")
        state |= _norm(variables, f"{half}/layer_norm", f"model.{half}.layer_norm")
        for number in range(config[f"{half}_layers"]):
            state |= _layer(variables, f"{half}/layer_{number}", f"model.{half}.layers.{number}", half == "decoder")
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _layer(variables: _Variables, theirs: str, ours: str, has_cross: bool) -> dict[str, Tensor]:
    """One layer; CTranslate2 keeps what is multiplied with the same input as one matrix, and the norm inside."""
    attention = {"self_attention": ("self_attn", [["q", "k", "v"], ["out"]])}
    if has_cross:
        attention["attention"] = ("encoder_attn", [["q"], ["k", "v"], ["out"]])
    state: dict[str, Tensor] = {}
    for name, (module, fused) in attention.items():
        state |= _norm(variables, f"{theirs}/{name}/layer_norm", f"{ours}.{module}_layer_norm")
        for number, projections in enumerate(fused):
            linear = f"{theirs}/{name}/linear_{number}"
            state |= _projections(variables, linear, f"{ours}.{module}", projections)
    state |= _norm(variables, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
    for number in (0, 1):
        for kind in ("weight", "bias"):
            state[f"{ours}.fc{number + 1}.{kind}"] = variables.weight(f"{theirs}/ffn/linear_{number}/{kind}")
    return state


def _norm(variables: _Variables, theirs: str, ours: str) -> dict[str, Tensor]:
    names = {"weight": "gamma", "bias": "beta"}
    return {f"{ours}.{kind}": variables.weight(f"{theirs}/{name}") for kind, name in names.items()}


def _projections(variables: _Variables, theirs: str, ours: str, names: list[str]) -> dict[str, Tensor]:
    state = {}
    for kind in ("weight", "bias"):
        for name, piece in zip(names, variables.weight(f"{theirs}/{kind}").chunk(len(names)), strict=True):
            if (name, kind) != ("k", "bias"):
                state[f"{ours}.{name}_proj.{kind}"] = piece
            elif piece.any():
                raise CheckpointError(f"'{theirs}' gives keys a bias, which no Whisper has; fetch the model anew")
    return state


def _tokens(source: Path) -> dict[str, int]:
    """Every token's id, from the tokenizer, or from the plain vocabulary where there is no tokenizer."""
    if (file := source / "tokenizer.json").is_file():
        content = _read_json(file)
        added = {token["content"]: token["id"] for token in content["added_tokens"]}
        return {**content["model"]["vocab"], **added}
    if (file := source / "vocabulary.json").is_file():
        return {token: number for number, token in enumerate(_read_json(file))}
    if (file := source / "vocabulary.txt").is_file():
        return {token: number for number, token in enumerate(file.read_text(encoding="utf-8").split("\n"))}
    raise CheckpointError(f"'{source}' holds neither tokenizer.json nor a vocabulary beside its {WEIGHTS}; add one")


def _config(variables: _Variables, tokens: dict[str, int]) -> dict[str, Any]:
    embeddings = variables.weight("decoder/embeddings/weight")
    convolution = variables.weight("encoder/conv1/weight")
    activation = _ACTIVATIONS[variables.setting("decoder/activation")]
    if activation != "gelu":
        raise CheckpointError(f"this Whisper computes with {activation} instead of gelu, so it is none; fetch it anew")
    end = _token(tokens, "<|endoftext|>")
    halves = {
        f"{half}_{key}": value
        for half in ("encoder", "decoder")
        for key, value in {
            "layers": variables.count(half + "/layer_{}/ffn/linear_0/weight"),
            "attention_heads": variables.setting(f"{half}/num_heads"),
            "ffn_dim": len(variables.weight(f"{half}/layer_0/ffn/linear_0/bias")),
        }.items()
    }
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "dtype": str(embeddings.dtype).removeprefix("torch."),
        "vocab_size": embeddings.shape[0],
        "d_model": embeddings.shape[1],
        "num_mel_bins": convolution.shape[1],
        **halves,
        "num_hidden_layers": halves["encoder_layers"],
        "max_source_positions": len(variables.weight("encoder/position_encodings/encodings")),
        "max_target_positions": len(variables.weight("decoder/position_encodings/encodings")),
        "activation_function": "gelu",
        "scale_embedding": bool(variables.setting("decoder/scale_embeddings")),
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": _token(tokens, "<|startoftranscript|>"),
    }


def _token(tokens: dict[str, int], name: str) -> int:
    if name not in tokens:
        raise CheckpointError(
            f"the tokenizer beside this {WEIGHTS} has no {name}, so it is not Whisper's; fetch it anew"
        )
    return tokens[name]


def _generation_config(source: Path, config: dict[str, Any], tokens: dict[str, int]) -> dict[str, Any]:
    """What Whisper's own decoding needs: special tokens, what is never written, which heads attend in step."""
    own = _read_json(source / "config.json") if (source / "config.json").is_file() else {}
    names = {number: token for token, number in tokens.items()}
    languages = {names[number]: number for number in own.get("lang_ids", []) if number in names}
    kept = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    settings = {
        **{key: config[key] for key in kept},
        "alignment_heads": own.get("alignment_heads"),
        "begin_suppress_tokens": own.get("suppress_ids_begin"),
        "suppress_tokens": own.get("suppress_ids"),
        "max_length": config["max_target_positions"],
        "max_initial_timestamp_index": 50,
        "no_timestamps_token_id": _token(tokens, "<|notimestamps|>"),
        "prev_sot_token_id": tokens.get("<|startofprev|>"),
        "return_timestamps": False,
        "is_multilingual": config["vocab_size"] >= _MULTILINGUAL_FROM,
    }
    if settings["is_multilingual"]:
        settings["lang_to_id"] = languages
        settings["task_to_id"] = {task: _token(tokens, f"<|{task}|>") for task in ("transcribe", "translate")}
    return {key: value for key, value in settings.items() if value is not None}


_MULTILINGUAL_FROM = 51865
"""Tokens of the smallest multilingual Whisper; those of English only have one less (openai/whisper, tokenizer.py)."""


def _preprocessor_config(config: dict[str, Any]) -> dict[str, Any]:
    frames = 2 * config["max_source_positions"]
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": config["num_mel_bins"],
        "sampling_rate": 16000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": frames // 100,
        "n_samples": frames * 160,
        "nb_max_frames": frames,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _write_tokenizer(source: Path, folder: Path, config: dict[str, Any]) -> None:
    """The tokenizer as it is; without one the encoder can be used, and the decoder cannot write."""
    if not (source / "tokenizer.json").is_file():
        return
    tokenizer = _read_json(source / "tokenizer.json")
    _mend_merges(tokenizer["model"])
    write_text(folder / "tokenizer.json", json.dumps(tokenizer, ensure_ascii=False))
    end = "<|endoftext|>"
    special = [token["content"] for token in tokenizer["added_tokens"] if token["special"] and token["content"] != end]
    settings = {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        **{f"{kind}_token": end for kind in ("bos", "eos", "pad", "unk")},
        "additional_special_tokens": special,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": config["max_target_positions"],
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _mend_merges(model: dict[str, Any]) -> None:
    """Puts back the first merge, which some converters took for a heading: text would be spelled otherwise.

    Tokens were numbered in the order of their merges, so the first of them are known by their numbers.
    """
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    by_number = {number: token for token, number in model["vocab"].items()}
    joined = ["".join(merge) for merge in merges[:1]]
    if joined == [by_number.get(_SINGLE_BYTES + 1)] and len(first := by_number[_SINGLE_BYTES]) == 2:
        model["merges"] = [list(first), *merges]


_SINGLE_BYTES = 256
"""Tokens that stand for one byte each, before the first that is merged."""


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"'{file}' is no JSON ({error}); fetch it anew") from error


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
