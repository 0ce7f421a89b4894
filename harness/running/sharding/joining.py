"""How a process that runs cells gets its followers: from a description that fits into a line of JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.running.runner import Workshop
from harness.running.sharding.follower import greeting
from harness.running.sharding.leader import Leader
from harness.running.sharding.links import Link, LostError, ProcessLink
from harness.running.sharding.sharded import sharded
from harness.running.sweep_file import Sweep


def led(
    workshop: Workshop, sweep: Sweep, followers: Sequence[dict[str, Any]], note: Callable[[str], None]
) -> Workshop:
    """The workshop whose populations are shared with followers, and none other where there are none.

    Args:
        workshop: of this process.
        sweep: that it is of.
        followers: of ``beside``, or each ``{"actor": name, "namespace": ..., "address": ...}`` for a
            ``Follower`` on a cluster of Ray.
        note: is told in one line when a follower is left out.

    >>> led(None, None, [], print) is None
    True
    """
    if not followers:
        return workshop
    hello, links = greeting(sweep), []
    for each in followers:
        try:
            links.append(_link(each, hello))
        except LostError as error:
            note(f"a follower cannot be reached ({error}); the sweep goes on without it")
    return sharded(workshop, Leader(links, note)) if links else workshop


def beside(shards: int, workers: int = 1) -> list[dict[str, Any]]:
    """Followers in processes of this machine for each of its workers, one less than shards.

    Where the machine has several GPUs, worker n (from 0) has the n-th, and the followers share out the rest.

    Args:
        shards: devices on which each worker evaluates a population.
        workers: how many there are.

    >>> len(beside(3))
    2
    """
    return [
        {"process": place, "shards": shards, "workers": workers, "gpus": gpus()} for place in range(1, shards)
    ]


def gpus() -> list[str]:
    """Names of the GPUs that this process may use, without waking any."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is not None:
        return [device for device in seen.split(",") if device]
    return [str(device) for device in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def device_of(follower: dict[str, Any], seen: str | None) -> dict[str, str]:
    """The variables that give a follower its GPU.

    Args:
        follower: one of ``beside``.
        seen: ``CUDA_VISIBLE_DEVICES`` of its leader, which is one of the machine's GPUs.

    >>> many = {"process": 1, "shards": 2, "workers": 2, "gpus": ["0", "1", "2", "3"]}
    >>> device_of(many, "0"), device_of(many, "1"), device_of({**many, "gpus": ["0"]}, None)
    ({'CUDA_VISIBLE_DEVICES': '2'}, {'CUDA_VISIBLE_DEVICES': '3'}, {})
    """
    known = follower["gpus"]
    if len(known) < 2:
        return {}
    worker = known.index(seen) if seen in known else 0
    number = follower["workers"] + worker * (follower["shards"] - 1) + follower["process"] - 1
    return {"CUDA_VISIBLE_DEVICES": known[number % len(known)]}


def _link(follower: dict[str, Any], hello: bytes) -> Link:
    if "actor" in follower:
        from harness.running.sharding.ray_links import RayLink  # late: ray is an extra

        return RayLink.to(follower["actor"], follower["namespace"], follower["address"], hello)
    return ProcessLink(hello, device_of(follower, os.environ.get("CUDA_VISIBLE_DEVICES")))
