"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import pytest
import torch

from harness import cli
from harness.core import Algorithm, Block, Cost, Evaluation, Points, Signature, Space, Task, UserError
from harness.plugins.registry import ALGORITHMS, TASKS


class Bowl(Task):
    """|z - 1|^2."""

    metric, metric_direction = "loss", "min"

    def __init__(self, *, dimension: int = 2) -> None:
        self.space = Space([Block("x", (dimension,), "vector")])

    def evaluate(self, requests):
        losses = [((r.population.values.double() - 1) ** 2).sum(1) for r in requests]
        return [Evaluation(each, None, Cost(len(each), len(each), 1.0)) for each in losses]

    def score(self, candidates, split):
        at = [torch.zeros(1, self.space.size) if c is None else c.values for c, _ in candidates]
        return [{"loss": float(((values - 1) ** 2).sum())} for values in at]

    def signature(self):
        return Signature("bowl", ())


class Mistaken(Bowl):
    """Its data turn out to be too few when they are read."""

    def signature(self):
        raise UserError("per_class: too few rows; lower protocol.per_class")


class Guess(Algorithm):
    """Normal points."""

    family = "toys"

    def __init__(self, space, budget, seed, *, sigma: float = 1.0) -> None:
        super().__init__(space, budget, seed)
        self.sigma, self.lowest = sigma, math.inf

    def ask(self, remaining):
        points = torch.randn(min(5, remaining), self.space.size, generator=self.generator)
        return Points(self.sigma * points)

    def tell(self, population, losses, gradients=None):
        if losses.min() < self.lowest:
            self.lowest, self.found = float(losses.min()), population[int(losses.argmin()) :][:1]

    def best(self):
        return self.found


class Boom(Guess):
    """Raises."""

    def ask(self, remaining):
        raise RuntimeError("boom")


class Interrupted(Guess):
    """Somebody presses Ctrl-C."""

    def ask(self, remaining):
        raise KeyboardInterrupt


class Tiny(Guess):
    """Fits one coordinate."""

    largest_dimension = 1


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setenv("GRADFREE_EXECUTOR", "inline")  # plugins that are registered here are known here only
    with (
        TASKS.register("bowl", Bowl),
        TASKS.register("mistaken", Mistaken),
        ALGORITHMS.register("guess", Guess),
        ALGORITHMS.register("boom", Boom),
        ALGORITHMS.register("interrupted", Interrupted),
        ALGORITHMS.register("tiny", Tiny),
    ):
        yield


