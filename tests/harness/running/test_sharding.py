"""One cell's population over several ranks: the tables are those of one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from harness.core import Cost, Evaluation, Gaussian, Perturbations, Points, Protocol, Space
from harness.core.space import Block
from harness.running.observer import Observer
from harness.running.plan import make_plan
from harness.running.runner import Workshop
from harness.running.sharding.follower import greeted, greeting
from harness.running.sharding.joining import beside, led
from harness.running.sharding.leader import Leader
from harness.running.sharding.links import Link, LostError, ProcessLink
from harness.running.sharding.messages import decoded, fingerprint
from harness.running.sharding.replica import Replica
from harness.running.sharding.sharded import sharded
from tests.harness.running.ranks import run, words

TUNINGS = {
    "prompt": ("prompt[tokens=2]", "prompt[tokens=2,subspace=8]"),
    "lora": ("lora[rank=1]", "lora[rank=1,subspace=8]"),
    "full": ("full", "full[subspace=8]"),
}
ALGORITHMS = ("mezo", "eggroll[population=6]", "openai-es[population=6]", "snes", "cma-es", "random")


@dataclass(eq=False)
class Direct(Link):
    """A follower in this process, which may be taken away after some messages, or while it evaluates."""

    replica: Replica
    lives: int = 10**9
    most: int = 10**9  # answers
    log: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    closed: bool = False

    def send(self, message, answered=False):
        self._live()
        self.log.append(message)
        answer = self.replica.act(message)
        assert (answer is not None) == answered
        if answer is not None:
            self.answers.append(answer)

    def receive(self, timeout):
        self._live()
        self.most -= 1
        if self.most < 0:
            raise LostError("it was taken away")
        return self.answers.pop(0)

    def close(self):
        self.closed = True

    def _live(self):
        if len(self.log) >= self.lives:
            raise LostError("it was taken away")


@pytest.mark.parametrize("tuning", TUNINGS)
def test_tables_are_those_of_an_unsharded_run(tmp_path, tuning):
    tasks = ",".join(f"sentiment/reference/{each}" for each in TUNINGS[tuning])
    sweep = words(tasks, ",".join(ALGORITHMS), 14)
    cells, protocol = make_plan(sweep).cells, sweep.measured_by()

    def fresh() -> Replica:
        return greeted(greeting(sweep))

    alone = run(tmp_path / "alone", cells, fresh().workshop, protocol)
    rows = pq.read_table(pa.BufferReader(alone["runs"])).to_pandas()
    # Some do not fit large spaces; in the small one all run.
    assert set(rows["status"][rows["dimension"] == 8]) == {"finished"}
    assert set(rows["status"]) <= {"finished", "skipped"}
    for ranks in (2, 3):
        links, said = [Direct(fresh()) for _ in range(ranks - 1)], []
        shared = sharded(fresh().workshop, Leader(links, said.append))
        assert run(tmp_path / str(ranks), cells, shared, protocol) == alone
        assert said == []
        assert all(any(b'"evaluate"' in message for message in link.log) for link in links)


@pytest.fixture
def fair(toys):
    """The toys' quadratic, with a cost that is proportional to the members; counts those it evaluates."""

    class Fair(toys.PoisonedQuadratic):
        def __init__(self):
            super().__init__()
            self.members = []

        def evaluate(self, requests):
            self.members += [len(request.population) for request in requests]
            found = super().evaluate(requests)
            return [
                Evaluation(each.losses, each.gradients, Cost(n, 10 * n, 100.0 * n))
                for each, n in zip(found, (len(r.population) for r in requests), strict=True)
            ]

    return Fair


def toy_workshop(toys, task, shift: int = 0) -> Workshop:
    """Toy cells on a task; ``shift`` changes the seeds of their algorithms."""

    def algorithm(cell, of, budget):
        return toys.KINDS[cell.algorithm](of.space, budget, cell.algorithm_seed + shift)

    return Workshop(lambda cell: task, algorithm)


def compared(
    tmp_path: Path, toys, fair: Callable, names: Sequence[str], links: Sequence[Direct]
) -> list[str]:
    """Run toys alone and with followers, assert that the tables are equal, and return what was said."""
    cells, said = [toys.cell(name) for name in names], []
    alone = run(tmp_path / "alone", cells, toy_workshop(toys, fair()), Protocol(dev_points=5))
    shared = sharded(toy_workshop(toys, fair()), Leader(links, said.append))
    assert run(tmp_path / "shared", cells, shared, Protocol(dev_points=5)) == alone
    return said


