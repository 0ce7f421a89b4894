"""Tasks and algorithms are built out of plugins; what cannot be had is named with its place and remedy."""

from pathlib import Path

import pytest

from harness.core import Algorithm, Budget, Protocol, UserError
from harness.plugins.build import Builder, build_algorithm
from harness.plugins.definitions import Definitions, fingerprint
from harness.plugins.registry import ALGORITHMS, DATASETS, MODELS, OBJECTIVES, Registry
from harness.plugins.spec import Spec

NAME = "toy-data/toy-model/toy-tuning"


def said(name: str, builder: Builder | None = None) -> str:
    """What building a task is refused with."""
    with pytest.raises(UserError) as caught:
        (builder or Builder()).task(name)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.fixture
def user_made(tmp_path, monkeypatch):
    """The factories of a user's own data and models, as toys that return their options."""

    def files(*, train: str, test: str, dev: str | None = None, words: dict[str, str] | None = None, name=""):
        return {"train": train, "test": test, "dev": dev, "words": words, "name": name}

    def transformers(*, path: str, device: str = "cpu", dtype: str = "float32"):
        return {"path": path, "device": device, "dtype": dtype}

    toys = {(DATASETS.group, "files"): files, (MODELS.group, "transformers"): transformers}
    real = Registry.load
    monkeypatch.setattr(
        Registry,
        "load",
        lambda self, name: toys[self.group, name] if (self.group, name) in toys else real(self, name),
    )
    (tmp_path / "train.csv").write_text("text,label\nfine,1\n")
    (tmp_path / "test.csv").write_text("text,label\nbad,0\n")
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "config.json").write_text("{}")
    return Definitions(
        {"news": {"train": "train.csv", "test": "test.csv", "words": {0: "bad"}}},
        {"stories": {"path": "models/tiny"}},
        tmp_path,
    )


def test_a_text_task_is_made_of_its_parts(toys):
    protocol = Protocol(per_class=3)
    name = "toy-data[rows=7]/toy-model[width=3]/toy-tuning[rank=2,objective=accuracy]"
    task = Builder(Definitions(), protocol, "cpu", "float64").task(name)
    assert task.parts == {
        "data": ("data", 7),
        "model": ("model", 3),
        "objective": OBJECTIVES.load("accuracy"),
        "protocol": protocol,
        "name": "toy-data[rows=7]/toy-model[width=3]/toy-tuning[objective=accuracy,rank=2]",
        "rank": 2,
    }
    assert toys["model"] == [{"device": "cpu", "dtype": "float64", "width": 3}]


def test_the_objective_is_cross_entropy_where_none_is_named(toys):
    assert Builder().task(NAME).parts["objective"] is OBJECTIVES.load("cross-entropy")


def test_a_models_own_dtype_goes_before_the_sweeps(toys):
    Builder(dtype="float32").task("toy-data/toy-model[dtype=bfloat16]/toy-tuning")
    assert toys["model"][0]["dtype"] == "bfloat16"


def test_a_model_that_takes_no_device_is_not_given_one(toys):
    with MODELS.register("plain", lambda: "plain"):
        assert Builder().task("toy-data/plain/toy-tuning").parts["model"] == "plain"


def test_tasks_of_one_model_share_it_and_its_data(toys):
    builder = Builder()
    first = builder.task(NAME)
    builder.task(f"{NAME}[rank=2]")
    builder.task("toy-data[rows=4]/toy-model/toy-tuning")
    assert builder.task(NAME) is first
    assert len(toys["model"]) == 1
    assert toys["data"] == [{"rows": 4}, {"rows": 4}]