@pytest.fixture
def gradfree(monkeypatch, capsys, tmp_path):
    """Runs the command in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gradfree", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return command


SMALL = ("--tasks", "bowl", "--algorithms", "guess,guess[sigma=0.1]", "--budget", "20", "--repetitions", "2")


def test_nothing_heavy_is_imported_before_a_verb_needs_it():
    heavy = (
        "torch",
        "pandas",
        "numpy",
        "transformers",
        "scipy",
        "pyarrow",
        "pydantic",
        "harness.running.runner",
    )
    code = f"import harness, harness.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_found_and_others_are_not():
    import harness

    for name in harness.__all__:
        assert getattr(harness, name) is not None
    with pytest.raises(AttributeError, match="swep"):
        harness.swep  # noqa: B018


def test_a_sweep_from_flags_ends_with_tables_and_a_leaderboard(gradfree, tmp_path):
    code, out, err = gradfree("sweep", *SMALL, "--out", "mine")
    assert code == 0
    assert "guess[sigma=0.1]" in "".join(out.split())
    assert "6 cells, 0 of them done, 80 evaluations to go" in err
    for name in ("sweep.yaml", "plan.json", "environment.json", "runs.parquet", "leaderboard.csv"):
        assert (tmp_path / "mine" / name).exists()


SHARES = (
    r"[\d.]+ % forward, [\d.]+ % ask and tell, [\d.]+ % overhead "
    r"\(\w+ [\d.]+ %, .*bookkeeping [\d.]+ %.*\)\n"
)


def test_a_sweep_ends_with_where_its_time_went_and_status_says_it_again(gradfree):
    out = gradfree("sweep", *SMALL, "--out", "mine")[1]
    found = re.search(rf"^{SHARES}results in mine\n$", out, re.MULTILINE)
    assert found
    line = found[0].splitlines()[0]
    out = gradfree("status", "mine")[1]
    assert re.search(rf"^last session: 6 cells in [\d.]+ s: {re.escape(line)}$", out, re.MULTILINE)
    (session,) = json.loads(gradfree("status", "mine", "--json")[1])["sessions"]
    assert session["seconds"]["loading"] > 0


def test_the_same_command_again_runs_nothing(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine")
    code, _, err = gradfree("sweep", *SMALL, "--out", "mine")
    assert code == 0
    assert "6 cells, 6 of them done, 0 evaluations to go" in err


def test_the_stored_sweep_file_is_the_same_sweep(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine")
    code, _, err = gradfree("sweep", "mine/sweep.yaml", "--out", "mine")
    assert code == 0
    assert "6 of them done" in err


def test_results_go_where_the_name_of_the_sweep_file_says(gradfree, tmp_path):
    (tmp_path / "mine.yaml").write_text("tasks: [bowl]\nalgorithms: [guess]\nbudget: 10\nrepetitions: 1\n")
    assert gradfree("sweep", "mine.yaml", "--quiet")[0] == 0
    assert (tmp_path / "results" / "mine" / "runs.parquet").exists()


def test_quiet_says_nothing_at_all(gradfree):
    assert gradfree("sweep", *SMALL, "--out", "mine", "--quiet") == (0, "", "")


def test_a_failing_plugin_is_a_line_and_a_row_and_not_the_end(gradfree):
    code, out, err = gradfree(
        "sweep", "--tasks", "bowl", "--algorithms", "boom,guess", "--budget", "10", "--out", "o"
    )
    assert code == 0
    assert "failed: bowl, boom, repetition 0: RuntimeError in ask: boom" in err
    assert "3 failed: RuntimeError" in out
    code, out, _ = gradfree("sweep", "--tasks", "bowl", "--algorithms", "boom,guess", "--budget", "10",
                            "--out", "o", "--retry", "--json")  # fmt: skip
    assert json.loads(out)["cells"] == {"finished": 6, "failed": 3}


def test_an_interrupted_sweep_says_how_to_go_on(gradfree):
    code, _, err = gradfree("sweep", "--tasks", "bowl", "--algorithms", "interrupted", "--out", "o")
    assert code == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err


def test_a_plan_counts_cells_and_says_what_is_skipped(gradfree):
    code, out, _ = gradfree(
        "plan", "--tasks", "bowl", "--algorithms", "guess,tiny", "--budget", "10", "--json"
    )
    found = json.loads(out)
    rows = {row["algorithm"]: row for row in found["rows"]}
    assert (code, found["total"]["evaluations"]) == (0, 30)
    assert (rows["guess"]["cells"], rows["guess"]["evaluations"]) == (3, 30)
    assert rows["tiny"]["cells"] == 0
    assert "more than its limit of 1" in rows["tiny"]["skipped"]
    code, out, _ = gradfree("plan", "--tasks", "bowl", "--algorithms", "guess,tiny", "--budget", "10")
    assert "6 cells, at most 30 evaluations" in out


def test_status_and_leaderboard_read_a_folder(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    code, out, _ = gradfree("status", "mine")
    assert (code, "all cells have ended" in out) == (0, True)
    found = json.loads(gradfree("status", "mine", "--json")[1])
    assert (found["active"], sum(row["finished"] for row in found["rows"])) == (False, 6)
    board = json.loads(gradfree("leaderboard", "mine", "--json", "--csv", "board.csv")[1])
    assert [row["rank"] for row in board["tasks"]] == [1.0, 2.0, None]
    assert board["tasks"][2]["reference"]
    assert board["overall"][0]["mean_rank"] == 1.0
    assert "bowl: test loss" in gradfree("leaderboard", "mine")[1]


@pytest.mark.parametrize("by", ["task", "tuning", "family"])
def test_a_leaderboard_is_printed_in_every_format(gradfree, by):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    text = {
        form: gradfree("leaderboard", "mine", "--by", by, "--format", form)[1]
        for form in ("table", "csv", "json", "markdown", "latex")
    }
    assert len(json.loads(text["json"])["rows"]) == 3
    assert text["csv"].count("\n") == 4
    assert "guess[sigma=0.1]" in text["markdown"]
    assert r"guess{[}sigma=0.1{]}" in text["latex"]
    assert "guess" in text["table"]


def test_a_leaderboard_at_a_smaller_budget_compares_on_dev_and_says_so(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    for form in ("table", "json", "markdown", "latex"):
        code, out, _ = gradfree("leaderboard", "mine", "--at-budget", "20", "--format", form)
        assert (code, "20 evaluations, compared on dev" in " ".join(out.split())) == (0, True)
        assert "test loss" not in out
    for words in (("x",), ("9", "--json"), ("9", "--csv", "a.csv")):
        assert gradfree("leaderboard", "mine", "--at-budget", *words)[0] == 2


@pytest.mark.parametrize(("columns", "word"), [("promises", "spread"), ("ert", "to 50 %")])
def test_a_leaderboard_has_other_columns(gradfree, columns, word):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    assert word in gradfree("leaderboard", "mine", "--columns", columns)[1]
    assert gradfree("leaderboard", "mine", "--columns", "data")[0] == 2


def test_a_leaderboard_by_another_metric_names_those_that_there_are(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    assert gradfree("leaderboard", "mine", "--metric", "loss") == gradfree("leaderboard", "mine")
    code, _, err = gradfree("leaderboard", "mine", "--metric", "f1")
    assert (code, "'f1' was not measured; there are loss" in err) == (2, True)
    for words in (("--format", "xml"), ("--by", "colour"), ("--json", "--format", "csv")):
        assert gradfree("leaderboard", "mine", *words)[0] == 2


def test_a_failed_run_is_shown_with_its_traceback(gradfree):
    gradfree("sweep", "--tasks", "bowl", "--algorithms", "boom", "--budget", "10", "--out", "o", "-q")
    row = json.loads(gradfree("leaderboard", "o", "--format", "json")[1])["rows"][0]
    assert row["reason"].startswith("RuntimeError in ask: boom")
    from harness import load_results

    run = f"o/{load_results('o').runs['id'][0]}"
    out = gradfree("show", run)[1]
    assert "status: failed" in out
    assert "Traceback (most recent call last)" in out
    assert json.loads(gradfree("show", run, "--json")[1])["run"]["algorithm"] == "boom"


def test_results_of_two_machines_are_merged_or_refused_in_one_line(gradfree, tmp_path):
    gradfree("sweep", *SMALL, "--out", "a", "--quiet")
    gradfree("sweep", "--tasks", "bowl", "--algorithms", "guess[sigma=3]", "--budget", "20",
             "--repetitions", "2", "--out", "b", "--quiet")  # fmt: skip
    code, out, _ = gradfree("merge", "a", "b", "--out", "c")
    assert (code, out) == (0, "8 cells of 2 folders are in c\n")
    assert (tmp_path / "c" / "leaderboard.csv").exists()
    code, out, err = gradfree("merge", "a", "b", "--out", "c")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_everything_can_be_listed(gradfree):
    code, out, _ = gradfree("list")
    assert code == 0
    assert "guess" in out
    rows = {row["name"]: row for row in json.loads(gradfree("list", "algorithms", "--json")[1])}
    assert rows["guess"]["options"] == {"sigma": {"type": "float", "default": "1.0"}}
    assert (rows["tiny"]["largest_dimension"], rows["guess"]["family"]) == (1, "toys")
    for kind in ("datasets", "models", "tunings", "objectives", "tasks", "suites"):
        assert gradfree("list", kind)[0] == 0


def test_a_broken_plugin_is_listed_as_broken_and_stops_nothing(gradfree, monkeypatch):
    def load(name):
        if name == "boom":
            raise RuntimeError("its import fails")
        return Guess

    monkeypatch.setattr(ALGORITHMS, "load", load)
    code, out, err = gradfree("list", "algorithms")
    assert code == 0
    assert "guess" in out
    assert "broken: boom: its import fails" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "algoritms"), "did you mean 'algorithms'?"),
        (("sweep",), "give both --tasks and --algorithms"),
        (("sweep", "no.yaml"), "no.yaml"),
        (("sweep", "--tasks", "bowl", "--algorithms", "gues"), "did you mean 'guess'"),
        (("sweep", "--tasks", "bowl", "--algorithms", "guess[sgma=1]"), "sgma"),
        (("sweep", "--tasks", "bowl", "--algorithms", "guess", "--budget", "-3"), "--budget"),
        (("plan", "--tasks", "bowl[dimension=x]", "--algorithms", "guess"), "dimension"),
        (("sweep", "--tasks", "bowl", "--algorithms", "guess", "--out", "taken"), "is a file"),
        (
            ("sweep", "-q", "--tasks", "bowl,mistaken", "--algorithms", "guess"),
            "mistaken: per_class: too few",
        ),
        (("swep",), "Did you mean 'sweep'?"),
        (("sweep", "--budgt", "3"), "--budget"),
        (("sweep", "--budget", "abc"), "--budget"),
        (("sweep", "--device", "mps", *SMALL), "must be auto, cpu, cuda or cuda:N"),
        (("status",), "OUT"),
        (("status", "a", "b"), "b"),
        (("status", "nowhere"), "no such folder"),
        (("leaderboard", "."), "no result of gradfree"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(gradfree, tmp_path, words, said):
    (tmp_path / "taken").write_text("")
    code, out, err = gradfree(*words)
    assert (code, out) == (2, "")
    assert err.startswith("gradfree: error: ")
    assert err.count("\n") == 1
    assert said in err


def test_help_is_asked_for_and_is_no_error(gradfree):
    for words in (("--help",), ("sweep", "-h")):
        code, out, err = gradfree(*words)
        assert (code, err) == (0, "")
        assert "Usage: gradfree" in out


def test_no_words_at_all_are_answered_with_help(gradfree):
    code, out, err = gradfree()
    assert code == 2
    assert "Usage: gradfree" in out + err
    assert "error" not in out + err


def test_the_words_for_devices_and_dtypes_are_those_that_are_accepted(gradfree):
    out = gradfree("plan", "--help")[1]
    assert "auto, cpu, cuda or cuda:N." in out
    assert "float32, float64 or bfloat16." in out


def test_a_csv_that_cannot_be_written_is_the_users_to_mend(gradfree):
    gradfree("sweep", *SMALL, "--out", "mine", "--quiet")
    code, _, err = gradfree("leaderboard", "mine", "--csv", "nowhere/board.csv")
    assert code == 2
    assert err.startswith("gradfree: error: --csv: nowhere/board.csv cannot be written")
