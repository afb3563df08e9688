"""Public corpora, and data in others' formats, as corpora of this project; and whether a corpus is
fit to be used.
"""

from __future__ import annotations

from speechverse.corpora.reader import CORPORA, CorpusReader

__all__ = ["CORPORA", "CorpusReader"]
