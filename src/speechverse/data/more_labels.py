"""Labels from another file for utterances of a corpus, joined by id or by text."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechverse.data.labels import check_names, gather_names, normalise_labels
from speechverse.data.lines import Lines
from speechverse.errors import CorpusError
from speechverse.tasks import LabelSet
from speechverse.types import Origin, Utterance

log = logging.getLogger(__name__)

_OWN_KEYS = ("id", "text", "split", "audio", "start", "duration", "speaker", "language", "voice")
"""Keys of a line that are no labels, whether it comes from a corpus or from sentences to be spoken.
"""


@dataclass
class MoreLabels:
    """Labels of one utterance, by id, and of all that say the same, by text.

    Attributes:
        names: Label sets of fields that the corpus has none for.
    """

    path: Path
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_text: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: Mapping[str, LabelSet] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, known: Mapping[str, LabelSet]) -> MoreLabels:
        """Reads a file whose label names keep to the sets that are known.

        Raises:
            CorpusError: If the file is missing, or lines are wrong.
        """
        read, placed = cls(path), list[tuple[Mapping[str, Any], str]]()
        lines = Lines.read(path)

        def use(number: int, entry: dict[str, Any]) -> None:
            labels = normalise_labels(
                {key: value for key, value in entry.items() if key not in _OWN_KEYS}
            )
            check_names(labels, known)
            read._keep(entry, labels)
            placed.append((labels, str(Origin(path, number))))

        lines.each(use)
        if lines.faults:
            raise lines.refusal("cannot be joined to a corpus")
        read.names = {
            name: found for name, found in gather_names(placed).items() if name not in known
        }
        return read

    def _keep(self, entry: Mapping[str, Any], labels: dict[str, Any]) -> None:
        key, table = ("id", self.by_id) if entry.get("id") is not None else ("text", self.by_text)
        if not isinstance(entry.get(key), str):
            raise ValueError("has neither an 'id' nor a 'text' to join it by")
        if table.setdefault(entry[key], labels) != labels:
            raise ValueError(f"has other labels than an earlier line of the same {key}")

    def check_ids(self, corpus: str, ids: Iterable[Sequence[str]]) -> None:
        """Refuses an id that is a clip's of more than one split: it names none.

        Args:
            ids: Of each split.
        """
        counts = Counter(name for split in ids for name in set(split) & self.by_id.keys())
        if several := sorted(name for name, count in counts.items() if count > 1):
            raise CorpusError(
                f"{self.path}: {len(several)} ids are those of clips in several splits of corpus"
                f" '{corpus}', such as '{several[0]}': give the clips ids of their own, or join by"
                " text"
            )

    def warn_of_unused(self, utterances: Sequence[Utterance], corpus: str) -> None:
        """Logs how many ids and texts no utterance has.

        Raises:
            CorpusError: If none of them is any utterance's.
        """
        ids = self.by_id.keys() - {utterance.id for utterance in utterances}
        texts = self.by_text.keys() - {utterance.text for utterance in utterances}
        unused, total = sorted(ids | texts), len(self.by_id) + len(self.by_text)
        if not unused:
            return
        told = (
            f"{self.path}: {len(unused)} of {total} labelled ids and texts are no clip's of corpus"
            f" '{corpus}'"
        )
        if len(unused) == total:
            raise CorpusError(f"{told} (such as '{unused[0]}'): is it the file of another corpus?")
        log.warning("%s (first: '%s'); they are left out", told, unused[0])

    def to(self, utterances: Iterable[Utterance]) -> list[Utterance]:
        """The utterances with their further labels; CorpusError if one says another value."""
        return [self._join(utterance) for utterance in utterances]

    def _join(self, utterance: Utterance) -> Utterance:
        found = {**self.by_text.get(utterance.text or "", {}), **self.by_id.get(utterance.id, {})}
        for name, value in found.items():
            if utterance.labels.get(name, value) != value:
                raise CorpusError(
                    f"{self.path} says {name} = {value!r} of '{utterance.id}', which has"
                    f" {utterance.labels[name]!r} ({utterance.place}); leave '{name}' out of one of"
                    " them"
                )
        return replace(utterance, labels={**utterance.labels, **found}) if found else utterance