def test_whatever_an_algorithm_or_a_task_does_wrong_is_said_as_it_is_alone(tmp_path, toys, fair):
    names = ["walk", "raises", "tellraises", "bestraises", "initraises", "greedy", "misshapen", "nonsense"]
    names += [
        "smuggler",
        "twins",
        "spender",
        "vandal",
        "piecemeal",
        "poison",
        "early",
        "untouched",
        "directions",
    ]
    links = [Direct(Replica(toy_workshop(toys, fair()))) for _ in range(2)]
    assert compared(tmp_path, toys, fair, names, links) == []
    assert not any(link.closed for link in links)


def test_what_cannot_be_replicated_is_evaluated_by_the_leader_alone(tmp_path, toys, fair):
    link = Direct(Replica(toy_workshop(toys, fair())))
    assert compared(tmp_path, toys, fair, ["descent"], [link]) == []
    cell, task = toys.cell("restless"), fair()  # of which no two runs need be equal
    run(tmp_path / "own", [cell], sharded(toy_workshop(toys, task), Leader([link], print)), Protocol())
    assert set(task.members) == {4}
    assert not any(b'"make"' in message for message in link.log)


def test_a_follower_that_is_lost_is_left_out_and_nothing_else_changes(tmp_path, toys, fair):
    replicas = [Replica(toy_workshop(toys, fair())) for _ in range(2)]
    links = [Direct(replicas[0], lives=17), Direct(replicas[1], most=3)]
    said = compared(tmp_path, toys, fair, ["walk", "directions", "piecemeal"], links)
    reason = "is lost (it was taken away); the sweep goes on without it"
    assert said == [f"follower 1 {reason}", f"follower 2 {reason}"]
    assert all(link.closed for link in links)


def test_a_follower_that_computes_otherwise_is_left_out_before_its_losses_count(tmp_path, toys, fair):
    good, astray = fair(), fair()
    links = [Direct(Replica(toy_workshop(toys, good))), Direct(Replica(toy_workshop(toys, astray, shift=1)))]
    said = compared(tmp_path, toys, fair, ["walk"], links)
    assert [line[:42] for line in said] == ["follower 2 asks for another population (it"]
    assert astray.members == []
    assert set(good.members) == {1, 2}


def test_what_a_follower_cannot_evaluate_the_leader_does(tmp_path, toys, fair):
    class OutOfMemory(fair):
        def evaluate(self, requests):
            raise torch.cuda.OutOfMemoryError("on the follower's device")

    link = Direct(Replica(toy_workshop(toys, OutOfMemory())))
    assert compared(tmp_path, toys, fair, ["walk", "directions"], [link]) == []
    assert not link.closed


class StopError(Exception):
    """Ends a run in its middle, as a kill would."""


class StopAfter(Observer):
    def advanced(self, cell, evaluations):
        if evaluations >= 20:
            raise StopError


def test_a_cell_that_was_broken_off_goes_on_with_new_followers(tmp_path, toys, fair):
    cells, out = [toys.cell(name) for name in ("walk", "directions")], tmp_path / "shared"
    alone = run(tmp_path / "alone", cells, toy_workshop(toys, fair()), Protocol(dev_points=5))

    def shared(task):
        link = Direct(Replica(toy_workshop(toys, fair())))
        return sharded(toy_workshop(toys, task), Leader([link], print))

    with pytest.raises(StopError):
        run(out, cells, shared(fair()), Protocol(dev_points=5), flush_seconds=0.0, observer=StopAfter())
    later = fair()
    assert run(out, cells, shared(later), Protocol(dev_points=5)) == alone
    assert 0 < sum(later.members) < 40  # half of 2 x 40, and of these only what had not been evaluated


def test_members_are_shared_over_all_requests_of_a_round(tmp_path, toys, fair):
    task, other = fair(), fair()
    cells = [toys.cell("walk", repetition) for repetition in range(3)]
    link = Direct(Replica(toy_workshop(toys, other)))
    run(tmp_path, cells, sharded(toy_workshop(toys, task), Leader([link], print)), Protocol(dev_points=5))
    assert sum(task.members) == sum(other.members) == 3 * 40 // 2
    assert set(task.members) == {4, 2}  # one population, and half of the second


