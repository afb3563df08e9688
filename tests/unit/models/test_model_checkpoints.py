"""Checkpoints hold what was trained and know what they stand on; exports need nothing else."""

from __future__ import annotations

import errno
import json
import shutil
from operator import attrgetter
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors import safe_open

from microscopic import encoder_of, model_of
from speechverse.errors import CheckpointError, UserError
from speechverse.hub import folder_fingerprint, loading, resolve
from speechverse.models import SpeechVerseForConditionalGeneration, SpeechVerseProcessor, assembly
from speechverse.models.configuration_speechverse import SpeechVerseConfig
from speechverse.models.downsampler import DownsamplerConfig
from speechverse.models.lora import LoraConfig
from speechverse.registry import Registry, has

Model = SpeechVerseForConditionalGeneration
TARGETS = ["happy", "turn on the radio now", "sad"]


def logits_of(model: Model, waveforms: list, instructions: list) -> torch.Tensor:
    with torch.no_grad():
        return model(**model.processor()(instructions, audio=waveforms, targets=TARGETS)).logits


@pytest.mark.parametrize("llm", ["t5", "bart", "pegasus", "llama", "qwen2"])
@pytest.mark.parametrize("mixing", ["paper", "softmax", "last"])
def test_save_and_load_give_the_same_logits(
    llm, mixing, make_model, waveforms, instructions, tmp_path
) -> None:
    own = {"clip_statistics"} if mixing == "softmax" else set()
    downsampler = {"strides": [2, 1], "scale_to_embeddings": True, **dict.fromkeys(own, True)}
    model = make_model(llm, layer_mixing=mixing, downsampler=downsampler)
    model.save_pretrained(tmp_path / "checkpoint")
    loaded = Model.from_pretrained(tmp_path / "checkpoint")
    assert torch.equal(
        logits_of(loaded, waveforms, instructions), logits_of(model, waveforms, instructions)
    )
    with safe_open(tmp_path / "checkpoint" / "adapter.safetensors", "pt") as file:
        parts = {name.split(".")[0] for name in file.keys()}
    assert parts - {"mixer"} == {"downsampler"} | own and ("mixer" in parts) == (mixing != "last")


def test_a_checkpoint_to_hand_on_may_be_written_in_half_precision(
    make_model, waveforms, instructions, tmp_path
) -> None:
    model = make_model("qwen2")
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "half", dtype=torch.float16)
    for file in ("adapter.safetensors", "lora/adapter_model.safetensors"):
        with (
            safe_open(tmp_path / "half" / file, "pt") as half,
            safe_open(tmp_path / "whole" / file, "pt") as whole,
        ):
            for name in whole.keys():
                torch.testing.assert_close(half.get_tensor(name), whole.get_tensor(name).half())
    loaded = Model.from_pretrained(tmp_path / "half")
    assert next(loaded.downsampler.parameters()).dtype == torch.float32
    expected = logits_of(model, waveforms, instructions)
    assert (
        logits_of(loaded, waveforms, instructions) - expected
    ).abs().mean() < 0.01 * expected.std()


def test_auto_classes_know_the_model(make_model, waveforms, instructions, tmp_path) -> None:
    model = make_model("pegasus")
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModel.from_pretrained(tmp_path)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, Model) and isinstance(processor, SpeechVerseProcessor)
    assert torch.equal(
        logits_of(loaded, waveforms, instructions), logits_of(model, waveforms, instructions)
    )


