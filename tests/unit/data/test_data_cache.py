from __future__ import annotations

import importlib
import itertools
import json
import os
import pickle
import sys

import pytest
import torch
from filelock import FileLock
from noise_corpus import Encoder, Processor, write_audio

from speechverse.audio import load
from speechverse.data import (
    BatchPlan,
    Collator,
    FeatureCache,
    Mixture,
    MixtureItem,
    PlanLoader,
    cache,
    encoder_fingerprint,
    length_function,
)
from speechverse.errors import AudioError, CacheError, CorpusError


def heard_live(encoder, utterance):
    return encoder(**encoder.prepare([load(utterance.audio).samples])).hidden_states[:, 0]


def test_what_is_cached_is_what_the_encoder_hears(corpus, tmp_path):
    encoder, utterances, heard = Encoder(), corpus.utterances("train"), []
    made = FeatureCache.build(encoder, utterances, tmp_path / "cache", progress=heard.append)
    assert sum(heard) == len(made) == 40 and all(utterance in made for utterance in utterances)
    opened = pickle.loads(
        pickle.dumps(FeatureCache.open(tmp_path / "cache", encoder_fingerprint(encoder)))
    )
    for utterance in utterances[:8]:
        entry = opened[utterance]
        assert entry.dtype == torch.float16
        torch.testing.assert_close(
            entry.float(), heard_live(encoder, utterance), atol=1e-3, rtol=1e-3
        )


def test_the_size_is_told_before(corpus, tmp_path):
    utterances = corpus.utterances("train")
    told = FeatureCache.size(Encoder(), [*utterances, utterances[0]])
    made = FeatureCache.build(Encoder(), utterances, tmp_path / "cache")
    assert told == sum(made[utterance].nbytes for utterance in utterances)


def test_another_encoders_cache_is_refused(corpus, tmp_path):
    utterances = corpus.utterances("train")
    FeatureCache.build(Encoder(), utterances, tmp_path / "cache")
    other, last = Encoder(scale=2.0), Encoder()
    last.last_layer_only = True
    fingerprints = {encoder_fingerprint(encoder) for encoder in (Encoder(), other, last)}
    assert len(fingerprints | {encoder_fingerprint(Encoder(), torch.bfloat16)}) == 4
    for foreign in (other, last):
        with pytest.raises(CacheError, match="made by another encoder"):
            FeatureCache.open(tmp_path / "cache", encoder_fingerprint(foreign))
        with pytest.raises(CacheError, match="made by another encoder"):
            FeatureCache.build(foreign, utterances, tmp_path / "cache")
    with pytest.raises(CacheError, match="is no feature cache"):
        FeatureCache.open(tmp_path / "nothing", encoder_fingerprint(other))


def test_a_clip_made_anew_is_not_taken_for_the_old_one(corpus, tmp_path):
    encoder, utterances = Encoder(), corpus.utterances("train")
    made = FeatureCache.build(encoder, utterances, tmp_path / "cache")
    write_audio(utterances[1:2])
    os.utime(utterances[1].audio.path, ns=(1, 1))
    with pytest.raises(CacheError, match="'u1' .* has changed since; build the cache again"):
        made[utterances[1]]
    heard = []
    made = FeatureCache.build(encoder, utterances, tmp_path / "cache", progress=heard.append)
    assert heard == [39, 1]
    torch.testing.assert_close(
        made[utterances[1]].float(), heard_live(encoder, utterances[1]), atol=1e-3, rtol=1e-3
    )


