"""Workers on a cluster: cells go out, and their files come back as they are stored.

This module imports ray, which is an extra: it is imported by whoever has asked for it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any

import ray
import ray.util
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from harness.core.errors import UserError
from harness.running.executors.base import Executor, Session
from harness.running.executors.inline import run_all, stored
from harness.running.executors.local import KNOWN
from harness.running.executors.ray_files import Changed, put, stored_files
from harness.running.executors.ray_site import Site
from harness.running.executors.suspects import Unit, Work, group
from harness.running.runner import triage
from harness.running.sharding.ray_links import Follower

if TYPE_CHECKING:
    from harness.running.plan import Cell

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

DEATHS = 5
"""So many workers may be lost one after another with nothing stored in between."""
PATIENCE_SECONDS = 30.0
"""After so long the user is told that the cluster has no room."""
KNOCK_SECONDS = 10.0
"""A cluster has so long to answer at its address."""
STOP_SECONDS = 5.0
"""Workers have so long to clean up behind themselves."""


class _Worker:
    """A worker as the driver sees it: its actors, what it was handed, and the answer that is waited for.

    Args:
        needs: resources of each of its actors.
        job: what a ``Site`` is made with.
        shards: devices that share a population: the site's, and those of followers.
    """

    def __init__(self, needs: dict[str, Any], job: tuple[Any, ...], shards: int) -> None:
        self.unit: Unit | None = None
        self.group: str | None = None
        self.started = False
        self._room = self._reserved(needs, shards) if shards > 1 else None
        names = [f"gradfree-{uuid.uuid4().hex}" for _ in range(shards - 1)]
        self.followers = [
            self._placed(Follower, needs, place, name=name).remote() for place, name in enumerate(names, 1)
        ]
        context = ray.get_runtime_context()
        where = {"namespace": context.namespace, "address": context.gcs_address}
        self.actor = self._placed(Site, needs, 0).remote(*job, [{"actor": name, **where} for name in names])
        self.pending: Any = self.actor.ready.remote()

    def end(self) -> None:
        """Give back what it has of the cluster."""
        for actor in (self.actor, *self.followers):
            ray.kill(actor)
        if self._room is not None:
            ray.util.remove_placement_group(self._room)

    def _reserved(self, needs: dict[str, Any], shards: int) -> Any:
        """Room for all of them at once: two workers that have half of it each would wait for ever."""
        bundle = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]}
        return ray.util.placement_group([{k: n for k, n in bundle.items() if n}] * shards, strategy="PACK")

    def _placed(self, kind: type, needs: dict[str, Any], place: int, **more: Any) -> Any:
        if self._room is not None:
            more["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                self._room, placement_group_bundle_index=place
            )
        return ray.remote(kind).options(**needs, max_restarts=0, **more)


class Ray(Executor):
    """Runs the cells of a sweep on a cluster of Ray; a context that connects to it.

    The folder of the results stays here, and no other folder is shared: what a worker stores is sent as it is
    stored, and when a node is lost its cells go on elsewhere from what has arrived. What happens within a
    worker is as with ``Local``: an algorithm that kills its process is the one marked.

    Args:
        address: of the cluster, as ``ray.init`` takes it; None to use ``RAY_ADDRESS``, or the one here.
        workers: how many run cells at the same time, each with one GPU where a GPU is used.
        threads: with which each of them computes; as many CPUs are asked for.
        memory: bytes that each may hold; by default nine tenths of its machine's.
        shards: devices on which each evaluates a population (``harness.running.sharding``): it needs so many
            times as much.

    Raises:
        UserError: where there is no cluster.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int = 1,
        threads: int = 1,
        memory: int | None = None,
        shards: int = 1,
    ) -> None:
        self.address, self.count, self.threads = address, workers, threads
        self.memory, self.shards = memory, shards
        self._workers: list[_Worker] = []
        self._connected = False
        self._deaths = 0

    def __enter__(self) -> Ray:
        if not ray.is_initialized():
            try:
                self._knock()
                ray.init(self.address or "auto", logging_level=logging.ERROR, log_to_driver=False)
            except (OSError, ValueError, RuntimeError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(
                    f"--address {self.address or 'auto'}: no cluster answers there ({reason}); "
                    f"start one with ray start --head"
                ) from error
            self._connected = True
        return self

    def _knock(self) -> None:
        """Raise OSError where nobody answers; Ray itself would try for ten minutes."""
        host, _, port = (self.address or "").rpartition(":")
        if port.isdigit() and "//" not in host:
            socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends = [worker.actor.stop.remote() for worker in self._workers if worker.started]
        if ends:
            ray.wait(ends, num_returns=len(ends), timeout=STOP_SECONDS)
        while self._workers:
            self._workers.pop().end()
        if self._connected:
            ray.shutdown()

    def begin(self, session: Session) -> None:
        """The plan is made: say what a worker needs."""
        super().begin(session)
        device = session.builder.device.partition(":")[0]  # whichever Ray gives it
        self._sessions: dict[_Worker, dict[str, Any]] = {}
        self._known: set[str] = set()
        gpus = int(device == "cuda")
        if not gpus and ray.cluster_resources().get("GPU"):
            session.observer.note(
                "the cluster has GPUs, and this sweep uses the CPU; --device cuda uses them"
            )
        self._needs = {"num_cpus": self.threads, "num_gpus": gpus}
        words = session.sweep.override(device=device).to_dict()
        self._job = (words, self.threads, session.flush_seconds, self.memory)

    def run(self, cells: Sequence[Cell], retry: bool = False) -> None:
        """Run what is not done, and wait for others; see ``Executor.run``."""
        session = self.session
        wanted = [cell for cell in cells if cell.skip is None]
        with session.breakdown.phase("recording"):
            done = triage(wanted, session.store, session.observer, retry)
        session.observer.begin(wanted, [cell for cell in wanted if cell.id in done])
        todo = [cell for cell in wanted if cell.id not in done]
        self._tasks: dict[str, list[Cell]] = {}
        self._done: dict[str, list[Cell]] = {}
        for cell in wanted:
            (self._done if cell.id in done else self._tasks).setdefault(cell.task, []).append(cell)
        try:
            run_all(todo, session.store, session.observer, self._run)
        finally:
            session.observer.end()

    def end(self) -> None:
        """Put down where the workers' time went."""
        for session in self._sessions.values():
            self.session.breakdown.absorb(session)

    def _run(self, cells: Sequence[Cell]) -> None:
        work, heard, said = Work(cells, self.count), time.monotonic(), False
        with self.session.breakdown.paused():
            while True:
                self._hire(work)
                for worker in self._workers:
                    while worker.started and worker.unit is None and work:
                        self._hand(worker, work)
                if not work and not any(worker.unit for worker in self._workers):
                    return
                pending = {worker.pending: worker for worker in self._workers if worker.pending is not None}
                done, _ = ray.wait(list(pending), timeout=1.0)
                for answer in done:
                    self._hear(pending[answer], work)
                if done or any(worker.started for worker in self._workers):
                    heard, said = time.monotonic(), False
                elif not said and time.monotonic() - heard > PATIENCE_SECONDS:
                    said = True
                    cpus, gpus = (self.shards * need for need in self._needs.values())
                    self.session.observer.note(
                        f"the cluster has no room yet for a worker of {cpus} CPUs and {gpus} GPUs; waiting"
                    )

    def _hire(self, work: Work) -> None:
        """As many workers as there are to be, while anything waits for one."""
        while work and len(self._workers) < self.count:
            self._workers.append(_Worker(self._needs, self._job, self.shards))

    def _hand(self, worker: _Worker, work: Work) -> None:
        session = self.session
        busy = {each.group for each in self._workers if each.unit and each.group}
        unit = work.next(worker.group, busy)
        assert unit is not None
        mine = tuple(cell for cell in unit.cells if session.store.open(cell.id) is not None)
        if not mine:
            return
        for task in dict.fromkeys(cell.task for cell in mine):
            if begun := self._tasks.pop(task, None):
                session.observer.task_begins(task, begun)
        worker.unit, worker.group = Unit(mine, unit.alone), group(mine[0])
        # By some that are done the worker sees whether data and model are still the same.
        known = [cell for task in {cell.task for cell in mine} for cell in self._done.get(task, [])[:KNOWN]]
        files = {cell.id: stored_files(session.store.cell(cell.id)) for cell in (*mine, *known)}
        worker.actor.hand.remote((*mine, *known), files)
        worker.pending = worker.actor.look.remote()

    def _hear(self, worker: _Worker, work: Work) -> None:
        """Take in what a worker answers, or that it never will."""
        pending, worker.pending = worker.pending, None
        try:
            answer = ray.get(pending)
        except ray.exceptions.RayTaskError as error:
            raise RuntimeError(f"a worker on the cluster failed: {error}") from error
        except ray.exceptions.RayError as error:
            self._lost(worker, work, error)
            return
        if not worker.started:
            worker.started = True
            if answer != version("gradfree"):
                raise UserError(
                    f"a node of the cluster has gradfree {answer}, and this is {version('gradfree')}; "
                    f"install the same version everywhere"
                )
            return
        events, changed, machines = answer
        self._take(changed, machines)
        for event in events:
            self._note(worker, event)
        if worker.unit is not None:
            worker.pending = worker.actor.look.remote()

    def _take(self, changed: Sequence[Changed], machines: dict[str, Any]) -> None:
        store = self.session.store
        for key, machine in machines.items():
            if key not in self._known:
                store.add_environment(key, machine)
                self._known.add(key)
        for each in changed:
            if store.claims.holds(each.cell):
                put(store.cell(each.cell), each)
                self._deaths = 0

    def _note(self, worker: _Worker, event: dict[str, Any]) -> None:
        cells = {cell.id: cell for cell in (worker.unit.cells if worker.unit else ())}
        if "advanced" in event:
            self.session.observer.advanced(cells[event["advanced"]], event["evaluations"])
        elif "ended" in event:
            self._ended(cells[event["ended"]], event["status"], event["reason"])
        elif "note" in event:
            self.session.observer.note(event["note"])
        elif "refused" in event:
            raise UserError(event["refused"])
        elif "broken" in event:
            raise RuntimeError(f"a worker on the cluster failed:\n{event['broken']}")
        elif "done" in event:
            self._sessions[worker] = event["done"]
            worker.unit = None

    def _ended(self, cell: Cell, status: str, reason: str | None) -> None:
        self.session.store.claims.release(cell.id)
        self.session.breakdown.cells += 1
        self.session.observer.ended(cell, status, reason)

    def _lost(self, worker: _Worker, work: Work, error: Exception) -> None:
        """A worker is gone, with its node or alone: what it has left goes to others."""
        self._workers.remove(worker)
        worker.end()  # should it only be out of reach
        self._deaths += 1
        left: list[Cell] = []
        for cell in worker.unit.cells if worker.unit else ():
            state = stored(cell, self.session.store)
            if state is None or not state.done:
                left.append(cell)
            elif self.session.store.claims.holds(cell.id):
                self._ended(cell, state.status, state.row.get("reason"))
        work.back(left)
        if self._deaths > DEATHS:
            raise UserError(
                f"{self._deaths} workers were lost one after another, and nothing was stored in between "
                f"({type(error).__name__}); look at the cluster, and start the same sweep again: what is "
                f"stored stays"
            )
        self.session.observer.note(
            f"a worker on the cluster is lost ({type(error).__name__}); {len(left)} cells go on elsewhere"
        )
