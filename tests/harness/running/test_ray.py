"""A sweep on a cluster ends with the tables of one on this machine, whatever happens to a node."""

from __future__ import annotations

import os
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from harness.core.errors import UserError
from harness.core.task import Signature
from harness.running.executors.local import Local
from harness.running.executors.ray_files import Changed, Sender, put, stored_files
from harness.running.fragments import CellFolder
from harness.running.observer import Observer
from harness.running.plan import make_plan
from harness.running.sharding.follower import greeted, greeting
from harness.running.sharding.leader import Leader
from harness.running.sharding.sharded import sharded
from harness.running.sweeping import sweep
from tests.harness.running.ranks import content, run, words

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="the extra ray is not installed")

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
LOST = "a worker on the cluster is lost "


def committed(folder, status="running", fragments=0):
    """One more generation of a cell; how many fragments there are."""
    rows = {"curve": [], "metrics": [], "losses": [{"generation": fragments, "member": 0, "loss": 0.5}]}
    return folder.commit(status, Signature("a", ()), {"id": folder.id}, rows, fragments)


def test_what_is_new_of_a_cell_is_sent_and_a_new_beginning_replaces_all(tmp_path):
    here, there, sender = (
        CellFolder(tmp_path / "here" / "a1"),
        CellFolder(tmp_path / "there" / "a1"),
        Sender(),
    )
    assert sender.changed(here) is None
    count = committed(here, fragments=committed(here))
    first = sender.changed(here)
    assert list(first.files)[-1] == "status.json"
    assert not first.afresh
    put(there, first)
    assert sender.changed(here) is None
    committed(here, "finished", count)
    second = sender.changed(here)
    assert [name for name in second.files if "losses" in name] == ["losses-00002.parquet"]
    put(there, second)
    assert there.tables(there.state())["losses"].num_rows == 3
    here.clear()
    committed(here)
    third = sender.changed(here)
    assert third.afresh
    put(there, third)
    assert there.tables(there.state())["losses"].num_rows == 1
    assert stored_files(there) == stored_files(here)


def test_a_transfer_that_breaks_off_leaves_the_old_state(tmp_path):
    here, there, sender = (
        CellFolder(tmp_path / "here" / "a1"),
        CellFolder(tmp_path / "there" / "a1"),
        Sender(),
    )
    count = committed(here)
    put(there, sender.changed(here))
    committed(here, fragments=count)
    changed = sender.changed(here)
    for length in range(len(changed.files)):
        put(there, Changed("a1", dict(list(changed.files.items())[:length]), afresh=False))
        assert there.tables(there.state())["losses"].num_rows == 1
    put(there, changed)
    assert there.tables(there.state())["losses"].num_rows == 2


@pytest.mark.parametrize("name", ["../a", "a/b", "..", ".status.json.1", "/a"])
def test_a_file_is_never_put_outside_its_cell(tmp_path, name):
    with pytest.raises(ValueError, match="is no file of a cell"):
        put(CellFolder(tmp_path / "a1"), Changed("a1", {name: b""}, afresh=False))
    assert list(tmp_path.iterdir()) == []


class Answer:
    """What an actor answers, when it is asked for."""

    def __init__(self, act):
        self.act = act

    def remote(self, *given):
        return Answer(lambda: self.act(*given))


class Played:
    """A worker of no cluster: a list says, for each in turn, how it looks after it has begun."""

    looks, hired, ended = [], 0, 0
    version = version("gradfree")

    def __init__(self, needs, job, shards):
        look = self.looks[type(self).hired]
        type(self).hired += 1
        self.unit, self.group, self.started, self.cells = None, None, False, ()
        self.actor = SimpleNamespace(hand=self, stop=Answer(str), look=Answer(lambda: look(self.cells)))
        self.pending = Answer(lambda: self.version if look is not never_begun else look(()))

    def remote(self, cells, files):
        self.cells = cells

    def end(self):
        type(self).ended += 1


def never_begun(cells):
    raise ray.exceptions.ActorUnschedulableError("its node is gone")


def lost(cells):
    raise ray.exceptions.ActorDiedError


def lost_with_something_stored():
    looks = iter([lambda cells: ([], [Changed(cells[0].id, {"traceback.txt": b""}, afresh=False)], {}), lost])
    return lambda cells: next(looks)(cells)


def refused(cells):
    return [{"refused": "enough"}], [], {}


