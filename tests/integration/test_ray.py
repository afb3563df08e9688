"""The Ray Serve app as a user runs it: the shipped file, a local cluster, two replicas of which one
is killed under load.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import psutil
import pytest
import yaml

from microscopic import save_letters_checkpoint
from served import KEY, asking, noise, wav

pytest.importorskip("ray.serve", reason="Ray is not here: pip install 'speechverse[ray]'")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[psutil.Process, openai.OpenAI]]:
    """A local cluster of deploy/ray.yaml with two replicas, and OpenAI's client as it comes."""
    told = yaml.safe_load((ROOT / "deploy" / "ray.yaml").read_text(encoding="utf-8"))
    port, model = free_port(), save_letters_checkpoint(tmp_path, max_audio_seconds=2.0)
    told["http_options"]["port"] = port
    (served,) = told["applications"]
    served["args"] = {"model": str(model), "name": "tried", "decoders": 1}
    (deployment,) = served["deployments"]
    deployment["ray_actor_options"]["num_cpus"] = 0.1
    assert deployment["autoscaling_config"]["min_replicas"] == 2
    file = tmp_path / "ray.yaml"
    file.write_text(yaml.safe_dump(told), encoding="utf-8")
    environment = {
        **os.environ,
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_USAGE_STATS_ENABLED": "0",
        "SPEECHVERSE_API_KEYS": KEY,
        "HOME": str(tmp_path),  # Ray writes its token there
    }
    with (tmp_path / "log").open("wb") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "ray.serve.scripts", "run", str(file)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
        until = time.monotonic() + 900
        while len(replicas(process)) < 2 or not answers(client):
            assert process.is_running() and time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(1)
        with client:
            yield process, client
    finally:
        those = [process, *process.children(recursive=True)]
        process.terminate()
        for one in psutil.wait_procs(those, 60)[1]:
            one.kill()


def answers(client: openai.OpenAI) -> bool:
    try:
        return bool(client.models.list().data)
    except openai.APIError:
        return False


def replicas(process: psutil.Process) -> list[psutil.Process]:
    """Those that have loaded the model, by the titles that Ray gives its processes."""
    titles = {one: "".join(one.cmdline()) for one in process.children(recursive=True)}
    return [
        one
        for one, title in titles.items()
        if title.startswith("ray::ServeReplica:") and "initialize" not in title
    ]


def test_no_answer_is_lost_when_a_replica_is_killed_under_load(
    cluster: tuple[psutil.Process, openai.OpenAI],
) -> None:
    process, client = cluster

    broken_off: list[int] = []

    def ask(number: int) -> str:
        sound = wav(noise(0.5 + number / 8, number))
        if number % 3 == 0:
            how = {"model": "tried", "extra_body": {"decoder": "llm"}}
            return client.audio.transcriptions.create(file=("a.wav", sound), **how).text
        how = {"model": "tried", "messages": asking("What is said?", sound), "max_tokens": 16}
        if number % 3 == 1:
            return client.chat.completions.create(**how).choices[0].message.content
        try:
            choices = [
                chunk.choices[0] for chunk in client.chat.completions.create(**how, stream=True)
            ]
        except openai.APIConnectionError:
            broken_off.append(number)
            return ask(number)
        assert choices[-1].finish_reason is not None  # none ends early and looks whole
        return "".join(choice.delta.content or "" for choice in choices)

    numbers = [number % 9 for number in range(90)]
    with ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(ask, number) for number in numbers]
        while sum(answer.done() for answer in asked) < 24:
            time.sleep(0.01)
        replicas(process)[0].kill()
        texts = [answer.result() for answer in asked]  # raises what a lost one was told
    assert texts == [texts[number] for number in numbers]
    assert len(broken_off) <= 8  # those that were under way, at most
