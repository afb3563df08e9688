"""Every family behind the contract: padding changes nothing, lengths are true,
frozen means frozen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from speechverse.encoders import EncoderOutput, SpeechEncoder, load_encoder, load_front_end
from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd, normalized
from speechverse.errors import AudioError, AudioTooLongError, CheckpointError, RecipeError

FAMILIES = [
    *(
        "wav2vec2-group",
        "wav2vec2-layer",
        "hubert-group",
        "hubert-layer",
        "wavlm-group",
        "wavlm-layer",
    ),
    *("w2v-bert", "best-rq", "whisper", "parakeet"),
]
every_family = pytest.mark.parametrize("family", FAMILIES)


def encode(encoder: SpeechEncoder, waveforms: list[np.ndarray]) -> EncoderOutput:
    return encoder(**encoder.prepare(waveforms))


@every_family
def test_a_row_depends_on_nothing_beside_it(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    encoder = load_encoder(encoder_folders[family])
    batch = encode(encoder, waveforms)
    assert batch.hidden_states.shape[0] == encoder.num_layers == 3
    assert batch.hidden_states.shape[3] == encoder.width == 16
    for row, waveform in enumerate(waveforms):
        alone = encode(encoder, [waveform])
        frames = encoder.num_frames(len(waveform))
        assert (
            int(alone.lengths[0])
            == int(batch.lengths[row])
            == alone.hidden_states.shape[2]
            == frames
        )
        difference = (batch.hidden_states[:, row, :frames] - alone.hidden_states[:, 0]).abs().max()
        assert difference < 2e-5


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "whisper"])
def test_what_lies_in_the_padding_does_not_matter(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    # Whisper is not among them: its window is always full, silence behind the audio is part of its
    # input.
    encoder = load_encoder(encoder_folders[family])
    inputs = encoder.prepare(waveforms)
    clean = encoder(**dict(inputs))
    name = "input_values" if "input_values" in inputs else "input_features"
    lengths = inputs.get("audio_lengths", inputs.get("mel_lengths", inputs["frame_lengths"]))
    for row, length in enumerate(lengths):
        inputs[name][row, length:] = 7.0
    dirty = encoder(**inputs)
    for row, frames in enumerate(clean.lengths):
        a, b = clean.hidden_states[:, row, :frames], dirty.hidden_states[:, row, :frames]
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


@every_family
def test_one_clip_gives_what_transformers_gives(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    folder = encoder_folders[family]
    encoder = load_encoder(folder)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    options = {"pad_to_multiple_of": extractor.stride} if family in ("w2v-bert", "best-rq") else {}
    features = extractor([waveforms[0]], sampling_rate=16000, return_tensors="pt", **options)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    reference = (
        reference.encoder
        if family in ("whisper", "parakeet") and hasattr(reference, "encoder")
        else reference
    )
    with torch.no_grad():
        expected = reference(**features, output_hidden_states=True)
    ours = encode(encoder, [waveforms[0]])
    frames = int(ours.lengths[0])
    torch.testing.assert_close(
        ours.hidden_states[-1, 0], expected.last_hidden_state[0, :frames], atol=1e-4, rtol=1e-3
    )
    torch.testing.assert_close(
        ours.hidden_states[0, 0], expected.hidden_states[1][0, :frames], atol=1e-4, rtol=1e-3
    )


@every_family
def test_it_stays_frozen_and_in_evaluation_mode(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    encoder = load_encoder(encoder_folders[family])
    parent = torch.nn.Sequential(encoder).train()
    assert parent.training and not encoder.training and not encoder.model.training
    first, second = encode(encoder, waveforms), encode(encoder, waveforms)
    assert not first.hidden_states.requires_grad
    assert torch.equal(first.hidden_states, second.hidden_states)


@every_family
def test_a_stage_may_train_it(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    encoder = load_encoder(encoder_folders[family])
    encoder.set_trainable(True)
    encoder.train()
    assert encoder.model.training
    encode(encoder, waveforms).hidden_states[-1].square().sum().backward()
    layer = next(p for name, p in encoder.named_parameters() if "layers.2" in name and p.dim() == 2)
    assert layer.grad is not None and layer.grad.abs().sum() > 0


@every_family
def test_a_stage_may_train_its_last_layers_alone(
    family: str, encoder_folders: dict[str, Path], waveforms: list
) -> None:
    encoder = load_encoder(encoder_folders[family])
    encoder.set_trainable(True, top_layers=1)
    encoder.train()
    encode(encoder, waveforms).hidden_states[-1].square().sum().backward()
    moved = {name for name, p in encoder.named_parameters() if p.grad is not None}
    last = f"layers.{encoder.num_layers - 1}."
    assert moved and all(last in name for name in moved)
    training = [name for name, part in encoder.named_modules() if part.training]
    assert training and all(last in f"{name}." or name == "" for name in training)
    with pytest.raises(RecipeError, match="set top_layers to fewer"):
        encoder.set_trainable(True, top_layers=9)


@every_family
def test_lengths_need_no_weights_and_no_samples(
    family: str, encoder_folders: dict[str, Path]
) -> None:
    front_end = load_front_end(encoder_folders[family])
    for num_samples in (4000, 9999, 12345, 16000):
        inputs = front_end.prepare([np.zeros(num_samples, dtype=np.float32)])
        assert int(inputs["frame_lengths"][0]) == front_end.num_frames(num_samples)
        assert front_end.num_frames(num_samples) == pytest.approx(
            num_samples / 16000 * front_end.frame_rate, abs=2
        )


def test_whisper_refuses_audio_beyond_its_window(encoder_folders: dict[str, Path]) -> None:
    encoder = load_encoder(encoder_folders["whisper"])
    assert encoder.max_seconds == 2.0
    with pytest.raises(AudioTooLongError, match=r"2\.50 s is longer than the 2 s"):
        encoder.prepare([np.zeros(40000, dtype=np.float32)])


def test_whisper_pads_a_clip_to_the_window_that_fits_it(encoder_folders: dict[str, Path]) -> None:
    clips = [np.ones(size, dtype=np.float32) for size in (8000, 16000 * 3, 16000 * 7)]
    fitting = load_front_end(encoder_folders["whisper-long"]).prepare(clips)
    assert fitting["window_lengths"].tolist() == [
        100,
        200,
        400,
    ]  # 2, 4 and 8 s: some silence is left behind the clip
    full = load_front_end(encoder_folders["whisper-long"], window="full").prepare(clips)
    assert full["window_lengths"].tolist() == [450, 450, 450]
    assert fitting["frame_lengths"].tolist() == full["frame_lengths"].tolist() == [25, 150, 350]


def test_a_clip_in_whispers_own_window_gives_what_another_window_would_not(
    encoder_folders: dict[str, Path],
) -> None:
    folder, rng = encoder_folders["whisper-long"], np.random.default_rng(1)
    clips = [
        (0.1 * rng.standard_normal(size)).astype(np.float32)
        for size in (9000, 100_000, 30_000, 9500)
    ]
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    features = extractor(clips, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = (
            transformers.AutoModel.from_pretrained(folder)
            .eval()
            .encoder(**features)
            .last_hidden_state
        )
    full = encode(load_encoder(folder, window="full"), clips).hidden_states[-1]
    torch.testing.assert_close(full, expected[:, : full.shape[1]], atol=1e-4, rtol=1e-3)
    fitting = encode(load_encoder(folder), clips).hidden_states[-1]
    assert (fitting[0, :28] - full[0, :28]).abs().max() > 1e-3


def test_clips_of_unlike_windows_do_not_change_each_other(encoder_folders: dict[str, Path]) -> None:
    encoder, rng = load_encoder(encoder_folders["whisper-long"]), np.random.default_rng(1)
    clips = [
        (0.1 * rng.standard_normal(size)).astype(np.float32)
        for size in (9000, 100_000, 30_000, 9500)
    ]
    batch = encode(encoder, clips)
    for row, clip in enumerate(clips):
        alone = encode(encoder, [clip])
        together = batch.hidden_states[:, row, : int(batch.lengths[row])]
        torch.testing.assert_close(together, alone.hidden_states[:, 0], atol=2e-5, rtol=1e-4)


def test_too_short_or_stereo_audio_is_refused(encoder_folders: dict[str, Path]) -> None:
    encoder = load_encoder(encoder_folders["best-rq"])
    with pytest.raises(AudioError, match="too short"):
        encoder.prepare([np.zeros(500, dtype=np.float32)])
    with pytest.raises(AudioError, match="mono"):
        encoder.prepare([np.zeros((2, 16000), dtype=np.float32)])
    normalising = load_encoder(encoder_folders["parakeet"])
    with pytest.raises(AudioError, match="too short"):
        normalising.prepare([np.ones(319, dtype=np.float32)])
    assert encode(normalising, [np.ones(320, dtype=np.float32)]).hidden_states.isfinite().all()


def test_only_the_last_layer_where_no_other_is_used(
    encoder_folders: dict[str, Path], waveforms: list
) -> None:
    encoder = load_encoder(encoder_folders["wavlm-layer"])
    every = encode(encoder, waveforms).hidden_states
    encoder.last_layer_only = True
    last = encode(encoder, waveforms).hidden_states
    assert last.shape[0] == 1 and torch.equal(last[0], every[-1])


def test_layers_can_be_left_out(encoder_folders: dict[str, Path], waveforms: list) -> None:
    for family in ("w2v-bert", "whisper"):
        whole = encode(load_encoder(encoder_folders[family]), waveforms).hidden_states
        cut = encode(
            load_encoder(encoder_folders[family], num_hidden_layers=2), waveforms
        ).hidden_states
        assert cut.shape[0] == 2
        torch.testing.assert_close(cut[0], whole[0])
    with pytest.raises(CheckpointError, match="has 3"):
        load_encoder(encoder_folders["w2v-bert"], num_hidden_layers=4)


def test_log_mels_match_the_hub_extractor(waveforms: list) -> None:
    extractor = transformers.SeamlessM4TFeatureExtractor(stride=1)
    config = transformers.Wav2Vec2BertConfig(feature_projection_input_dim=80)
    ours = normalized(
        Wav2Vec2BertFrontEnd(config, extractor).log_mel(torch.from_numpy(waveforms[0]))
    )
    frames = extractor._extract_fbank_features(waveforms[0])
    theirs = (frames - frames.mean(0)) / np.sqrt(frames.var(0, ddof=1) + 1e-7)
    assert np.abs(ours.numpy() - theirs).max() < 1e-3


def test_unknown_kinds_and_broken_folders_are_named(
    tmp_path: Path, encoder_folders: dict[str, Path]
) -> None:
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="unknown kind of speech encoder 'bert'"):
        load_encoder(tmp_path)
    with pytest.raises(CheckpointError, match="no folder"):
        load_encoder("/nowhere/at/all")
    transformers.AutoConfig.from_pretrained(encoder_folders["best-rq"]).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="cannot load the encoder"):
        load_encoder(tmp_path)
