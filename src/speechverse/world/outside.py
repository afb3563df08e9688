"""Speech from somebody's own sentences: each line of a JSONL file is spoken, with its labels."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

from speechverse.data.labels import as_label_sets, check_names, gather_names, normalise_labels
from speechverse.data.lines import Lines
from speechverse.errors import CorpusError, UserError, unknown_name
from speechverse.seeding import fingerprint, rng_for
from speechverse.tasks import LabelSet
from speechverse.tasks.st import LANGUAGES
from speechverse.types import Origin
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Clip
from speechverse.world.corpus import Source
from speechverse.world.engines import ESPEAK, check_engine
from speechverse.world.language import Part
from speechverse.world.plan import Noise, plan_reading
from speechverse.world.roles import cast_role
from speechverse.world.sounds import backgrounds
from speechverse.world.speaking import check_text
from speechverse.world.spec import SynthSpec
from speechverse.world.styles import EMOTIONS, SENTIMENTS
from speechverse.yaml_files import read_yaml

_SHARD_SIZES = {"kokoro": 20}  # clips a shard, of a slow engine: a stop loses a minute, not ten
_OWN_KEYS = ("id", "text", "split", "language", "voice")
_OF_AUDIO = ("audio", "start", "duration", "speaker")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_NO_ID = "is no file name of plain letters, digits, '.', '_' and '-'"
_SPEC = SynthSpec(two_speaker_share=0.0, one_speaker_turns_share=0.0, non_speech_share=0.0)
_OWN_SETS = {"emotion": EMOTIONS, "sentiment": SENTIMENTS, "accent": ACCENTS}


class _Line(NamedTuple):
    """What a line of the file becomes."""

    part: Part
    clip: Clip
    given: Mapping[str, Any]  # labels as they stand in the file
    checked: Mapping[str, Any]  # labels in the form that corpora are read in
    place: str


def read_lines(
    path: str | Path,
    *,
    name: str | None = None,
    seed: int = 1,
    split: str = "train",
    text_key: str = "text",
    renames: Mapping[str, str] | None = None,
    labels: str | Path | None = None,
    engine: str = ESPEAK,
) -> Source:
    """Reads sentences that `synthesize_corpus` is to speak, and checks every one before any is
    spoken.

    Args:
        path: JSONL, one object a line: a text, and optionally `id`, `split`, `language`, `voice`
            and any labels.
        name: Of the corpus; by default the file's.
        seed: Of the voices, styles and channels.
        split: Where lines without a `split` go; they are spoken by that split's voices.
        text_key: The key of the text.
        renames: Key in the file → key in the corpus.
        labels: A YAML file of label sets that the lines must keep to (field → name → description);
            without it they are gathered from the lines.
        engine: Whose voices speak: espeak, kokoro or hibari.

    Raises:
        CorpusError: The file is missing or empty, or lines cannot be spoken; it names the first
            ones.
        UserError: A rename, name, split, label set or engine that cannot be, or an engine's files
            that are not there.
        MissingExtraError: What the engine needs is not installed.
    """
    check_engine(engine)
    path = Path(path)
    name = path.stem if name is None else name
    if not _ID.fullmatch(name):
        raise UserError(f"the name '{name}' {_NO_ID}: give a --name")
    given = _read_label_sets(Path(labels)) if labels is not None else {}
    renames = _check_renames(text_key, renames or {})
    spec = dataclasses.replace(_SPEC, name=name, seed=seed)
    lines = _Reader(path, spec, _part(split), renames, given, engine).read()
    clips = {part: [line.clip for line in lines if line.part == part] for part in get_args(Part)}
    sizes = {f"num_{part}": len(some) for part, some in clips.items()}
    record = {key: value for key, value in spec.as_dict().items() if key != "strata"} | sizes
    record |= {} if engine == ESPEAK else {"engine": engine}
    record |= {
        "lines_sha256": fingerprint(path.read_bytes()),
        "split": split,
        "renames": dict(renames),
    }
    return Source(
        name,
        seed,
        len(lines),
        record,
        lambda: {part: some for part, some in clips.items() if some},
        _inventory(lines, given, str(labels)),
        {"source": path.name, "labels_kept": sorted({key for line in lines for key in line.given})},
        _SHARD_SIZES.get(engine),
    )


def _inventory(
    lines: list[_Line], given: Mapping[str, LabelSet], given_in: str
) -> dict[str, dict[str, str]]:
    """What the lines use, what was given, and the spoken world's own for the labels it adds."""
    sets = {**gather_names((line.checked, line.place) for line in lines), **given}
    for key, own in _OWN_SETS.items():
        used = sets[key].descriptions if key in sets else {}
        described = {name: text or own.get(name, "") for name, text in used.items()}
        sets |= as_label_sets({key: {**own, **described}}, given_in)
    return {key: dict(known.descriptions) for key, known in sets.items()}


