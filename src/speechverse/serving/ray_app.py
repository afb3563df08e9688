"""The server as a Ray Serve app; see deploy/ray.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass
from ray import serve

from speechverse.errors import UserError
from speechverse.serving.keys import keys_of
from speechverse.serving.refusals import BUSY_SECONDS
from speechverse.serving.running import FINISHING, keep_content_out_of_logs
from speechverse.serving.settings import ServerSettings
from speechverse.types import Precision


@dataclass(frozen=True, config={"extra": "forbid"})
class Arguments(ServerSettings):
    """What the app is told, beside a server's settings.

    Attributes:
        model: A built-in name, a checkpoint's folder (the same on each machine), or a hub name.
        device: By default a GPU where Ray gives a replica one.
        precision: Of the encoder and the LLM.
        keys_file: On each machine; or the variable of `keys_of` is set where Ray is started there.
    """

    model: str = "small"
    device: str | None = None
    precision: Precision = "fp32"
    keys_file: Path | None = None


@serve.deployment(
    max_queued_requests=256,
    backpressure_config={"status_code": 429, "retry_after_s": BUSY_SECONDS},
)
@serve.ingress()
class Server:
    """A replica: what `create_app` makes, with a model and an engine of its own."""

    def __init__(self, arguments: Arguments) -> None:
        from speechverse.pipeline import SpeechVerse
        from speechverse.serving.app import create_app

        keep_content_out_of_logs()
        settings = replace(arguments, keys=keys_of(arguments.keys_file))
        loaded = SpeechVerse.from_pretrained(arguments.model, arguments.device, arguments.precision)
        self._app = create_app(loaded, settings)

    def __serve_build_asgi_app__(self) -> Any:
        return self._app

    def check_health(self) -> None:
        """Raises where Ray should put another replica in its place."""
        if not self._app.state.service.ready:
            raise RuntimeError("the engine has failed")


def app(arguments: dict[str, Any]) -> serve.Application:
    """The app, of what follows it in `serve run` or stands under `args` in Serve's file.

    Raises:
        UserError: If keys are among it.
    """
    given = Arguments(**{"name": arguments.get("model", Arguments.model), **arguments})
    if given.keys:
        raise UserError("Ray shows its users an app's arguments: give keys by `keys_file`")
    deployment = Server.options(  # type: ignore[attr-defined]  # what the decorator made of it
        max_ongoing_requests=given.max_requests,
        graceful_shutdown_timeout_s=given.timeout + FINISHING,
    )
    return deployment.bind(given)