def test_replicas_are_dropped_with_their_cells(tmp_path, toys, fair):
    link = Direct(Replica(toy_workshop(toys, fair())))
    cells = [toys.cell("walk", repetition) for repetition in range(3)]
    run(tmp_path, cells, sharded(toy_workshop(toys, fair()), Leader([link], print)), Protocol(dev_points=5))
    assert sum(b'"drop"' in message for message in link.log) == 3
    assert link.replica._held == {}


def test_what_is_exchanged_in_a_generation_does_not_grow_with_the_space(tmp_path):
    sent, received = [], []
    for tuning in ("prompt[tokens=1]", "full"):
        sweep = words(f"sentiment/reference/{tuning}", "openai-es[population=8]", 40)  # 5 generations
        replicas = [greeted(greeting(sweep)) for _ in range(2)]
        link, cells = Direct(replicas[1]), make_plan(sweep).cells
        leader = Leader([link], print)
        run(tmp_path / tuning, cells, sharded(replicas[0].workshop, leader), sweep.measured_by())
        beginning = ("load", "make", "drop")
        sent.append(sum(len(each) for each in link.log if decoded(each)["kind"] not in beginning) / 5)
        received.append(leader.followers[0].received / 5)
        print(f"{tuning}: d = {cells[0].dimension}, {sent[-1]} bytes there and {received[-1]} back")
    assert cells[0].dimension > 100_000
    # 8 losses told and 4 answered, each of at most 25 characters, and frames around them.
    assert max(sent) < 8 * 25 + 500
    assert max(received) < 4 * 25 + 150


def test_a_follower_is_a_process_that_may_be_killed(tmp_path):
    sweep = words("sphere[dimension=50]", "openai-es[population=6],mezo", 30)
    cells, protocol, said = make_plan(sweep).cells, sweep.measured_by(), []
    workshop = greeted(greeting(sweep)).workshop
    alone = run(tmp_path / "alone", cells, workshop, protocol)
    two = led(workshop, sweep, beside(2), said.append)
    assert run(tmp_path / "two", cells, two, protocol) == alone
    assert said == []
    link = ProcessLink(greeting(sweep))

    class Killing(Observer):
        def advanced(self, cell, evaluations):
            if evaluations >= 12 and not said:
                os.kill(link.process.pid, signal.SIGKILL)

    killed = sharded(workshop, Leader([link], said.append))
    assert run(tmp_path / "killed", cells, killed, protocol, observer=Killing()) == alone
    assert said == ["follower 1 is lost (killed by signal 9); the sweep goes on without it"]


def test_a_follower_that_cannot_start_says_why():
    link = ProcessLink(b"no greeting")
    with pytest.raises(LostError, match=r"exit code 1: .*JSONDecodeError"):
        link.receive(60.0)
    link.close()


def test_a_follower_that_hangs_is_lost_in_time(tmp_path):
    link = ProcessLink(greeting(words("sphere", "random", 10)))
    with pytest.raises(LostError, match="no answer in time"):
        link.receive(0.01)
    link.close()
    assert link.process.returncode is not None


def test_fingerprints_tell_populations_apart():
    space = Space([Block("x", (5000,), "vector")])
    center = {"x": torch.zeros(5000)}
    members, signs = torch.arange(4), torch.ones(4, dtype=torch.int8)

    def around(center, sigma=0.1, generation=0, members=members):
        return Perturbations(center, Gaussian(space, 3, generation), sigma, members, signs)

    usual = around(center)
    others = [
        around({"x": torch.full((5000,), 1e-7)}),
        around(center, sigma=0.2),
        around(center, sigma={"x": torch.full((5000,), 0.1)}),
        around(center, generation=1),
        around(center, members=members + 1),
        Points(torch.zeros(4, 5000)),
        Points(torch.zeros(4, 5000, dtype=torch.bfloat16)),
    ]
    assert fingerprint(around({"x": torch.zeros(5000)})) == fingerprint(usual)
    assert len({fingerprint(each) for each in [usual, *others]}) == len(others) + 1
