"""The same rows under several templates, for objectives that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.core import UserError
from tasks.datasets import TextData
from tasks.encoding import Encoded
from tasks.objectives import Objective


def variants(data: TextData) -> list[TextData]:
    """The data under their template and under each of its alternatives.

    Raises:
        UserError: where there is no alternative.

    >>> from tasks.datasets import Row
    >>> rows = {"train": [Row({"text": "fine"}, 1)]}
    >>> data = TextData("toy", rows, "{text} it was", ("bad", "good"), alternatives=("{text} so it is",))
    >>> [each.template for each in variants(data)]
    ['{text} it was', '{text} so it is']
    """
    if not data.alternatives:
        raise UserError(
            f"{data.name}: has no alternative templates, between which an objective could seek agreement; "
            "give some (datasets.NAME.alternatives), or choose information or entropy"
        )
    return [data, *(replace(data, template=each, alternatives=()) for each in data.alternatives)]


def under_one_another(parts: Sequence[Encoded]) -> Encoded:
    """Rows of one template after those of another, padded to one length.

    >>> short = Encoded(torch.ones(1, 8, dtype=torch.long), torch.tensor([3]), torch.tensor([0]))
    >>> long = Encoded(torch.ones(1, 16, dtype=torch.long), torch.tensor([9]), torch.tensor([0]))
    >>> under_one_another([short, long]).ids.shape
    torch.Size([2, 16])
    """
    length = max(part.ids.shape[1] for part in parts)
    return replace(
        parts[0],
        ids=torch.cat([pad(part.ids, (0, length - part.ids.shape[1])) for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
    )


def losses(objective: Objective, logits: Tensor, rows: Encoded, templates: int) -> Tensor:
    """An objective's losses ``[n]`` of logits ``[n, T * R, C]``; an unlabelled one gets to see no label."""
    labels = torch.full_like(rows.labels, -1) if objective.unlabelled else rows.labels
    if objective.templates:
        logits = logits.unflatten(1, (templates, -1))
        labels = labels[: len(labels) // templates]
    return objective(logits, labels.expand(len(logits), -1))