@dataclass
class _Reader:
    """Reads the file, and gathers what is wrong with its lines."""

    path: Path
    spec: SynthSpec
    part: Part
    renames: Mapping[str, str]
    given: Mapping[str, LabelSet]
    engine: str
    seen: set[str] = field(default_factory=set)

    def read(self) -> list[_Line]:
        read: list[_Line] = []
        lines = Lines.read(self.path)
        lines.each(lambda number, entry: read.append(self._line(number, entry)))
        if not lines.total:
            raise CorpusError(
                f"{self.path} holds no lines to speak: write one JSON object a line, with a 'text'"
            )
        keys = {key for _, entry in lines.objects for key in entry}
        for foreign in self.renames.keys() - keys:
            raise UserError(
                f"{self.path}: no line has '{foreign}': {unknown_name('key', foreign, keys)}"
            )
        if lines.faults:
            raise lines.refusal("cannot be spoken; nothing was made")
        return read

    def _line(self, number: int, entry: Mapping[str, Any]) -> _Line:
        entry = self._rename(entry)
        text = _string(entry, "text")
        if text is None:
            raise ValueError(
                f"has no text to speak; it has {', '.join(entry) or 'nothing'} (--text-key names"
                " the key)"
            )
        check_text(text)
        part = _part(_string(entry, "split") or self.part)
        language = _string(entry, "language") or "en"
        if language not in (languages := {"en", *LANGUAGES}):
            raise ValueError(unknown_name("language", language, languages))
        labels = {k: v for k, v in entry.items() if k not in _OWN_KEYS and v is not None}
        checked = normalise_labels(labels)
        check_names(checked, self.given)
        if checked.get("num_speakers", 1) != 1 or not checked.get("is_speech", True):
            raise ValueError(
                "a line is spoken by one speaker: take out 'num_speakers' and 'is_speech', or"
                " rename them"
            )
        clip_id, noise = self._id(number, entry.get("id")), _noise(entry, part)
        voice, rng = _string(entry, "voice"), rng_for(self.spec.seed, clip_id, "how")
        role = cast_role(self.engine, checked, voice, part, language, rng)
        clip = plan_reading(self.spec, part, clip_id, text, role, language, noise)
        clip = dataclasses.replace(clip, labels={**clip.labels, **labels})
        return _Line(part, clip, labels, checked, str(Origin(self.path, number)))

    def _rename(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for key, value in entry.items():
            target = self.renames.get(key, key)
            if target in renamed:
                raise ValueError(
                    f"has two keys for '{target}': rename the other one too, such as"
                    f" {target}=other_name"
                )
            if target in _OF_AUDIO:
                raise ValueError(
                    f"has '{target}', which describes audio that is there already; to keep it as a"
                    f" label: --rename {key}=other_name"
                )
            renamed[target] = value
        return renamed

    def _id(self, number: int, given: Any) -> str:
        clip_id = f"{self.spec.name}-{number:06d}" if given is None else str(given)
        if isinstance(given, bool | float | list | dict) or not _ID.fullmatch(clip_id):
            raise ValueError(
                f"the id {given!r} {_NO_ID}; to keep it as a label and have ids made: --rename"
                " id=source_id"
            )
        if clip_id in self.seen:
            raise ValueError(f"the id '{clip_id}' occurs twice")
        self.seen.add(clip_id)
        return clip_id


def _string(entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"'{key}' should be a string, not {value!r}")
    return value


def _noise(entry: Mapping[str, Any], part: Part) -> Noise | None:
    name, snr = _string(entry, "noise"), entry.get("snr_db")
    if name is None:
        return None
    if name not in backgrounds(part):
        raise ValueError(
            f"{unknown_name('noise', name, backgrounds(part))}; 'noise' is laid under the line: to"
            " keep it as a mere label, --rename noise=other_name"
        )
    if snr is not None and not (type(snr) in (int, float) and -20 <= snr <= 60):
        raise ValueError(
            f"'snr_db' is the ratio of speech to noise in dB, from -20 to 60, not {snr!r}"
        )
    return Noise(name, snr)


def _part(split: str) -> Part:
    for part in get_args(Part):
        if split == part:
            return part
    raise UserError(unknown_name("split", split, get_args(Part)))


def _check_renames(text_key: str, renames: Mapping[str, str]) -> dict[str, str]:
    """All renames, that of the text among them."""
    if text_key == "text":
        every = dict(renames)
    elif text_key in renames:
        raise UserError(
            f"'{text_key}' is the text to speak: it cannot be renamed to '{renames[text_key]}' too"
        )
    else:
        every = {text_key: "text", **renames}
    targets = list(every.values())
    for target in targets:
        if (count := targets.count(target)) > 1:
            raise UserError(
                f"{count} keys are to be renamed to '{target}': give each a name of its own"
            )
    return every


def _read_label_sets(path: Path) -> dict[str, LabelSet]:
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise UserError(f"the label sets in '{path}' cannot be read: {error}") from error
    if not isinstance(content, dict) or not all(content.values()):
        raise UserError(
            f"'{path}' should hold, for each label field, its names with descriptions (name: text)"
        )
    return as_label_sets(content, f"'{path}'")
