"""Sweep files: read, defaulted, overridden, and refused with file, key and remedy in one line."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.core import Protocol, UserError
from harness.running.sweep_file import Sweep, suites
from harness.running.sweep_keys import ProtocolKeys

LEAST = "tasks: [sphere]\nalgorithms: [random]\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes sweep.yaml in the current folder, a temporary one, and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "sweep.yaml").write_text(text)
        return "sweep.yaml"

    return write


def test_what_a_sweep_file_leaves_out_has_defaults(written, tmp_path):
    sweep = Sweep.load(written(LEAST))
    assert (sweep.repetitions, sweep.budget, sweep.objective) == (3, 200, "cross-entropy")
    assert (sweep.device, sweep.dtype, sweep.out) == ("auto", "float32", None)
    assert sweep.folder == tmp_path


def test_the_protocols_defaults_are_those_of_the_vocabulary():
    assert ProtocolKeys().model_dump() == dataclasses.asdict(Protocol())


def test_the_protocol_is_handed_on_in_the_vocabularys_class(written):
    sweep = Sweep.load(written(LEAST + "protocol: {per_class: 4, timeout: 1.5}\n"))
    assert sweep.measured_by() == Protocol(per_class=4, timeout=1.5)


def test_lists_may_be_written_as_text(written):
    sweep = Sweep.load(written('tasks: sphere\nalgorithms: "random, openai-es[sigma=1,population=4]"\n'))
    assert sweep.tasks == ("sphere",)
    assert sweep.algorithms == ("random", "openai-es[sigma=1,population=4]")


def test_words_are_taken_as_they_are_written(written):
    sweep = Sweep.load(
        written(LEAST + "datasets: {q: {train: a.csv, test: b.csv, dev: null, words: {0: no, 1: yes}}}\n")
    )
    assert sweep.datasets["q"].words == {"0": "no", "1": "yes"}
    assert sweep.datasets["q"].dev is None


def test_definitions_hold_what_was_given_and_the_folder(written, tmp_path):
    sweep = Sweep.load(
        written(
            LEAST
            + "datasets: {news: {train: a.csv, test: b.csv, columns: [label, text], max_tokens: 64}}\n"
            + "models: {stories: {path: models/tiny, dtype: float16}}\n"
        )
    )
    assert sweep.definitions.datasets == {
        "news": {"train": "a.csv", "test": "b.csv", "columns": ("label", "text"), "max_tokens": 64}
    }
    assert sweep.definitions.models == {"stories": {"path": "models/tiny", "dtype": "float16"}}
    assert sweep.definitions.folder == tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEAST + "budget: -5", "sweep.yaml: budget: must be at least 1, got '-5'"),
        (LEAST + "budget: many", "sweep.yaml: budget: must be a whole number, got 'many'"),
        (LEAST + "budjet: 5", "sweep.yaml: budjet: unknown key: did you mean 'budget'?"),
        (
            LEAST + "protocol: {per_clas: 5}",
            "sweep.yaml: protocol.per_clas: unknown key: did you mean 'per_class'?",
        ),
        (LEAST + "protocol: {timeout: 0}", "sweep.yaml: protocol.timeout: must be greater than 0, got '0'"),
        (LEAST + "protocol: 3", "sweep.yaml: protocol: must be a mapping of keys to values, got '3'"),
        (LEAST + "device: gpu", "sweep.yaml: device: must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (LEAST + "device: mps", "sweep.yaml: device: must be auto, cpu, cuda or cuda:N, got 'mps'"),
        (
            LEAST + "dtype: float16",
            "sweep.yaml: dtype: must be 'float32', 'float64' or 'bfloat16', got 'float16'",
        ),
        ("algorithms: [random]", "sweep.yaml: tasks: is missing; add the key 'tasks'"),
        ("tasks: []\nalgorithms: [random]", "sweep.yaml: tasks: must name at least one, got []"),
        ("tasks: {a: b}\nalgorithms: [random]", "sweep.yaml: tasks: must be a list, got {'a': 'b'}"),
        (
            "tasks: 'a[b'\nalgorithms: [random]",
            "sweep.yaml: tasks: 'a[b': the '[' at character 2 is never closed",
        ),
        (LEAST + "budget: 1\nbudget: 2", "sweep.yaml: no YAML in line 1: a key is given twice"),
        (
            "tasks: [a[b=1]]",
            "sweep.yaml: no YAML in line 1: expected ',' or ']', but got '['; inside [...] a name",
        ),
        ("- a", "sweep.yaml: holds no keys; write at least tasks"),
        ("", "sweep.yaml: holds no keys"),
        ("[" * 5000, "sweep.yaml: no YAML"),
        (LEAST + "datasets: {n: {test: b}}", "sweep.yaml: datasets.n.train: is missing; add the key 'train'"),
        (
            LEAST + "datasets: {n: {train: a, test: b, lable: c}}",
            "sweep.yaml: datasets.n.lable: unknown key: did you mean 'label'?",
        ),
        (LEAST + 'models: {"a\\nb": {}}', "sweep.yaml: models.'a\\nb'.path: is missing; add the key 'path'"),
        (LEAST + "models: {n: {}}", "sweep.yaml: models.n.path: is missing; add the key 'path'"),
    ],
)
def test_a_bad_sweep_file_is_refused_with_file_key_and_remedy(written, text, said):
    with pytest.raises(UserError) as caught:
        Sweep.load(written(text))
    assert str(caught.value).startswith(said)
    assert len(str(caught.value).splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
    st.sampled_from(
        ["tasks", "algorithms", "budget", "objective", "protocol", "datasets", "models", "out", "x"]
    ),
)
def test_any_value_of_a_key_is_taken_or_refused_with_one_line(value, key):
    said = ""
    try:
        Sweep.from_flags(**{"tasks": "sphere", "algorithms": "random", key: value})
    except UserError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


def test_a_list_that_cannot_be_split_is_refused_in_the_words_of_the_splitter():
    with pytest.raises(UserError) as caught:
        Sweep.from_flags(tasks="a[b", algorithms="random")
    assert str(caught.value) == "--tasks: 'a[b': the '[' at character 2 is never closed; add ']'"


def test_a_file_that_is_no_text_is_refused(written, tmp_path):
    written("")
    (tmp_path / "sweep.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"sweep\.yaml: cannot be read: .*; a sweep file is YAML in UTF-8"):
        Sweep.load("sweep.yaml")


def test_a_misspelt_suite_is_answered_with_the_nearest():
    with pytest.raises(
        UserError, match=r"quik: no such sweep file, and no shipped suite: did you mean 'quick'\?"
    ):
        Sweep.load("quik")


@pytest.mark.parametrize("name", suites())
def test_every_shipped_suite_can_be_read(name):
    assert Sweep.load(name).tasks


def test_flags_override_a_file_and_messages_name_the_flag(written):
    sweep = Sweep.load(written(LEAST + "budget: 50\n")).override(
        repetitions=1, algorithms="spsa,mezo", out=None
    )
    assert (sweep.budget, sweep.repetitions, sweep.algorithms) == (50, 1, ("spsa", "mezo"))
    assert sweep.where("algorithms") == "--algorithms"
    assert sweep.where("budget") == "sweep.yaml: budget"
    with pytest.raises(UserError, match="--budget: must be at least 1, got 0"):
        sweep.override(budget=0)


def test_an_overridden_mapping_keeps_its_other_keys(written):
    sweep = Sweep.load(written(LEAST + "protocol: {per_class: 4, seed: 2}\n")).override(protocol={"seed": 3})
    assert (sweep.protocol.per_class, sweep.protocol.seed) == (4, 3)


def test_the_output_of_a_file_lies_beside_it_and_that_of_a_flag_in_the_current_folder(
    written, tmp_path, monkeypatch
):
    sweep = Sweep.load(written(LEAST + "out: results\n"))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert sweep.output == tmp_path / "results"
    assert sweep.override(out="here").output == tmp_path / "below" / "here"
    assert sweep.override(budget=3).output == tmp_path / "results"


def test_an_output_that_nobody_names_is_called_after_the_sweep(written):
    assert Sweep.load(written(LEAST)).output == Path("results/sweep")
    assert Sweep.load("quick").output == Path("results/quick")
    assert Sweep.from_flags(tasks="sphere", algorithms="random").output == Path("results/sweep")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30) | st.text(st.sampled_from("ab:[]{},-&*!<#%@\"' \n\t"), max_size=30))
def test_any_text_of_a_file_is_read_or_refused_with_one_line(written, tmp_path, text):
    written("")
    (tmp_path / "sweep.yaml").write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        Sweep.load("sweep.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_sweep_of_flags_needs_tasks():
    with pytest.raises(UserError, match="--tasks: is missing"):
        Sweep.from_flags(algorithms="random")


def test_plain_data_of_a_sweep_make_the_same_sweep(written):
    text = LEAST + "datasets: {n: {train: a, test: b, text: [x, y], words: {0: no}}}\nout: results\n"
    sweep = Sweep.load(written(text)).override(budget=9)
    assert Sweep.from_dict(sweep.to_dict()) == sweep


def test_its_yaml_can_be_read_from_another_folder(written, tmp_path):
    (tmp_path / "models").mkdir()
    sweep = Sweep.load(
        written(
            LEAST
            + "datasets: {n: {train: a.csv, test: b.csv, words: {0: no}}}\n"
            + "models: {m: {path: models}, h: {path: facebook/opt-125m}}\n"
            + "out: mine\n"
        )
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.yaml").write_text(sweep.to_yaml())
    again = Sweep.load("out/sweep.yaml")
    assert again.datasets["n"].train == str(tmp_path / "a.csv")
    assert again.datasets["n"].words == {"0": "no"}
    assert again.models["m"].path == str(tmp_path / "models")
    assert again.models["h"].path == "facebook/opt-125m"
    assert again.tasks == sweep.tasks
    assert again.output == sweep.output == tmp_path / "mine"


def test_paths_in_the_names_of_tasks_start_from_where_they_did_when_it_is_read_again(written, tmp_path):
    """They belong to the names, and names to the cells' ids: what they start from is said beside them."""
    sweep = Sweep.load(written(LEAST.replace("sphere", '"sst2[path=data]/reference/prompt"', 1)))
    assert "path=data" in sweep.tasks[0]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.yaml").write_text(sweep.to_yaml())
    again = Sweep.load("out/sweep.yaml")
    assert again.tasks == sweep.tasks
    assert again.definitions.folder == sweep.definitions.folder == tmp_path
    assert "relative_to" not in Sweep.load(written(LEAST)).to_yaml()
    with pytest.raises(UserError, match=r"relative_to: there is no folder .*nowhere"):
        Sweep.load(written(LEAST + "relative_to: nowhere\n"))