def test_an_interrupted_build_is_refused_and_goes_on(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_SHARD_BYTES", 1)
    monkeypatch.setattr(cache, "_BATCH_SECONDS", 3.0)
    encoder, utterances, heard = Encoder(), corpus.utterances("train"), []

    def stop_in_the_middle(num):
        heard.append(num)
        if sum(heard) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureCache.build(encoder, utterances, tmp_path / "cache", progress=stop_in_the_middle)
    (tmp_path / "cache" / "shard-00099.tmp").write_bytes(b"half a shard")
    with pytest.raises(CacheError, match="was not finished"):
        FeatureCache.open(tmp_path / "cache", encoder_fingerprint(encoder))
    heard.clear()
    made = FeatureCache.build(encoder, utterances, tmp_path / "cache", progress=heard.append)
    assert heard[0] > 10
    assert len(made) == 40 and sum(heard) == 40
    FeatureCache.open(tmp_path / "cache", encoder_fingerprint(encoder))


def test_a_broken_cache_says_so(corpus, tmp_path):
    folder, encoder = tmp_path / "cache", Encoder()
    FeatureCache.build(encoder, corpus.utterances("train"), folder)
    about = (folder / "cache.json").read_text()
    (folder / "cache.json").write_text(json.dumps({**json.loads(about), "format": 0}))
    with pytest.raises(CacheError, match="cache format 0"):
        FeatureCache.open(folder, encoder_fingerprint(encoder))
    (folder / "cache.json").unlink()
    with pytest.raises(CacheError, match="shards but no cache.json"):
        FeatureCache.open(folder, encoder_fingerprint(encoder))
    (folder / "cache.json").write_text(about)
    shard = folder / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(CacheError, match="shard-00000.safetensors is broken"):
        FeatureCache.open(folder, encoder_fingerprint(encoder))


def test_a_cache_without_one_of_its_shards_is_made_whole_again(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_SHARD_BYTES", 1)
    monkeypatch.setattr(cache, "_BATCH_SECONDS", 3.0)
    folder, encoder, clips = tmp_path / "cache", Encoder(), corpus.utterances("train")
    before = FeatureCache.build(encoder, clips, folder)
    kept = [before[clip].clone() for clip in clips]
    (folder / "shard-00000.safetensors").unlink()
    FeatureCache.build(encoder, clips, folder)
    made = FeatureCache.open(folder, encoder_fingerprint(encoder))
    assert all(torch.equal(made[clip], one) for clip, one in zip(clips, kept, strict=True))


def test_an_encoder_family_of_the_users_own_is_another_once_its_file_has_changed(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / f"family_{tmp_path.name}.py"

    def fingerprint_of(code: str) -> str:
        file.write_text(f"from noise_corpus import Encoder\nclass Own(Encoder):\n    {code}\n")
        sys.modules.pop(file.stem, None)
        importlib.invalidate_caches()
        return encoder_fingerprint(importlib.import_module(file.stem).Own())

    assert fingerprint_of("times = 1") == fingerprint_of("times = 1") != fingerprint_of("times = 2")


def test_bad_clips_are_counted_up_to_their_share(corpus, tmp_path, caplog):
    utterances = corpus.utterances("train")
    utterances[3].audio.path.write_text("no sound")
    made = FeatureCache.build(Encoder(), utterances, tmp_path / "cache")
    assert len(made) == 39 and len(made.failed) == 1 and "'u3' cannot be used" in caplog.text
    with pytest.raises(AudioError):
        made[utterances[3]]
    with pytest.raises(
        CorpusError, match="1 of 40 clips cannot be used .* more than 0.0% are refused"
    ):
        FeatureCache.build(Encoder(), utterances, tmp_path / "cache", max_bad_share=0.0)
    utterances[4].audio.path.write_text("no sound either")
    with pytest.raises(CorpusError, match="2 of 40 clips cannot be used"):
        FeatureCache.build(Encoder(), utterances, tmp_path / "cache")
    with pytest.raises(CacheError, match="was not finished"):
        FeatureCache.open(tmp_path / "cache", encoder_fingerprint(Encoder()))


def test_clips_over_the_encoders_limit_are_not_heard(corpus, tmp_path, caplog):
    encoder, utterances = Encoder(), corpus.utterances("train")
    encoder.max_seconds = 0.5
    made = FeatureCache.build(encoder, utterances, tmp_path / "cache")
    assert [utterance in made for utterance in utterances] == [
        utterance.duration <= 0.5 for utterance in utterances
    ]
    assert (
        f"{40 - len(made)} of 40 clips are over the encoder's 0.5 s and not cached" in caplog.text
    )


def test_outputs_beyond_half_precision_are_refused(corpus, tmp_path):
    with pytest.raises(
        CacheError, match=r"keep them in bfloat16 \(in a recipe: data\.cache_dtype=bf16\)"
    ):
        FeatureCache.build(Encoder(scale=1e6), corpus.utterances("train"), tmp_path / "cache")
    FeatureCache.build(
        Encoder(scale=1e6), corpus.utterances("train"), tmp_path / "wide", dtype=torch.bfloat16
    )


def test_the_encoders_own_precision_rounds_nothing(corpus, tmp_path):
    utterances = corpus.utterances("train")
    made = FeatureCache.build(Encoder(), utterances, tmp_path / "cache", dtype=torch.float32)
    assert FeatureCache.size(Encoder(), utterances, torch.float32) == sum(
        made[u].nbytes for u in utterances
    )
    for utterance in utterances[:8]:
        torch.testing.assert_close(made[utterance], heard_live(Encoder(), utterance))
    with pytest.raises(CacheError, match="not finite in torch.float32"):
        FeatureCache.build(
            Encoder(scale=float("inf")), utterances, tmp_path / "wild", dtype=torch.float32
        )


def test_a_disk_that_cannot_be_written_to_is_named(corpus, tmp_path, monkeypatch):
    utterances = corpus.utterances("train")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="file/cache cannot be written"):
        FeatureCache.build(Encoder(), utterances, tmp_path / "file" / "cache")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "save_file", full)
    with pytest.raises(CacheError, match="No space left on device.*do without a cache"):
        FeatureCache.build(Encoder(), utterances, tmp_path / "cache")


def test_the_loader_takes_features_from_the_cache(corpus, tmp_path):
    corpus.utterances("train")[3].audio.path.write_text("no sound")
    made = FeatureCache.build(Encoder(), corpus.utterances("train"), tmp_path / "cache")
    plan = BatchPlan(Mixture([MixtureItem(corpus, "asr")]), length_function(Processor()), 200)
    loader = PlanLoader(plan, Collator(Processor(), made), num_workers=1)
    batches = [batch for step in itertools.islice(loader, 10) for batch in step.batches]
    for batch in batches:
        for example, heard in zip(batch.examples, batch.inputs["sums"].tolist(), strict=True):
            bad = example.utterance.id == "u3"
            assert (
                heard == 0
                if bad
                else heard == pytest.approx(made[example.utterance].float().sum().item())
            )
    assert list(loader.skipped) == [str(corpus.utterances("train")[3].audio.path)]


def test_two_runs_do_not_build_in_one_folder(corpus, tmp_path):
    folder, utterances = tmp_path / "cache", corpus.utterances("train")
    FeatureCache.build(Encoder(), utterances[:20], folder)
    with FileLock(folder / ".lock"):
        with pytest.raises(CacheError, match="another run is building"):
            FeatureCache.build(Encoder(), utterances, folder)
        assert (
            len(FeatureCache.build(Encoder(), utterances[:20], folder)) == 20
        )  # whole: there is nothing to build
    assert len(FeatureCache.build(Encoder(), utterances, folder)) == 40
