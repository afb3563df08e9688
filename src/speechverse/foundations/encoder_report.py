"""What a finished encoder is worth on the corpus it was made with, measured on the weights that are saved."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from speechverse.audio import load
from speechverse.data import Corpus
from speechverse.encoders import FAMILIES, FrontEnd, SpeechEncoder
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.errors import CorpusError
from speechverse.evaluation.probes import ProbeTable, probe_encoder
from speechverse.metrics import Interval, bootstrap
from speechverse.training.logs import Progress
from speechverse.types import Utterance

_CLIPS_AT_ONCE = 256


def as_saved(body: PreTrainedModel, front_end: FrontEnd) -> SpeechEncoder:
    """A frozen copy behind the encoders' contract, its weights rounded to half precision as in the file."""
    return FAMILIES[body.config.model_type](copy.deepcopy(body).half().float(), front_end)


@dataclass(frozen=True)
class Recognition:
    """How well one kind of clip was transcribed, greedily.

    Attributes:
        stratum: The kind (grammar sentences, names, ...).
        noisy: Whether the clips have noise in them.
        num_clips: How many.
        wer: Word error rate with its interval.
        cer: Character error rate with its interval.
    """

    stratum: str
    noisy: bool
    num_clips: int
    wer: Interval
    cer: Interval


def recognition(
    ctc: PreTrainedModel, front_end: FrontEnd, tokenizer: PreTrainedTokenizerFast, utterances: Sequence[Utterance]
) -> list[Recognition]:
    """Error rates of the CTC head on each stratum, clean and noisy apart; clips without words are left out."""
    body: Any = ctc.base_model
    head: Any = copy.deepcopy(ctc.get_submodule("lm_head")).half().float()
    recogniser = CtcRecogniser(as_saved(body, front_end), head, tokenizer, blank=tokenizer.pad_token_id)
    spoken = [utterance for utterance in utterances if utterance.text]
    heard: list[str] = []
    for start in range(0, len(spoken), _CLIPS_AT_ONCE):
        some = spoken[start : start + _CLIPS_AT_ONCE]
        heard += recogniser.transcribe([load(utterance.audio).samples for utterance in some])
    kinds: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for utterance, text in zip(spoken, heard, strict=True):
        kind = (str(utterance.labels.get("stratum", "all")), bool(utterance.labels.get("noise")))
        kinds.setdefault(kind, []).append((text, utterance.text or ""))
    return [_recognition(*kind, *zip(*pairs, strict=True)) for kind, pairs in sorted(kinds.items())]


def _recognition(stratum: str, noisy: bool, heard: Sequence[str], true: Sequence[str]) -> Recognition:
    wer, cer = (bootstrap(metric, heard, true) for metric in ("wer", "cer"))
    return Recognition(stratum, noisy, len(true), wer, cer)


def probed(name: str, encoder: SpeechEncoder, corpus: Corpus, num_fit: int) -> ProbeTable | None:
    """Linear probes fitted on training clips and tested on the dev part; None where nothing can or should be probed."""
    fit, test = corpus.utterances("train")[:num_fit], corpus.utterances("dev")
    if not fit:
        return None
    with Progress(f"probing {name}", len(fit) + len(test)) as progress:
        try:
            return probe_encoder(encoder, fit, test, name=name, done=progress.advance)
        except CorpusError as error:
            progress.say(f"no probes of {name}: {error}")
            return None


@dataclass(frozen=True)
class EncoderReport:
    """What the cards and figures of both folders say.

    Attributes:
        recognition: Of the CTC head, on the dev part.
        probes: Of the body after BEST-RQ alone, then after CTC.
    """

    recognition: Sequence[Recognition]
    probes: Sequence[ProbeTable]

    def figures(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "recognition": [asdict(kind) for kind in self.recognition],
            "probes": [table.as_dict() for table in self.probes],
        }
