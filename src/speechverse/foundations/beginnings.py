"""What a run begins with instead of new weights: those of an earlier run, and an LLM's embeddings as a CTC head.

Shapes: V pieces, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from speechverse.errors import CheckpointError, RecipeError
from speechverse.hub import fingerprint, loading, local_folder, resolve
from speechverse.models.llm import load_llm_and_tokenizer
from speechverse.seeding import hash_seed

SHARPNESS = 20.0
"""Logit of a state that points where a piece's embedding does: enough for one of some thousand pieces to stand out."""


def begin_with(model: PreTrainedModel, name: str) -> None:
    """Gives a new model the weights of a finished one, head included.

    Args:
        model: Of the recipe's shape.
        name: A folder in the hub's format, a built-in or a hub id.

    Raises:
        CheckpointError: If there is no such model, or it lacks weights.
        RecipeError: If its weights are of another shape.
    """
    resolved = resolve(name)
    with loading("model to begin with", resolved):
        finished, info = type(model).from_pretrained(resolved.name, dtype=torch.float32, output_loading_info=True)
    if info["missing_keys"]:
        raise CheckpointError(
            f"initial: '{name}' lacks weights that this run goes on with, such as '{min(info['missing_keys'])}'; "
            "give a finished model, with its head where there is one"
        )
    old, new = finished.state_dict(), model.state_dict()
    other = [key for key in sorted(new.keys() | old.keys()) if _shape(new, key) != _shape(old, key)]
    if other:
        raise RecipeError(
            f"initial: '{name}' is of another shape: '{other[0]}' is {_shape(old, other[0])} there, "
            f"{_shape(new, other[0])} by this recipe; give the shape and the tokenizer that it was made with"
        )
    model.load_state_dict(old)


def _shape(tensors: dict[str, Tensor], key: str) -> tuple[int, ...] | str:
    return tuple(tensors[key].shape) if key in tensors else "missing"


def speak_embeddings(ctc: PreTrainedModel, name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """Makes the directions of an LLM's input embeddings the weights of a CTC head, which stay as they are.

    The norm in front of the head is fixed too, so that a logit is `SHARPNESS` times a cosine (plus a learnt bias): the
    last layer has to come near a piece's embedding to name it, and cannot turn a faint likeness up instead. The blank
    has a direction of its own: the LLM's padding row means nothing.

    Args:
        ctc: The encoder with its head.
        name: Of the LLM: a folder in the hub's format, a built-in or a hub id.
        tokenizer: The pieces of the head; the padding piece is the blank.

    Raises:
        CheckpointError: If there is no such LLM.
        RecipeError: If it has other pieces, or is not as wide as the encoder.
    """
    head = ctc.get_submodule("lm_head")
    assert isinstance(head, nn.Linear)
    table, theirs = _table_of(name)
    if table.shape != head.weight.shape:
        raise RecipeError(
            f"ctc.embeddings: '{name}' has {table.shape[0]} embeddings of {table.shape[1]}, this encoder "
            f"{head.out_features} pieces and a width of {head.in_features}; set shape.hidden_size and tokenizer to fit"
        )
    if theirs.get_vocab() != tokenizer.get_vocab():
        raise RecipeError(f"ctc.embeddings: '{name}' has other pieces than the recipe's tokenizer; give them the same")
    generator = torch.Generator().manual_seed(hash_seed(0, "blank") % 2**63)
    table[tokenizer.pad_token_id] = torch.randn(table.shape[1], generator=generator)
    norm = [module for module in ctc.base_model.modules() if isinstance(module, nn.LayerNorm)][-1]
    with torch.no_grad():
        head.weight.copy_(nn.functional.normalize(table) * SHARPNESS / table.shape[1] ** 0.5)
        norm.weight.fill_(1.0)
        norm.bias.zero_()
    for fixed in (head.weight, norm.weight, norm.bias):
        fixed.requires_grad_(False)


def _table_of(name: str) -> tuple[Tensor, PreTrainedTokenizerBase]:
    """(V, D) input embeddings of an LLM that is there, and its pieces."""
    llm, tokenizer = load_llm_and_tokenizer(resolve(name), torch.float32)
    return llm.get_input_embeddings().weight.detach().clone(), tokenizer


def digest(name: str) -> str:
    """Tells one beginning from another, whatever it is called."""
    return fingerprint(local_folder(resolve(name)))[:16]
