"""Followers as actors on a cluster of Ray."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import Any

import ray

from harness.running.sharding.follower import greeted
from harness.running.sharding.links import Link, LostError
from harness.running.sharding.replica import Replica


class Follower:
    """What is made an actor: it acts on messages in the order in which they were sent.

    Each leader greets it first, and has a replica of its own from then on.

    Args:
        threads: for computing.
    """

    def __init__(self, threads: int = 1) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._replica: Replica | None = None

    def greet(self, message: bytes) -> None:
        """Begin anew, with the sweep that a leader tells of."""
        self._replica = greeted(message)

    def act(self, message: bytes) -> bytes | None:
        """The answer to a message; None for those that want none."""
        assert self._replica is not None
        return self._replica.act(message)


class RayLink(Link):
    """A way to a ``Follower`` on a cluster.

    Args:
        actor: its handle.
        greeting: its first message (``harness.running.sharding.follower.greeting``).
    """

    def __init__(self, actor: Any, greeting: bytes) -> None:
        self._actor = actor
        self._pending: deque[Any] = deque()
        actor.greet.remote(greeting)

    @classmethod
    def to(cls, name: str, namespace: str, address: str, greeting: bytes) -> RayLink:
        """The way to an actor of that name; the process that asks is made part of the cluster.

        Raises:
            LostError: where there is none.
        """
        try:
            if not ray.is_initialized():
                ray.init(address, namespace=namespace, logging_level=logging.ERROR, log_to_driver=False)
            return cls(ray.get_actor(name, namespace), greeting)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise LostError(type(error).__name__) from error

    def send(self, message: bytes, answered: bool = False) -> None:
        reference = self._actor.act.remote(message)
        if answered:
            self._pending.append(reference)

    def receive(self, timeout: float) -> bytes:
        try:
            answer: bytes | None = ray.get(self._pending.popleft(), timeout=timeout)
        except ray.exceptions.GetTimeoutError as error:
            raise LostError("it gave no answer in time") from error
        except ray.exceptions.RayError as error:
            raise LostError(type(error).__name__) from error
        if answer is None:
            raise LostError("it gave no answer")
        return answer

    def close(self) -> None:
        ray.kill(self._actor)