def test_a_registered_task_is_a_single_name(toys):
    assert Builder().task("toy-function[dimension=5]").dimension == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy-date/toy-model/toy-tuning", "unknown data set 'toy-date': did you mean 'toy-data'?"),
        (
            "toy-data/toy-modle/toy-tuning",
            "unknown model 'toy-modle': did you mean 'toy-model'? (if it is a name on",
        ),
        ("toy-data/toy-model/toy-tunning", "unknown tuning 'toy-tunning': did you mean 'toy-tuning'?"),
        (
            "toy-data/toy-model/toy-tuning[objective=accurcy]",
            "unknown objective 'accurcy': did you mean 'acc",
        ),
        ("toy-data/toy-model/toy-tuning[rnak=1]", "toy-tuning: unknown option 'rnak': did you mean 'rank'?"),
        ("toy-data[rows=x]/toy-model/toy-tuning", "toy-data: rows: must be a whole number, got 'x'"),
        ("toy-data/toy-model[width=x]/toy-tuning", "toy-model: width: must be a whole number, got 'x'"),
        ("toy-data/./none/toy-tuning", "there is no folder './none' in "),
        ("toy-functoin", "unknown task 'toy-functoin': did you mean 'toy-function'?"),
        ("toy-function[dimension=0]", "dimension must be positive"),
        ("toy-data", "'toy-data' is a data set; write dataset/model/tuning"),
    ],
)
def test_what_is_wrong_with_a_task_is_said_behind_its_name(toys, name, message):
    assert said(name).startswith(f"{name}: {message}")


def test_an_accident_inside_of_a_factory_names_the_task(toys):
    def failing(*, rows: int = 1):
        raise OSError("disk\nunplugged")

    with DATASETS.register("failing", failing):
        assert said("failing/toy-model/toy-tuning") == "failing/toy-model/toy-tuning: OSError: disk"


def test_a_users_files_are_read_from_the_sweep_files_folder(toys, user_made):
    data = Builder(user_made).task("news/toy-model/toy-tuning").parts["data"]
    folder = user_made.folder
    assert data == {
        "train": str(folder / "train.csv"),
        "test": str(folder / "test.csv"),
        "dev": None,
        "words": {"0": "bad"},
        "name": "news",
    }


def test_a_users_model_is_a_folder_beside_the_sweep_file_or_a_name_on_the_hub(toys, user_made):
    builder = Builder(user_made, device="cpu", dtype="float16")
    tiny = {"path": str(user_made.folder / "models/tiny"), "device": "cpu", "dtype": "float16"}
    assert builder.task("toy-data/stories/toy-tuning").parts["model"] == tiny
    assert builder.task("toy-data/models/tiny/toy-tuning").parts["model"] == tiny
    assert builder.task("toy-data/facebook/opt-125m/toy-tuning").parts["model"]["path"] == "facebook/opt-125m"
    for name in ("gpt2", "roberta-large", "bert-base-uncased", "t5-small"):
        assert builder.task(f"toy-data/{name}/toy-tuning").parts["model"]["path"] == name


def test_a_misspelt_name_is_answered_with_the_users_own_names_too(toys, user_made):
    assert "did you mean 'news'?" in said("newz/toy-model/toy-tuning", Builder(user_made))
    assert "did you mean 'stories'?" in said("toy-data/storis/toy-tuning", Builder(user_made))


def test_a_missing_file_names_its_key(toys, user_made):
    (user_made.folder / "test.csv").unlink()
    message = said("news/toy-model/toy-tuning", Builder(user_made))
    assert message.startswith(
        "news/toy-model/toy-tuning: datasets.news.test: there is no file 'test.csv' in "
    )
    assert message.endswith("give its path from there")


def test_a_users_model_that_is_no_folder_names_its_key(toys, user_made):
    wrong = Definitions(models={"stories": {"path": "./models/other"}}, folder=user_made.folder)
    message = said("toy-data/stories/toy-tuning", Builder(wrong))
    assert message.startswith(
        "toy-data/stories/toy-tuning: models.stories.path: there is no folder './models/other'"
    )


def test_an_unknown_key_of_a_users_model_names_its_place(toys, user_made):
    wrong = Definitions(
        models={"stories": {"path": "models/tiny", "dtyp": "float16"}}, folder=user_made.folder
    )
    assert "models.stories: unknown option 'dtyp': did you mean 'dtype'?" in said(
        "toy-data/stories/toy-tuning", Builder(wrong)
    )


def test_a_path_option_starts_from_the_folder_of_the_definitions(toys, tmp_path):
    def own(*, file: Path):
        return file

    with DATASETS.register("own", own):
        task = Builder(Definitions(folder=tmp_path)).task("own[file=a/b.csv]/toy-model/toy-tuning")
    assert task.parts["data"] == tmp_path / "a" / "b.csv"


