"""The processes that train a foundation together, started here or by `torchrun`; one alone is a crew of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import nn

from speechverse.errors import SpeechverseError

_PATIENCE = timedelta(hours=12)  # others wait while the first makes speech and features


@dataclass(frozen=True)
class Crew:
    """Who is there.

    Attributes:
        rank: This process's number.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, cpu: bool = False) -> Crew:
        """The crew that `hiring` or `torchrun` started this process in.

        Args:
            cpu: Whether they train on CPUs although there may be GPUs: gradients then travel otherwise.
        """
        state = PartialState(cpu=cpu or not torch.cuda.is_available(), timeout=_PATIENCE)
        return cls(state.process_index, state.num_processes)

    @property
    def leads(self) -> bool:
        """Whether this process makes the data, logs and saves."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            with _loss_told():
                torch.distributed.barrier()

    def share(self, rows: Sequence[int]) -> list[int]:
        """This process's rows of a batch, at least one: there may be fewer rows than processes."""
        return list(rows[self.rank :: self.size]) or list(rows[-1:])

    def average(self, parameters: Iterable[nn.Parameter], stop: bool) -> bool:
        """Puts the mean of all processes' gradients in place, and tells whether any of them was asked to stop.

        Raises:
            SpeechverseError: Another process is gone.
        """
        if self.size == 1:
            return stop
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flags = gradients[0].new_tensor([stop, *(p.grad is not None for p in trained)])
        whole = torch.cat([flags, *(gradient.flatten() for gradient in gradients)])
        with _loss_told():
            torch.distributed.all_reduce(whole)
        stopping, *used = (whole[: len(flags)] > 0).tolist()
        means = (whole[len(flags) :] / self.size).split([p.numel() for p in trained])
        for parameter, mean, anywhere in zip(trained, means, used, strict=True):
            # What nobody used stays without a gradient: by one of zeros, decay and momentum would move it.
            parameter.grad = mean.view_as(parameter) if anywhere else None
        return stopping


ALONE = Crew()
"""A process that has no others beside it."""


@contextmanager
def _loss_told() -> Iterator[None]:
    """Words what the network says when a process of the crew is gone."""
    try:
        yield
    except RuntimeError as error:
        raise SpeechverseError(
            "another process of this run ended before its time (killed, or out of memory?); "
            "the same command goes on from the last saved step"
        ) from error


@contextmanager
def hiring(processes: int) -> Iterator[None]:
    """Starts this very command again in further processes, which join the same crew and end with this one.

    They get Ctrl-C from the terminal as this one does, and all stop after the same step.

    Args:
        processes: In all. Processes that were hired themselves, or started by `torchrun`, hire nobody.
    """
    if processes == 1 or "RANK" in os.environ:
        yield
        return
    threads = max(1, (os.cpu_count() or 1) // processes)
    torch.set_num_threads(threads)
    meeting = {
        "OMP_NUM_THREADS": str(threads),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(processes),
    }
    command = [sys.executable, "-m", "speechverse", *sys.argv[1:]]
    os.environ |= {**meeting, "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": str(processes)}
    others = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=sys.stderr)
        for rank in range(1, processes)
    ]
    try:
        yield
        for process in others:
            process.wait()
    finally:
        for process in others:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