@pytest.fixture
def played(tmp_path, monkeypatch):
    """Sweeps with played workers that look in given ways, one after another; what came of it, and notes."""
    from harness.running.executors import ray_executor

    for name, act in {
        "is_initialized": lambda: True,
        "cluster_resources": lambda: {"CPU": 1.0},
        "wait": lambda pending, **_: (pending[:1], pending[1:]),
        "get": lambda answer: answer.act(),
    }.items():
        monkeypatch.setattr(ray, name, act)

    def swept(*looks, version=Played.version):
        kind = type("Kind", (Played,), {"looks": looks, "version": version})
        monkeypatch.setattr(ray_executor, "_Worker", kind)
        notes = Notes()
        with pytest.raises(UserError) as caught:
            sweep(
                words("sphere[dimension=2]", "random", 20),
                out=tmp_path / "out",
                executor=ray_executor.Ray(),
                progress=notes,
            )
        assert kind.ended == kind.hired
        return str(caught.value), notes.lines, kind.hired

    return swept


class Notes(Observer):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.mark.parametrize("how", [never_begun, lost])
def test_six_workers_lost_in_a_row_end_the_sweep_with_one_line(played, tmp_path, how):
    said, notes, hired = played(*[how] * 9)
    assert said.startswith("6 workers were lost one after another, and nothing was stored in between (Actor")
    assert said.endswith("look at the cluster, and start the same sweep again: what is stored stays")
    assert "\n" not in said
    assert [line.partition(" (")[0] for line in notes] == ["a worker on the cluster is lost"] * 5
    assert hired == 6
    # Nothing is held for the dead, and the same sweep goes on.
    assert set(sweep(words("sphere[dimension=2]", "random", 20), out=tmp_path / "out").runs["status"]) == {
        "finished"
    }


def test_workers_that_store_something_before_they_are_lost_are_replaced_for_ever(played):
    said, notes, hired = played(*[lost_with_something_stored() for _ in range(8)], refused)
    assert (said, len(notes), hired) == ("enough", 8, 9)


def test_a_node_with_another_version_is_refused_in_one_line(played):
    said, notes, hired = played(lost, version="0.0.7")
    assert said == (
        f"a node of the cluster has gradfree 0.0.7, and this is {version('gradfree')}; "
        f"install the same version everywhere"
    )
    assert (notes, hired) == ([], 1)


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine: a head that computes nothing, and a node of one CPU, which comes second."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    node = made.add_node(**NODE)
    ray.init(made.address, logging_level="ERROR", log_to_driver=False)
    yield made, node
    ray.shutdown()
    made.shutdown()


def test_a_population_is_shared_with_an_actor_and_losses_alone_are_exchanged(tmp_path, cluster):
    from harness.running.sharding.ray_links import Follower, RayLink

    words_ = words("sphere[dimension=2000]", "openai-es[population=8],snes", 40)
    cells, protocol, said = make_plan(words_).cells, words_.measured_by(), []
    workshop = greeted(greeting(words_)).workshop
    alone = run(tmp_path / "alone", cells, workshop, protocol)
    actor = ray.remote(Follower).options(num_cpus=1).remote()
    leader = Leader([RayLink(actor, greeting(words_))], said.append)
    assert run(tmp_path / "shared", cells, sharded(workshop, leader), protocol) == alone
    assert said == []
    (follower,) = leader.followers
    # Two cells of 40 evaluations: 80 losses there and 40 back, of at most 25 characters, and frames.
    assert 0 < follower.received < 40 * 25 + 2000 < 2000 * 4
    leader.close()


class Replacing(Observer):
    """Takes away the one node that computes when a first cell has advanced, and gives another."""

    def __init__(self, cluster, node):
        self.cluster, self.node, self.lines = cluster, node, []

    def advanced(self, cell, evaluations):
        if self.node is not None:
            node, self.node = self.node, None
            self.cluster.remove_node(node, allow_graceful=False)
            self.cluster.add_node(**NODE)

    def note(self, line):
        self.lines.append(line)


def test_a_node_that_is_removed_in_the_middle_leaves_the_same_tables(tmp_path, cluster):
    from harness.running.executors.ray_executor import Ray

    words_ = words("sentiment/reference/prompt[tokens=2]", "mezo,random,openai-es[population=6]", 90, 2)
    cells = make_plan(words_).cells
    sweep(words_, out=tmp_path / "here", executor=Local())
    watching = Replacing(*cluster)
    there = sweep(
        words_, out=tmp_path / "there", executor=Ray(workers=2), progress=watching, flush_seconds=0.2
    )
    assert watching.node is None
    # The second worker, which waits for room and may say so, may be sent to the node just when it goes.
    lines = [line for line in watching.lines if not line.startswith("the cluster has no room yet for ")]
    assert [line[:32] for line in lines] in ([LOST], [LOST, LOST])
    assert set(there.runs["status"]) == {"finished"}
    assert content(tmp_path / "there", cells) == content(tmp_path / "here", cells)


def test_an_address_where_nobody_answers_is_said_at_once(monkeypatch):
    from harness.running.executors.ray_executor import Ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # though a test before may have left a cluster
    with pytest.raises(UserError, match="--address localhost:1: no cluster answers"), Ray("localhost:1"):
        pass
