"""What a training process does with the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from speechverse.training.memory import keep_freed_memory

_BLOCK_MB = 128
_MEASURE = f"""
import resource
import torch
from pathlib import Path
from speechverse.training.memory import keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

def left_by_a_block(megabytes={_BLOCK_MB}):
    before = resident()
    block = torch.ones(megabytes * 2**18)
    del block
    return resident() - before

# What is kept may have lost a few bytes to something small by then: a block that is to fit must be
# smaller.
print(left_by_a_block(), int(keep_freed_memory()), left_by_a_block(), left_by_a_block({_BLOCK_MB} // 2))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc",
    reason="only glibc can be told",
)
def test_freed_memory_stays_and_is_used_again() -> None:
    """In a process of its own, for nothing takes the setting back."""
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE], capture_output=True, text=True, check=True
    ).stdout
    by_default, told, kept, again = map(float, measured.split())
    assert by_default < _BLOCK_MB / 4, (
        "this C library keeps large blocks unasked; the setting is not needed"
    )
    assert told == 1
    assert kept > _BLOCK_MB * 3 / 4
    assert again < _BLOCK_MB / 8, "the next block took new memory beside what was kept"


def test_a_system_without_glibc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechverse.training.memory.sys.platform", "darwin")
    assert keep_freed_memory() is False
