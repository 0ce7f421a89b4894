"""Answers read off the output embedding: label words as tokens, and their logits at the answer only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.core import UserError
from tasks.datasets import TextData
from tasks.kernels import per_member, table_rows
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel


def told_apart(data: TextData, tokenizer: Any, found: Iterable[int]) -> Tensor:
    """The label words' tokens, int64 ``[C]``.

    Args:
        data: whose words they are.
        tokenizer: of the model.
        found: the token of each word, in order.

    Raises:
        UserError: where a word is unknown to the tokenizer, or two words begin with the same token.
    """
    tokens: dict[int, str] = {}
    for word, token in zip(data.words, found, strict=True):
        if token == tokenizer.unk_token_id:
            raise UserError(
                f"{data.name}: words: {word!r} is unknown to the model's tokenizer; choose another"
            )
        if token in tokens:
            raise UserError(
                f"{data.name}: words: {tokens[token]!r} and {word!r} begin with the same token "
                f"({tokenizer.convert_ids_to_tokens(token)!r}); choose words that differ there"
            )
        tokens[token] = word
    return torch.tensor(list(tokens))


def open_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text that goes on: without the end-of-sequence token that some tokenizers add."""
    ids: list[int] = list(tokenizer(text)["input_ids"])
    if ids and ids[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        ids.pop()
    return ids


def closed_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a whole text, with the special tokens that the tokenizer puts around it."""
    return list(tokenizer(text)["input_ids"])


def at_answers(
    model: LanguageModel, words: Tensor, weights: Weights, at: Tensor, call: Callable[[], Any]
) -> Tensor:
    """Logits of the label words ``[n, R, C]`` at one position of each row, from one forward.

    Args:
        model: with an output embedding.
        words: tokens int64 ``[C]``.
        weights: as the n members see them.
        at: each row's answer position, int64 ``[n * R]``.
        call: runs the model.
    """
    with _answering(model, words, weights, at):
        logits: Tensor = call().logits
    return logits.reshape(weights.members, -1, len(words))


def features_at_answers(model: LanguageModel, words: Tensor, at: Tensor, call: Callable[[], Any]) -> Tensor:
    """What the output embedding sees at one position of each row: ``[R, width]``, float32 or wider.

    Args:
        model: with an output embedding.
        words: tokens int64 ``[C]``, any.
        at: each row's answer position, int64 ``[R]``.
        call: runs the model.
    """
    seen: list[Tensor] = []
    with _answering(model, words, Weights(1), at, seen):
        call()
    return seen[0][0]


@contextmanager
def _answering(
    model: LanguageModel, words: Tensor, weights: Weights, at: Tensor, seen: list[Tensor] | None = None
) -> Iterator[None]:
    """Let the output embedding give the label words' logits at each row's answer position only.

    What stands before the output embedding in a head of its own sees the answer positions only, too. What
    the output embedding sees, ``[n, R, width]``, is kept in ``seen``.
    """
    head = model.model.get_output_embeddings()
    name, bias = model.head_names
    every = torch.arange(len(at), device=at.device)
    outer = model.head_module
    own = None if outer is None else outer.forward

    def sliced(hidden: Tensor, *others: Any) -> Any:
        assert own is not None
        return own(hidden[every, at][:, None], *others)

    def forward(hidden: Tensor) -> Tensor:
        answers = hidden[every, at] if outer is None else hidden[:, 0]
        wide = torch.promote_types(answers.dtype, torch.float32)
        answers = answers.to(wide).reshape(weights.members, -1, answers.shape[-1])
        if seen is not None:
            seen.append(answers)
        table = table_rows(weights, name, head.weight, words).to(wide)
        logits = torch.bmm(answers, table.mT).flatten(0, 1)
        if bias is not None:
            logits = logits + per_member(weights, bias, head.bias, logits)[..., words]
        return logits[:, None]

    added = getattr(model.model, "final_logits_bias", None)  # of BART, which adds it to its logits
    if added is not None:
        model.model.final_logits_bias = added[:, words]
    try:
        with _replaced(head, forward), _replaced(outer, sliced):
            yield
    finally:
        if added is not None:
            model.model.final_logits_bias = added


@contextmanager
def _replaced(module: nn.Module | None, forward: Callable[..., Any]) -> Iterator[None]:
    """Let a module's forward be another for a while."""
    if module is None:
        yield
        return
    before = module.__dict__.pop("forward", None)
    module.forward = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if before is not None:
            module.forward = before
