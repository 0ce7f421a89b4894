"""Cutting populations into parts for several ranks, and putting the answers together again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.core.task import Cost, Evaluation, Request, Task


@dataclass(frozen=True)
class Part:
    """Members ``first`` to ``last`` (not itself) of the population of a request, given by its number."""

    request: int
    first: int
    last: int


def shares(sizes: Mapping[int, int], ranks: int) -> list[list[Part]]:
    """Contiguous parts of populations for each rank, equally many members; a lower rank has one more.

    Args:
        sizes: members by number of the request.
        ranks: how many share them.

    >>> shares({0: 3, 2: 2}, 2)
    [[Part(request=0, first=0, last=3)], [Part(request=2, first=0, last=2)]]
    >>> shares({0: 1}, 3)
    [[Part(request=0, first=0, last=1)], [], []]
    """
    total = sum(sizes.values())
    bounds = [-(-rank * total // ranks) for rank in range(ranks + 1)]
    found: list[list[Part]] = []
    for begin, end in itertools.pairwise(bounds):
        share, at = [], 0
        for request, size in sizes.items():
            first, last = max(0, begin - at), min(size, end - at)
            if first < last:
                share.append(Part(request, first, last))
            at += size
        found.append(share)
    return found


def answered(task: Task, requests: Sequence[Request], parts: Sequence[Part]) -> dict[Part, Evaluation]:
    """The parts as ``task`` evaluates them here."""
    mine = []
    for part in parts:
        request, population = requests[part.request], requests[part.request].population
        if (part.first, part.last) != (0, len(population)):
            population = population[part.first : part.last]
        mine.append(Request(population, request.repetition, request.generation))
    return dict(zip(parts, task.evaluate(mine), strict=True)) if mine else {}


def joined(found: Mapping[Part, Evaluation], requests: int) -> list[Evaluation]:
    """Whole answers to so many requests; gradients are of requests that nobody cut.

    Raises:
        ValueError: where the losses are not one for each member.

    >>> halves = {Part(0, 2, 3): Evaluation(torch.ones(1), None, Cost(1)),
    ...           Part(0, 0, 2): Evaluation(torch.zeros(2), None, Cost(2))}
    >>> joined(halves, 1)[0].losses, joined(halves, 1)[0].cost.sequences
    (tensor([0., 0., 1.]), 3)
    """
    whole = []
    for request in range(requests):
        parts = sorted((part for part in found if part.request == request), key=lambda part: part.first)
        if any(found[part].losses.shape != (part.last - part.first,) for part in parts):
            raise ValueError("losses[n] are one for each member")
        if len(parts) == 1:
            whole.append(found[parts[0]])
        else:
            cost = sum((found[part].cost for part in parts), Cost())
            whole.append(Evaluation(torch.cat([found[part].losses for part in parts]), None, cost))
    return whole