def test_the_content_of_a_task_changes_with_the_bytes_of_its_files_and_not_with_their_place(
    toys, user_made, tmp_path
):
    name = "news/stories/toy-tuning"
    before = Builder(user_made).content(name)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    there = Definitions(user_made.datasets, user_made.models, moved)
    assert Builder(there, device="cuda").content(name) == before
    (moved / "train.csv").write_text("text,label\nfine,0\n")
    changed = Builder(there).content(name)
    assert changed != before
    (moved / "models" / "tiny" / "model.safetensors").write_text("")
    grown = Builder(there).content(name)
    assert grown != changed
    (moved / "models" / "tiny" / "model.safetensors").write_text("weights")
    assert Builder(there).content(name) != grown


def test_text_that_looks_like_a_path_and_is_none_stands_for_itself():
    assert fingerprint({"a": ["/no/such", "/" + "x" * 5000, "/\0"]}) == {
        "a": ["/no/such", "/" + "x" * 5000, "/\0"]
    }


class ToyAlgorithm(Algorithm):
    def __init__(self, space, budget, seed, *, population: int = 4, parents: int = 2):
        super().__init__(space, budget, seed)
        if parents > population:
            raise ValueError("parents: more than the population; take fewer")
        self.population = population

    def ask(self, remaining):
        return None

    def tell(self, population, losses, gradients=None): ...

    def best(self):
        return None


def test_an_algorithm_is_built_with_typed_options(toys):
    space = Builder().task("toy-function").space
    with ALGORITHMS.register("toy", ToyAlgorithm):
        algorithm = build_algorithm("toy[population=9]", space, Budget(10), 5)
        assert (algorithm.population, algorithm.seed, algorithm.space) == (9, 5, space)
        with pytest.raises(UserError) as caught:
            build_algorithm("toy[parents=9]", space, Budget(10), 5)
        assert str(caught.value) == "toy[parents=9]: parents: more than the population; take fewer"
        with pytest.raises(UserError, match="toy: unknown option 'parent': did you mean 'parents'"):
            build_algorithm("toy[parent=9]", space, Budget(10), 5)


def test_what_is_no_algorithm_is_refused(toys):
    space = Builder().task("toy-function").space
    with (
        ALGORITHMS.register("number", 3),
        pytest.raises(
            UserError, match=r"algorithm 'number' of unpackaged is no subclass of harness\.Algorithm"
        ),
    ):
        build_algorithm("number", space, Budget(10), 5)


def test_smoke_and_planning_are_handed_to_the_factories_that_take_them():
    def data(*, smoke: bool = False, planning: bool = False):
        return smoke, planning

    def model(*, planning: bool = False):
        return planning

    with DATASETS.register("placed-data", data), MODELS.register("placed-model", model):
        spec = Spec("placed-data")
        assert Builder().data(spec) == (False, False)
        assert Builder(smoke=True, planning=True).data(spec) == (True, True)
        assert Builder(planning=True).data(Spec.parse("placed-data[planning=false]")) == (False, False)
        assert Builder(planning=True).model(Spec("placed-model")) is True
        assert Builder().takes(spec, "dataset", "smoke")
        assert not Builder().takes(Spec("placed-model"), "model", "smoke")


def test_a_small_sample_is_other_content_and_planning_is_not():
    def data(*, smoke: bool = False, planning: bool = False):
        return None

    with DATASETS.register("placed-data", data):
        name = "placed-data/toy-model/toy-tuning"
        usual = Builder().content(name)
        assert Builder(planning=True).content(name) == usual
        assert Builder(smoke=True).content(name) != usual


def test_a_plugin_that_ends_the_process_while_its_options_are_looked_at_is_refused():
    class Ending(Algorithm):
        @classmethod
        def configured(cls, **options):
            raise SystemExit(0)

    with (
        ALGORITHMS.register("ending", Ending),
        pytest.raises(UserError, match="ending: its plugin asked the"),
    ):
        build_algorithm("ending", None, Budget(5), seed=0)
