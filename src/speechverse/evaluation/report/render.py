"""Pages from templates: one self-contained file each, everything that is not a template escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from speechverse.errors import AudioError
from speechverse.types import AudioRef

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = "speechverse.evaluation.report"


def render_page(template: str, package: str = HERE, **context: Any) -> str:
    """The HTML that a template makes of its context.

    Args:
        template: Its name in the folder `templates` of the package; it may extend `base.html` and
            import the macros of `parts.html`, which are here.
        context: What it is filled with; text is escaped, `Markup` (a plot) is not.
    """
    return _environment(package).get_template(template).render(context).strip() + "\n"


@lru_cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, HERE))])
    tidy: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, **tidy)
    made.globals["css"] = Markup(loader.get_source(made, "report.css")[0])  # nosec: a file of ours
    return made


def playable(clips: Iterable[AudioRef]) -> list[str]:
    """Clips as sources of audio elements, in the page itself, without those whose files are gone
    or cannot be read any more.
    """
    made = []
    for clip in clips:
        with suppress(AudioError):
            made.append(_playable(clip))
    return made


def _playable(clip: AudioRef) -> str:
    import soundfile

    from speechverse.audio import load

    waveform, file = load(clip), io.BytesIO()
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
    soundfile.write(file, waveform.samples, waveform.sampling_rate, **kind)
    return "data:audio/mpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
