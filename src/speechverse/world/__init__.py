"""The spoken world: speech with labels for all eleven tasks, made offline and repeatably from a
seed.

Names are looked up when first asked for: a worker process imports this package too, and must start
fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechverse.lazy import loader_of

if TYPE_CHECKING:
    from speechverse.world.corpus import Source as Source
    from speechverse.world.corpus import SynthReport as SynthReport
    from speechverse.world.corpus import synthesize_corpus as synthesize_corpus
    from speechverse.world.frozen import test_set_spec as test_set_spec
    from speechverse.world.frozen import verify_test_set as verify_test_set
    from speechverse.world.outside import read_lines as read_lines
    from speechverse.world.speaking import speak as speak
    from speechverse.world.spec import SynthSpec as SynthSpec

_HOMES = {
    "Source": "corpus",
    "SynthReport": "corpus",
    "SynthSpec": "spec",
    "read_lines": "outside",
    "speak": "speaking",
    "synthesize_corpus": "corpus",
    "test_set_spec": "frozen",
    "verify_test_set": "frozen",
}
__all__ = list(_HOMES)
__getattr__ = loader_of(__name__, _HOMES)