def test_lora_is_in_pefts_own_format(make_model, llm_folders, instructions, tmp_path) -> None:
    model = make_model("qwen2")
    model.save_pretrained(tmp_path)
    llm = transformers.AutoModelForCausalLM.from_pretrained(llm_folders["qwen2"])
    theirs = peft.PeftModel.from_pretrained(llm, tmp_path / "lora").eval()
    ids = model.processor()(instructions[:1], transcripts=["happy"])["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(theirs(input_ids=ids).logits, model.llm(input_ids=ids).logits)


@pytest.mark.parametrize("llm", ["t5", "pegasus", "llama"])
def test_an_export_is_whole_and_answers_alike(
    llm, make_model, waveforms, instructions, tmp_path
) -> None:
    model = make_model(llm)
    model.export(tmp_path / "export")
    moved = shutil.move(tmp_path / "export", tmp_path / "elsewhere")
    exported = Model.from_pretrained(moved)
    assert not exported.has_lora and not any(
        "lora" in name for name, _ in exported.named_parameters()
    )
    expected = logits_of(model, waveforms, instructions)
    torch.testing.assert_close(
        logits_of(exported, waveforms, instructions), expected, atol=1e-4, rtol=1e-4
    )
    batch = model.processor()(instructions, audio=waveforms, generation=True)
    assert torch.equal(
        exported.generate(**batch, max_new_tokens=8), model.generate(**batch, max_new_tokens=8)
    )
    with safe_open(Path(moved) / "encoder" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" in file.keys()
    with pytest.raises(CheckpointError, match="merged"), exported.without_lora():
        pass
    assert SpeechVerseProcessor.from_pretrained(moved)(instructions, audio=waveforms)
    with pytest.raises(CheckpointError, match="exists already"):
        model.export(moved)


def test_a_trained_encoder_travels_with_the_checkpoint(
    make_model, waveforms, instructions, tmp_path
) -> None:
    model = make_model("t5")
    model.set_trainable(["encoder", "downsampler"])
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.01)
    model.eval()
    model.save_pretrained(tmp_path / "checkpoint")
    model.export(tmp_path / "export")
    expected = logits_of(model, waveforms, instructions)
    for folder in ("checkpoint", "export"):
        loaded = Model.from_pretrained(tmp_path / folder)
        torch.testing.assert_close(
            logits_of(loaded, waveforms, instructions), expected, atol=1e-4, rtol=1e-4
        )


def test_the_wrong_llm_or_encoder_is_named(
    make_model, llm_folders, encoder_folder, tmp_path
) -> None:
    make_model("llama").save_pretrained(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match=r"wrong LLM: .*qwen2.*llama"):
        Model.from_pretrained(tmp_path / "checkpoint", llm=llm_folders["qwen2"])
    other = shutil.copytree(encoder_folder, tmp_path / "other")
    torch.manual_seed(9)
    encoder = transformers.AutoModelForCTC.from_config(
        transformers.AutoConfig.from_pretrained(other)
    )
    encoder.save_pretrained(other)
    with pytest.raises(CheckpointError, match="wrong speech encoder"):
        Model.from_pretrained(tmp_path / "checkpoint", encoder=other)
    moved = shutil.copytree(encoder_folder, tmp_path / "moved")
    config = SpeechVerseConfig.from_pretrained(tmp_path / "checkpoint")
    config.encoder_revision = "v2"
    config.save_pretrained(tmp_path / "checkpoint")
    found = Model.from_pretrained(tmp_path / "checkpoint", encoder=moved).config
    assert (found.encoder, found.encoder_revision) == (str(moved), None)


def test_a_mirror_is_not_asked_for_the_revision_of_where_it_was(monkeypatch, tmp_path) -> None:
    asked = []
    monkeypatch.setattr(
        assembly, "resolve", lambda name, revision, **_: asked.append((name, revision)) or 1 / 0
    )
    config = SpeechVerseConfig(encoder="org/encoder", encoder_revision="v2")
    for override in (None, "mirror/encoder"):
        with pytest.raises(ZeroDivisionError):
            assembly.find_foundation("encoder", config, tmp_path, override)
    assert asked == [("org/encoder", "v2"), ("mirror/encoder", None)]


def test_foundations_that_are_gone_are_asked_for(make_model, tmp_path) -> None:
    make_model("t5").save_pretrained(tmp_path)
    config = SpeechVerseConfig.from_pretrained(tmp_path)
    config.llm = str(tmp_path / "gone")
    config.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="say where with llm="):
        Model.from_pretrained(tmp_path)


def test_half_written_checkpoints_are_refused(make_model, tmp_path) -> None:
    make_model("t5").save_pretrained(tmp_path)
    for name in ("lora/adapter_model.safetensors", "adapter.safetensors"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(
            CheckpointError, match=rf"{name}' cannot be read .*fetch or save the checkpoint anew"
        ):
            Model.from_pretrained(tmp_path)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "lora" / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="not whole"):
        Model.from_pretrained(tmp_path)
    (tmp_path / "adapter.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter\.safetensors"):
        Model.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no folder"):
        Model.from_pretrained(tmp_path / "nothing")


def test_a_file_is_not_looked_for_on_the_hub(tmp_path, monkeypatch) -> None:
    (tmp_path / "note.txt").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no folder 'note\.txt'; give a folder"):
        resolve("note.txt")


def test_the_home_of_nobody_is_no_folder_and_no_file(make_model) -> None:
    with pytest.raises(CheckpointError, match="there is no folder '~nosuchuser/x'; give a folder"):
        resolve("~nosuchuser/x")
    with pytest.raises(UserError, match="no Python file '.*~nosuchuser/x.py'"):
        make_model("qwen2", encoder_family="~nosuchuser/x.py:Encoder")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{ half"),
        ("preprocessor_config.json", "[]"),
        ("model.safetensors.index.json", "{}"),
        ("model-2.safetensors", None),
    ],
)
def test_a_damaged_part_is_refused_by_the_name_of_the_file(file, content, tmp_path) -> None:
    whole = {
        "config.json": '{"model_type": "llama"}',
        "model.safetensors.index.json": '{"weight_map": {"a": "model-2.safetensors"}}',
        "model-2.safetensors": "weights",
    }
    for name, text in (whole | {file: content}).items():
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=rf"/{file}' cannot be read .*fetch or save"):
        folder_fingerprint(tmp_path)


def test_a_checkpoint_whose_configuration_is_cut_short_is_refused(make_model, tmp_path) -> None:
    make_model("t5").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(CheckpointError, match=r"config\.json.*check that the folder is whole"):
        Model.from_pretrained(tmp_path)


