"""Making a whole corpus: repeatable, interruptible, safe beside others."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from filelock import FileLock

from speechverse.data import Corpus
from speechverse.errors import CorpusError, DiskFullError, SpeechverseError, UserError
from speechverse.world import SynthReport, SynthSpec, corpus, synthesize_corpus, workers
from speechverse.world.workers import Shard, run_shards

SPEC = SynthSpec(num_train=7, num_dev=2, num_test=0, two_speaker_share=0.2, non_speech_share=0.2)


def fingerprints(folder: Path) -> dict[str, str]:
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".flac", ".gz", ".json")
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SynthReport]:
    """A corpus that one worker made, in small shards; who changes it takes a copy."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "SHARD_SIZE", 4)
        return folder, synthesize_corpus(folder, SPEC, num_workers=1)


@pytest.fixture
def copy(whole: tuple[Path, SynthReport], tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "copy"))


def test_same_bytes_for_any_number_of_workers_and_after_an_interruption(
    whole: tuple[Path, SynthReport], tmp_path: Path, small_shards: None
) -> None:
    (one, report), two, broken = whole, tmp_path / "two", tmp_path / "broken"
    synthesize_corpus(two, SPEC, num_workers=2)

    spoken = []

    def interrupt(count: int) -> None:
        spoken.extend([1] * count)
        if len(spoken) == 5:  # in the second shard
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize_corpus(broken, SPEC, num_workers=1, progress=interrupt)
    assert not (broken / "corpus.json").exists()
    continued = synthesize_corpus(broken, SPEC, num_workers=1)
    assert (report.num_clips, report.num_reused) == (9, 0)
    assert continued.num_reused in (4, 7)  # the worker ends its clip, which may be the shard's last
    assert fingerprints(one) == fingerprints(two) == fingerprints(broken)
    assert not list(broken.glob("audio/*/.*"))
    again = synthesize_corpus(one, SPEC)
    assert (again.num_reused, again.made_seconds) == (9, 0.0)
    assert report.speed > 0


def test_another_seed_says_other_things(tmp_path: Path) -> None:
    texts = []
    for seed in (1, 2):
        synthesize_corpus(
            tmp_path / str(seed), SynthSpec(num_train=3, num_dev=0, seed=seed, non_speech_share=0)
        )
        texts.append([u.text for u in Corpus.open(tmp_path / str(seed)).utterances("train")])
    assert texts[0] != texts[1]


def test_a_broken_shard_is_made_again(copy: Path, small_shards: None) -> None:
    before = fingerprints(copy)
    shutil.rmtree(copy / "audio" / "train" / "00001")
    (copy / "audio" / "dev" / "00000" / "shard.json").write_text('{"lengths"')
    assert synthesize_corpus(copy, SPEC, num_workers=1).num_reused == 4
    assert fingerprints(copy) == before


def test_clips_made_by_an_earlier_way_of_making_them_are_made_again(
    copy: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "RENDER_VERSION", workers.RENDER_VERSION + 1)
    assert synthesize_corpus(copy, SPEC, num_workers=1).num_reused == 0


def test_folders_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    with pytest.raises(CorpusError, match=r"holds other things already \(cat.jpg\)"):
        synthesize_corpus(tmp_path / "photos", SPEC)
    with pytest.raises(CorpusError, match="is a file"):
        synthesize_corpus(tmp_path / "photos" / "cat.jpg", SPEC)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "synth.json").write_text('{"format": 1, "seed": 7}')
    with pytest.raises(CorpusError, match="different settings.*seed 7 there, 1 now"):
        synthesize_corpus(begun, SPEC)
    (begun / "synth.json").write_text('{"format"')
    with pytest.raises(CorpusError, match=r"synth.json' is damaged.*name a new folder or remove"):
        synthesize_corpus(begun, SPEC)


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(CorpusError, match="another run"):
        synthesize_corpus(tmp_path, SPEC)


def test_a_disk_too_small_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6, 1000))
    with pytest.raises(CorpusError, match="free some space"):
        synthesize_corpus(tmp_path, SPEC)


class DeadlyShard(Shard):
    """Kills the process that it comes to."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_a_disk_that_takes_no_more_is_told_and_the_rest_is_made_later(
    whole: tuple[Path, SynthReport],
    tmp_path: Path,
    small_shards: None,
    files_up_to: Callable[[int], AbstractContextManager[None]],
) -> None:
    told = (
        r"(?s)the disk is full or a limit on it is reached.*Make room, then give the same command"
        r" again"
    )
    with files_up_to(4096), pytest.raises(DiskFullError, match=told):
        synthesize_corpus(tmp_path / "short", SPEC, num_workers=1)
    assert not list(tmp_path.glob("short/audio/*/*")), "half a shard stayed"
    synthesize_corpus(tmp_path / "short", SPEC, num_workers=1)
    assert fingerprints(tmp_path / "short") == fingerprints(whole[0])


def test_a_folder_that_is_none_and_a_dying_worker_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        run_shards([Shard(tmp_path / "file" / "00000", [], seed=1)], num_workers=1)
    with pytest.raises(SpeechverseError, match="worker died.*run it again"):
        run_shards([DeadlyShard(tmp_path / "00000", [], seed=1)], num_workers=1)
    assert not list(tmp_path.glob("0*"))


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "from speechverse.world import SynthSpec, synthesize_corpus\n"
        f"folder, spec = {str(tmp_path / 'c')!r}, SynthSpec(num_train=400, num_dev=0)\n"
        "synthesize_corpus(folder, spec, 1, lambda *told: print(told, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):  # the first says that nothing is made yet
        process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(0.2)
    shutil.rmtree(tmp_path / "c" / "audio")
    lock = FileLock(tmp_path / "c" / ".lock")
    lock.acquire(timeout=1)
    lock.release()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_train": -1}, "no split fewer than 0"),
        ({"num_train": 0, "num_dev": 0}, "at least one clip"),
        ({"noisy_share": 1.5}, "noisy_share is a share from 0 to 1"),
        ({"two_speaker_share": 0.9, "non_speech_share": 0.9}, "over 1 together"),
        ({"strata": {"gramar": 1.0}}, "did you mean 'grammar'"),
        ({"strata": {"grammar": 0.0}}, "at least one a weight"),
        (
            {"strata": {"unseen_names": 1.0}, "num_train": 0, "num_test": 5},
            "only the part 'test' can hold it, not 'dev'",
        ),
        ({"snr_db": (20, 5)}, "lowest and the highest"),
    ],
)
def test_specs_that_cannot_be_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SynthSpec(**changes)
