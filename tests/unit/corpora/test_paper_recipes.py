from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.corpora import CORPORA
from speechverse.training.recipe_files import load_recipe


@pytest.mark.parametrize("name", ["paper-wlm", "paper-brq", "people-gpu"])
def test_every_public_corpus_of_a_recipe_is_one_that_prepare_writes(name: str):
    corpora = load_recipe(name).data.corpora
    assert corpora
    for own, section in corpora.items():
        assert own in CORPORA
        assert section.path is not None and Path(section.path).parts[-2:] == ("corpora", own)