def test_a_model_of_bare_configurations_cannot_be_saved(
    encoder_folder, llm_folders, tmp_path
) -> None:
    configs = [
        transformers.AutoConfig.from_pretrained(folder)
        for folder in (encoder_folder, llm_folders["t5"])
    ]
    assert encoder_of(configs[0]).num_layers == 3
    with pytest.raises(CheckpointError, match="bare configurations"):
        model_of(*configs).save_pretrained(tmp_path)


def test_fingerprints_follow_content_not_place(encoder_folder, tmp_path) -> None:
    copy = shutil.copytree(encoder_folder, tmp_path / "copy")
    assert folder_fingerprint(copy) == folder_fingerprint(encoder_folder)
    config = transformers.SeamlessM4TFeatureExtractor(stride=2)
    config.save_pretrained(copy)
    assert folder_fingerprint(copy) != folder_fingerprint(encoder_folder)


def test_names_are_found_beside_the_checkpoint_and_on_the_hub(tmp_path) -> None:
    (tmp_path / "encoder").mkdir()
    assert resolve("encoder", relative_to=tmp_path).name == str(tmp_path / "encoder")
    assert not resolve("microsoft/wavlm-large", "main").is_local
    with pytest.raises(CheckpointError, match=r"hub is out of bounds \(--offline.*check the name"):
        Model.from_foundations("nobody/no-such-encoder", "nobody/no-such-llm")


def test_a_disk_that_fills_while_the_hub_is_asked_is_said() -> None:
    with pytest.raises(CheckpointError, match="the disk takes no more .*HF_HOME"):
        with loading("LLM", resolve("microsoft/wavlm-large", "main")):
            raise RuntimeError("fetching failed") from OSError(errno.ENOSPC, "full")


def test_a_checkpoint_of_before_the_sections_means_what_it_meant(tmp_path) -> None:
    flat = {
        "model_type": "speechverse", "layer_mixing": "softmax", "strides": [2, 1], "activation": "gelu",
        "inner_width": 12, "clip_statistics": True, "embedding_scale": 0.5, "lora": {"rank": 3, "alpha": 5},
        "prompt_template": "{instruction}{audio}",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(flat))
    config = SpeechVerseConfig.from_pretrained(tmp_path)
    blocks = {"strides": [2, 1], "activation": "gelu", "inner_width": 12, "clip_statistics": True}
    assert config.downsampler == DownsamplerConfig(**blocks, scale_to_embeddings=True)
    assert (config.lora, config.encoder_window, config.layer_mixing) == (
        LoraConfig(rank=3, alpha=5),
        "full",
        "softmax",
    )
    config.save_pretrained(tmp_path / "again")
    again = SpeechVerseConfig.from_pretrained(tmp_path / "again")
    assert again.settings == config.settings and again.embedding_scale == 0.5
    assert "strides" not in json.loads((tmp_path / "again" / "config.json").read_text())


def test_code_that_a_checkpoint_of_the_hub_names_is_not_run(tmp_path, monkeypatch) -> None:
    SpeechVerseConfig(encoder_family="theirs.py:Encoder").save_pretrained(tmp_path)
    assert assembly.read_config(resolve(tmp_path)).encoder_family == "theirs.py:Encoder"
    monkeypatch.setattr(assembly, "local_folder", lambda found: tmp_path)
    with pytest.raises(CheckpointError, match="wants the code 'theirs.py:Encoder' run"):
        assembly.read_config(resolve("somebody/model"))


def test_a_checkpoint_brings_the_code_of_its_encoder(tmp_path) -> None:
    code, folder = tmp_path / "theirs.py", tmp_path / "checkpoint"
    code.write_text("class Encoder: ...")
    folder.mkdir()
    config = SpeechVerseConfig(encoder_family=f"{code}:Encoder")
    assembly.with_own_code(config, folder).save_pretrained(folder)
    code.unlink()
    assert str(tmp_path) not in (folder / "config.json").read_text()
    moved = folder.rename(tmp_path / "moved")
    again = assembly.read_config(resolve(moved))
    assert again.encoder_family == f"{moved / 'theirs.py'}:Encoder"
    assembly.with_own_code(again, moved)  # saving it where it lies
    assert (moved / "theirs.py").read_text() == "class Encoder: ..."


def test_copies_of_one_file_are_one_family(tmp_path) -> None:
    families = Registry("kind", {}, has("model_type"), name_of=attrgetter("model_type"))
    for folder, text in (("a", "its"), ("b", "its"), ("c", "another")):
        (tmp_path / folder).mkdir()
        code = f"class Encoder:\n    model_type, kind = 'mine', '{text}'\n"
        (tmp_path / folder / "mine.py").write_text(code)
    families[f"{tmp_path}/a/mine.py:Encoder"]
    assert families[f"{tmp_path}/b/mine.py:Encoder"] is families["mine"]
    with pytest.raises(UserError, match="the name 'mine' .* is taken"):
        families[f"{tmp_path}/c/mine.py:Encoder"]
