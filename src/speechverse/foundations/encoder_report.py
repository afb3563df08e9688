"""What a finished encoder is worth on the corpus it was made with, measured on the weights that are saved."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from speechverse.data import Corpus
from speechverse.encoders import FAMILIES, FrontEnd, SpeechEncoder
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.errors import CorpusError
from speechverse.evaluation.probes import ProbeTable, probe_encoder
from speechverse.evaluation.recognition import Recognition
from speechverse.training.logs import Progress


def as_saved(body: PreTrainedModel, front_end: FrontEnd) -> SpeechEncoder:
    """A frozen copy behind the encoders' contract, its weights rounded to half precision as in the file."""
    return FAMILIES[body.config.model_type](copy.deepcopy(body).half().float(), front_end)


def recogniser_as_saved(ctc: PreTrainedModel, front_end: FrontEnd, tokenizer: PreTrainedTokenizerFast) -> CtcRecogniser:
    """The same of a body with its CTC head."""
    body: Any = ctc.base_model
    head: Any = copy.deepcopy(ctc.get_submodule("lm_head")).half().float()
    return CtcRecogniser(as_saved(body, front_end), head, tokenizer, blank=tokenizer.pad_token_id)


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
        probes: Of the body after BEST-RQ alone, then after CTC, as far as the run made them.
    """

    recognition: Sequence[Recognition]
    probes: Sequence[ProbeTable]

    def figures(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "recognition": [asdict(kind) for kind in self.recognition],
            "probes": [table.as_dict() for table in self.probes],
        }
