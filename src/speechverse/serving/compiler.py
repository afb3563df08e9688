"""`python -m speechverse.serving.compiler`: tries a stranger's pattern or schema, with limits, in a
process of its own; one that takes too much ends it, and its exit status tells.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

from outlines_core import Index, Vocabulary

from speechverse.errors import UserError
from speechverse.json_schema import pattern_of_schema
from speechverse.serving.limits import limit


def main() -> None:
    """Reads a JSON schema, where it is told how long the pattern of one may be; else a pattern,
    behind its length in bytes, and a vocabulary.
    """
    memory, processor, *longest = map(int, sys.argv[1:])
    limit(resource.RLIMIT_AS, memory)
    limit(resource.RLIMIT_CPU, processor)
    limit(resource.RLIMIT_CORE, 0)
    if longest:
        with suppress(UserError):  # what is no schema is told where it is used
            if len(pattern_of_schema(sys.stdin.buffer.read().decode())) > longest[0]:
                sys.exit(1)
        return
    length = int.from_bytes(sys.stdin.buffer.read(8), "big")
    regex = sys.stdin.buffer.read(length).decode()
    vocabulary = Vocabulary.from_binary(sys.stdin.buffer.read())
    with suppress(ValueError):  # what is no pattern is told where it is compiled to be used
        Index(regex, vocabulary)


if __name__ == "__main__":
    main()
