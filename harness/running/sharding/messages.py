"""What a leader and its followers say to one another: JSON, in which losses keep every bit."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from harness.core.population import Points, Population
from harness.core.task import Cost, Evaluation

SAMPLED = 4096
"""Numbers of a tensor, evenly spread, that a fingerprint looks at."""


@dataclass(frozen=True)
class Slice:
    """Members of a population that a follower is to evaluate.

    Args:
        algorithm: number of the replica whose last population it is.
        repetition: of the data split.
        generation: whose minibatch the members are evaluated on.
        first: of the members, counted from 0.
        last: the one behind the last of them.
        fingerprint: of the leader's population.
    """

    algorithm: int
    repetition: int
    generation: int
    first: int
    last: int
    fingerprint: int


def encoded(kind: str, **content: Any) -> bytes:
    """A message as bytes.

    >>> encoded("ask", algorithm=0, remaining=8)
    b'{"kind": "ask", "algorithm": 0, "remaining": 8}'
    """
    return json.dumps({"kind": kind, **content}).encode()


def decoded(message: bytes) -> dict[str, Any]:
    """What ``encoded`` was given, ``kind`` among it.

    >>> decoded(encoded("tell", losses=[0.1, float("nan")]))["losses"]
    [0.1, nan]
    """
    content: dict[str, Any] = json.loads(message)
    return content


def evaluate_message(slices: Sequence[Slice]) -> bytes:
    """The wish that slices be evaluated.

    >>> message = decoded(evaluate_message([Slice(0, 1, 2, 8, 16, 77)]))
    >>> Slice(**message["slices"][0]).last
    16
    """
    return encoded("evaluate", slices=[asdict(each) for each in slices])


def answer_message(evaluations: Sequence[Evaluation]) -> bytes:
    """Losses and costs of the slices that were asked for."""
    return encoded(
        "answer",
        losses=[each.losses.tolist() for each in evaluations],
        costs=[asdict(e.cost) for e in evaluations],
    )


def evaluations_of(message: dict[str, Any]) -> list[Evaluation]:
    """What ``answer_message`` was given.

    >>> answer = Evaluation(torch.tensor([0.1, 1e-300], dtype=torch.float64), None, Cost(2, 40, 8.5))
    >>> [back] = evaluations_of(decoded(answer_message([answer])))
    >>> bool((back.losses == answer.losses).all()), back.cost
    (True, Cost(sequences=2, tokens=40, flops=8.5))
    """
    return [
        Evaluation(torch.tensor(losses, dtype=torch.float64), None, Cost(**cost))
        for losses, cost in zip(message["losses"], message["costs"], strict=True)
    ]


def fingerprint(population: Population) -> int:
    """32 bits that tell apart populations that are not equal bit for bit.

    Of large tensors it looks at a sample: a search that has gone another way has done so nearly everywhere.

    >>> values = torch.zeros(2, 3)
    >>> fingerprint(Points(values)) == fingerprint(Points(values + 1e-30))
    False
    """
    total = zlib.crc32(f"{type(population).__name__} {len(population)}".encode())
    for part in _parts(population):
        total = zlib.crc32(_bytes(part) if isinstance(part, Tensor) else repr(part).encode(), total)
    return total


def _parts(population: Population) -> Iterator[Any]:
    if isinstance(population, Points):
        yield population.values
        return
    noise, sigma = population.noise, population.sigma
    yield (type(noise).__name__, noise.seed, noise.generation)
    yield population.members
    yield population.signs
    yield from [sigma] if isinstance(sigma, (int, float)) else (sigma[name] for name in sorted(sigma))
    yield from (population.center[name] for name in sorted(population.center))


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().reshape(-1)
    # A stride, not an index: it copies nothing that is not looked at.
    sample = flat[:: -(-len(flat) // SAMPLED)] if len(flat) > SAMPLED else flat
    return bytes(sample.contiguous().view(torch.uint8).cpu().numpy().data)
