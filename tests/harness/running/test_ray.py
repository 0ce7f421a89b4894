"""A sweep on a cluster ends with the tables of one on this machine, whatever happens to a node."""

from __future__ import annotations

import os

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
    # The second worker, which waits for room, may be sent to the node just when it goes.
    assert [line[:32] for line in watching.lines] in ([LOST], [LOST, LOST])
    assert set(there.runs["status"]) == {"finished"}
    assert content(tmp_path / "there", cells) == content(tmp_path / "here", cells)


def test_an_address_where_nobody_answers_is_said_at_once(monkeypatch):
    from harness.running.executors.ray_executor import Ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # though a test before may have left a cluster
    with pytest.raises(UserError, match="--address localhost:1: no cluster answers"), Ray("localhost:1"):
        pass
