"""Random draws that depend on names, never on order: a hash of seed and keys seeds each one.

Workers, processes and resumed runs therefore draw the same, whoever asks first.
"""

from __future__ import annotations

import hashlib
import random


def hash_seed(seed: int, *keys: object) -> int:
    """A 64-bit integer from a seed and any keys, the same in every process and on every machine."""
    text = "\x1f".join([str(seed), *map(str, keys)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def fingerprint(*parts: str | bytes | memoryview) -> str:
    """SHA-256 of all parts, one after the other, in hexadecimal: whether something is the same as
    before.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def rng_for(seed: int, *keys: object) -> random.Random:
    """A generator of its own for one draw, such as `rng_for(seed, pass_index, example_id)`."""
    return random.Random(hash_seed(seed, *keys))
