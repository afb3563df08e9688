"""What CTC heads hear: error rates by kind of clip, and the verb that tests an encoder on other
corpora.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from speechverse.cli import build_app
from speechverse.data import Corpus, write_corpus
from speechverse.errors import UserError
from speechverse.evaluation.recognition import recognition, recognition_table
from speechverse.types import Utterance


class Reader:
    """Stands for a recogniser that says one text whatever it hears."""

    def __init__(self, says: str) -> None:
        self.says = says

    def transcribe(self, waveforms: list[np.ndarray]) -> list[str]:
        return [self.says for _ in waveforms]


def found_in(folder: Path, *arguments: Any) -> dict[str, Any]:
    output = folder / "probes.json"
    result = CliRunner().invoke(
        build_app(), ["probe", *map(str, arguments), "-o", str(output), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    return {**json.loads(output.read_text()), "printed": result.stdout}


def variant(clips: list[Utterance], split: str, times: int) -> list[Utterance]:
    """The clips several times over, as other voices of another split."""
    return [
        replace(clip, id=f"{split}-{turn}-{clip.id}", speaker=f"{split}-{clip.speaker}")
        for turn in range(times)
        for clip in clips
    ]


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> Path:
    return checkpoint.parent / "encoder"


@pytest.fixture(scope="module")
def folders(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A corpus to fit on, a frozen set with the split test alone, and a JSONL of sentences that
    were read.
    """
    root, clips = tmp_path_factory.mktemp("corpora"), corpus.utterances("train")
    write_corpus(
        root / "world", "world", {split: variant(clips, split, 2) for split in ("train", "test")}
    )
    write_corpus(root / "frozen", "world", {"test": variant(clips, "frozen", 3)})
    lines = [
        {
            "audio": str(clip.audio.path),
            "text": f"{(clip.text or '').title()}!",
            "label": "x",
            "task": "asr",
        }
        for clip in clips[:3]
    ]
    (root / "people.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "wordless.jsonl").write_text(json.dumps({"audio": lines[0]["audio"]}) + "\n")
    return {path.stem: path for path in root.iterdir()}


def test_kinds_and_noise_are_counted_apart_and_clips_without_words_left_out(corpus: Corpus) -> None:
    clips = list(corpus.utterances("train"))
    for clip, noise in zip((0, 1, 2, 3), ("rain", "none", "clean", False), strict=True):
        clips[clip] = replace(clips[clip], labels={**clips[clip].labels, "noise": noise})
    counted: list[int] = []
    # type: ignore[arg-type]
    kinds = recognition(Reader("What is the TIME?"), clips, counted.append)
    assert [(kind.stratum, kind.noisy, kind.num_clips) for kind in kinds] == [
        ("grammar", False, 1),
        ("grammar", True, 1),
        ("names", False, 2),
    ]
    assert sum(counted) == 4
    right, wrong = kinds[0], kinds[1]
    assert right.wer.value == right.cer.value == 0, "case and punctuation are no errors"
    assert wrong.wer.value > 1 > wrong.cer.low
    assert recognition_table("micro", [("one", kinds), ("two", kinds)]).row_count == 2 * (1 + 3)


def test_kinds_and_names_stand_in_the_table_as_they_are_written(corpus: Corpus) -> None:
    clip = corpus.utterances("train")[0]
    clip = replace(clip, labels={**clip.labels, "stratum": "[laugh]"})
    kinds = recognition(Reader("yes"), [clip])  # type: ignore[arg-type]
    shown = Console(file=io.StringIO(), width=120)
    shown.print(recognition_table("my[b]encoder[/x]", [("set[/y]", kinds)]))
    assert isinstance(shown.file, io.StringIO)
    for name in ("my[b]encoder[/x]", "set[/y]", "[laugh]"):
        assert name in shown.file.getvalue()


def test_an_encoder_is_tested_on_a_frozen_set_and_transcribes_it(
    encoder: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    found = found_in(
        tmp_path, encoder, "--corpus", folders["world"], "--test-corpus", folders["frozen"]
    )
    assert (found["fit"]["corpus"], found["fit"]["split"]) == ("world", "train")
    assert (found["test"]["corpus"], found["test"]["split"]) == ("frozen", "test")
    assert found["test"]["manifest_sha256"] != found["fit"]["manifest_sha256"]
    (about,) = found["encoders"]
    assert about["probes"]["emotion"]["fit"] == 10 and about["probes"]["emotion"]["test"] == 15
    (heard,) = about["recognition"]
    assert heard["corpus"] == "frozen"
    assert [(kind["stratum"], kind["num_clips"]) for kind in heard["kinds"]] == [
        ("grammar", 6),
        ("names", 6),
    ]
    assert all(
        low <= value <= high for value, low, high in (kind["wer"] for kind in heard["kinds"])
    )
    assert "CTC head" in found["printed"] and "grammar" in found["printed"]


def test_other_corpora_and_people_are_read_and_named_apart(
    encoder: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    others = ["--read", folders["frozen"], "--read", folders["people"]]
    found = found_in(tmp_path, encoder, "--corpus", folders["world"], *others)
    heard = {part["corpus"]: part["kinds"] for part in found["encoders"][0]["recognition"]}
    assert list(heard) == ["world", "frozen", "people"]
    assert [(kind["stratum"], kind["num_clips"]) for kind in heard["people"]] == [("all", 3)]
    assert "people" in found["printed"]


def test_what_is_fitted_on_is_not_tested_on(encoder: Path, folders: dict[str, Path]) -> None:
    people = next(path for path in folders.values() if path.is_file())
    for corpus, fit, told in (
        (people, "no-such", "would be fitted on and tested on"),
        (folders["world"], "train", f"'{people}' is one file and has no split 'no-such'"),
        (folders["world"], "test", "would be fitted on and tested on"),
        (folders["world"], "no-such", "no-such"),
    ):
        arguments = ["probe", str(encoder), "--corpus", str(corpus), "--fit", fit]
        if fit == "train":
            arguments += ["--test-corpus", str(people), "--test", "no-such"]
        result = CliRunner().invoke(build_app(), arguments)
        assert isinstance(result.exception, UserError) and told in str(result.exception)


def test_recordings_without_text_are_refused(encoder: Path, folders: dict[str, Path]) -> None:
    arguments = [
        "probe",
        str(encoder),
        "--corpus",
        str(folders["world"]),
        "--read",
        str(folders["wordless"]),
    ]
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code != 0
    assert "text" in str(result.exception or result.output)
