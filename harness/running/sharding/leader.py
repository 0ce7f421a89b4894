"""A leader's side: calls are passed on, populations cut into slices, and gaps in the answers filled."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.core.population import Population
from harness.core.task import Evaluation, Request, Task
from harness.running.sharding.links import Link, LostError
from harness.running.sharding.messages import (
    Slice,
    decoded,
    encoded,
    evaluate_message,
    evaluations_of,
    fingerprint,
)
from harness.running.sharding.slices import Part, answered, joined, shares

if TYPE_CHECKING:
    from harness.running.plan import Cell

PATIENCE = 600.0
"""Seconds that a follower may take longer than the leader, the loading of a model among them."""


@dataclass(eq=False)
class Followed:
    """A way to a follower, its number from 1, and how many bytes went there and back."""

    link: Link
    rank: int
    sent: int = 0
    received: int = 0


class Leader:
    """Passes calls on to followers, and has populations evaluated by all of them and itself.

    A follower that is lost, or whose replica has gone another way, is left out from then on, and what it owes
    is evaluated here. So nothing that happens to a follower shows in the results.

    Args:
        links: to the followers, one each.
        note: is told in one line when a follower is left out.
        patience: seconds that a follower may take longer than the leader.
    """

    def __init__(
        self, links: Sequence[Link], note: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        self.note, self.patience = note, patience
        self.followers = [Followed(link, rank) for rank, link in enumerate(links, 1)]
        self._algorithms = 0
        self._asked: weakref.WeakKeyDictionary[Population, int] = weakref.WeakKeyDictionary()

    def tell_all(self, kind: str, **content: Any) -> None:
        """Pass something on that wants no answer."""
        message = encoded(kind, **content)
        for follower in list(self.followers):
            self._send(follower, message)

    def enlist(self, cell: Cell) -> int:
        """Have every follower make the algorithm of a cell; its number from then on."""
        self._algorithms += 1
        self.tell_all("make", algorithm=self._algorithms, cell=asdict(cell))
        return self._algorithms

    def asked(self, population: Population, algorithm: int) -> None:
        """Note whose population this is."""
        self._asked[population] = algorithm

    def evaluate(self, task: Task, requests: Sequence[Request]) -> list[Evaluation]:
        """What ``task`` answers to requests: to those of enlisted algorithms by all ranks together.

        All requests together are cut into equal parts, so that many small populations are shared as well as
        a large one.
        """
        with suppress(Exception):
            return self._together(task, requests)
        # As if there were nobody else, so that a task that fails says what it says alone.
        return list(task.evaluate(requests))

    def close(self) -> None:
        """End the followers."""
        while self.followers:
            self.followers.pop().link.close()

    def _together(self, task: Task, requests: Sequence[Request]) -> list[Evaluation]:
        sizes = {i: len(each.population) for i, each in enumerate(requests) if each.population in self._asked}
        own = [Part(i, 0, len(each.population)) for i, each in enumerate(requests) if i not in sizes]
        mine, *theirs = shares(sizes, 1 + len(self.followers))
        own += mine
        waiting: list[tuple[Followed, list[Part]]] = []
        for follower, share in zip(list(self.followers), theirs, strict=True):
            if share and self._ask(follower, requests, share):
                waiting.append((follower, share))
            else:
                own += share
        begin, failure, found = time.monotonic(), None, dict[Part, Evaluation]()
        try:
            found |= answered(task, requests, own)
        except Exception as error:
            failure = error
        # Even after a failure: an answer that nobody takes would be taken for the next one.
        patience = self.patience + time.monotonic() - begin
        gaps: list[Part] = []
        for follower, share in waiting:
            answers = self._receive(follower, patience)
            if answers is None:
                gaps += share
            else:
                found |= zip(share, answers, strict=True)
        if failure is not None:
            raise failure
        return joined(found | answered(task, requests, gaps), len(requests))

    def _ask(self, follower: Followed, requests: Sequence[Request], share: Sequence[Part]) -> bool:
        slices = []
        for part in share:
            request = requests[part.request]
            number, mark = self._asked[request.population], fingerprint(request.population)
            slices.append(Slice(number, request.repetition, request.generation, part.first, part.last, mark))
        return self._send(follower, evaluate_message(slices), answered=True)

    def _send(self, follower: Followed, message: bytes, answered: bool = False) -> bool:
        try:
            follower.link.send(message, answered)
        except LostError as error:
            self._leave_out(follower, f"is lost ({error})")
            return False
        follower.sent += len(message)
        return True

    def _receive(self, follower: Followed, patience: float) -> list[Evaluation] | None:
        """A follower's evaluations; None where there are none that count."""
        try:
            message = follower.link.receive(patience)
        except LostError as error:
            self._leave_out(follower, f"is lost ({error})")
            return None
        follower.received += len(message)
        content = decoded(message)
        if content["kind"] == "answer":
            return evaluations_of(content)
        if content["kind"] == "astray":
            self._leave_out(follower, "asks for another population (its processor or libraries differ)")
        return None  # what it cannot evaluate raises here too, or was its own trouble

    def _leave_out(self, follower: Followed, why: str) -> None:
        self.followers.remove(follower)
        follower.link.close()
        self.note(f"follower {follower.rank} {why}; the sweep goes on without it")
