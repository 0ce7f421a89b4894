"""What evaluating and scoring are going to cost, from shapes, counts of rows and the length of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.core import Cost, Estimate, Protocol, Split

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel
    from tasks.tuning.base import Tuning

TOKENS_PER_WORD = 1.3
"""Of English under a subword tokenizer, where none is at hand to count."""
SAMPLE = 256
"""Texts whose tokens are counted for a mean."""
_SMALLEST_CHUNK = 2  # members: no forward has fewer
_BYTES = {"8bit": 1.0, "4bit": 0.5}  # of a quantised weight


def rows_of_splits(protocol: Protocol, classes: int, per_class: int | None = None) -> dict[Split, int]:
    """At most so many rows are trained on, chosen on and reported on.

    Args:
        protocol: of the sweep.
        classes: of the data set; 1 for answers that are no classes.
        per_class: of the data set itself, where it says.

    >>> rows_of_splits(Protocol(per_class=16, test_rows=100), classes=2)
    {'train': 32, 'dev': 32, 'test': 100}
    """
    drawn = (per_class or protocol.per_class) * classes
    return {
        "train": protocol.train_rows or drawn,
        "dev": protocol.dev_rows or drawn,
        "test": protocol.test_rows,
    }


def mean_tokens(texts: Sequence[str], tokenizer: Any | None) -> float:
    """Tokens of a text on average, counted over a few or, without a tokenizer, taken from its words.

    >>> round(mean_tokens(["one two", "one two three four"], None), 3)
    3.9
    """
    texts = texts[:SAMPLE]
    if tokenizer is None:
        return TOKENS_PER_WORD * sum(len(text.split()) for text in texts) / len(texts)
    return sum(map(len, tokenizer(list(texts)).input_ids)) / len(texts)


def estimated(
    model: LanguageModel,
    tuning: Tuning,
    rows: Mapping[Split, int],
    minibatch: int,
    tokens: float,
    generated: float = 0.0,
) -> Estimate:
    """The estimate of a task on a language model.

    Args:
        model: of which only shapes are looked at.
        tuning: what a candidate is.
        rows: of each split.
        minibatch: rows on which a candidate is evaluated.
        tokens: of a row, without the tuning's own.
        generated: tokens of an answer that the model writes.
    """
    length = tokens + tuning.prefix_tokens + generated
    per_row = length * model.flops_per_token(round(length))

    def cost(count: int) -> Cost:
        return Cost(count, round(count * length), count * per_row)

    numbers = sum(weight.numel() for weight in model.skeleton.parameters())
    width = _BYTES.get(getattr(model, "quantised", None) or "", float(model.dtype.itemsize))
    batch = min(minibatch, rows["train"])
    return Estimate(
        evaluation=cost(batch),
        scores={split: cost(count) for split, count in rows.items()},
        weights=round(numbers * width),
        activations=round(_SMALLEST_CHUNK * batch * length * model.bytes_per_token),
        point=tuning.dimension(model) * (4 if tuning.packs else model.dtype.itemsize),
    )
