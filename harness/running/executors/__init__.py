"""Where the cells of a plan are run: in this process, in others of this machine, or on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import UserError

if TYPE_CHECKING:
    from harness.running.executors.base import Executor

EXECUTORS = ("local", "ray", "inline")
"""By name: in processes of this machine, on a cluster, or in the process that asks."""


def executor_of(
    name: str,
    workers: int = 1,
    *,
    memory: float | None = None,
    threads: int | None = None,
    shards: int = 1,
    address: str | None = None,
) -> Executor:
    """The executor of that name.

    Args:
        name: of ``EXECUTORS``.
        workers: processes that run cells.
        memory: GiB that each of them may hold; None for its share of the machine's.
        threads: with which each computes; None for its share of the machine's, and for 1 on a cluster.
        shards: devices on which each evaluates a population.
        address: of a cluster; None for the one that is here.

    Raises:
        UserError: for another name, options that it does not have, or a package that is missing.

    >>> executor_of("inline").planning
    False
    """
    if name not in EXECUTORS:
        raise UserError(f"--executor: {name!r} is none of {', '.join(EXECUTORS)}")
    if address is not None and name != "ray":
        raise UserError(f"--address: {name} uses no cluster; give --executor ray, or leave it out")
    limit = None if memory is None else int(memory * 2**30)
    if name == "inline":
        from harness.running.executors.inline import Inline

        if (workers, memory, threads, shards) != (1, None, None, 1):
            raise UserError(
                "--executor: inline is this process alone; leave out --workers, --memory, --threads and "
                "--shards, or take local"
            )
        return Inline()
    if name == "local":
        from harness.running.executors.local import Local, Workers
        from harness.running.sharding.joining import beside

        return Local(Workers(workers, limit, tuple(beside(shards, workers)), threads))
    try:
        from harness.running.executors.ray_executor import Ray
    except ImportError as error:
        raise UserError(
            f"--executor: ray cannot be imported ({error}); pip install 'gradfree[ray]'"
        ) from error
    return Ray(address, workers, threads or 1, limit, shards)
