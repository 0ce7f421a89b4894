"""A method that a change gave another name is paired by hand."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from harness import Sweep, UserError, sweep
from harness.cli.application import app, main
from harness.report.compare import compare, compare_report
from harness.report.compare.naming import Pair
from harness.report.compare.words import in_words
from tests.harness.report.test_compare import side  # noqa: F401 - a fixture
from tests.harness.report.test_html import Page

BASE = np.array([0.5, 0.6, 0.7, 0.4, 0.3, 0.8, 0.55])
NEW = "mezo[sigma=0.001]"


@pytest.fixture
def both(side):  # noqa: F811
    first = side("a", {("t", "mezo"): BASE, ("t", "spsa"): BASE})
    other = side("b", {("t", NEW): BASE + 0.1, ("t", "spsa"): BASE, ("t", "mezo"): BASE - 0.1})
    return first, other


def test_a_pair_is_compared_as_one_entry_under_both_names(both):
    found = compare(*both, pairs=[("mezo", NEW)])
    rows = found.rows.set_index("entry")
    label = f"mezo → {NEW}"
    assert rows.loc[label, "difference"] == pytest.approx(0.1)
    assert rows.loc[label, "verdict"] == "better"
    assert rows.loc["spsa", "verdict"] == "equal"
    assert found.overall["entry"].tolist() == [label, "spsa"]
    # What else is called mezo is on its own.
    assert found.only[["entry", "sides"]].values.tolist() == [["mezo", "B"]]
    assert f"Paired by hand: mezo of A with {NEW} of B." in in_words(found)


def test_without_pairs_names_are_what_pairs(both):
    found = compare(*both)
    assert found.rows["entry"].tolist() == ["mezo", "spsa"]
    assert found.pairs == ()
    assert not any("by hand" in sentence for sentence in in_words(found))


def test_the_page_and_its_tables_name_both(both):
    seen = Page(compare_report(compare(*both, pairs=[("mezo", NEW)])))
    text = " ".join(seen.text.split())
    assert text.count(f"mezo → {NEW}") >= 4  # the finding, both tables and the curves


def test_options_may_be_written_in_any_order(side):  # noqa: F811
    first = side("a", {("t", "openai-es[lr=1,sigma=2]"): BASE})
    other = side("b", {("t", "openai-es"): BASE})
    found = compare(first, other, pairs=[("openai-es[ sigma=2, lr=1 ]", "openai-es")])
    assert found.pairs == (Pair("openai-es[lr=1,sigma=2]", "openai-es"),)


def test_the_same_name_on_both_sides_stays_one_name(both):
    assert "spsa" in compare(*both, pairs=[("spsa", "spsa")]).rows["entry"].tolist()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("mezzo", NEW)], r"'mezzo' is none of A, .*: did you mean 'mezo'\?"),
        ([("mezo", "mezo[sigma=1]")], r"'mezo\[sigma=1\]' is none of B, .*: did you mean 'mezo"),
        ([("mezo", NEW), ("mezo", "spsa")], "'mezo' of A is in two pairs; leave one out"),
        ([("mezo", NEW), ("spsa", NEW)], r"'mezo\[sigma=0.001\]' of B is in two pairs; leave one out"),
    ],
)
def test_names_that_do_not_fit_are_refused_with_the_nearest_ones(both, pairs, said):
    with pytest.raises(UserError, match=f"^--pair: {said}") as caught:
        compare(*both, pairs=pairs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["mezo", "=mezo", "mezo=", "a=b=c", "mezo[sigma=1]", "a=b[", ""])
def test_a_malformed_pair_is_refused(text):
    with pytest.raises(UserError, match="is no pair; write OLD=NEW, as in mezo=mezo"):
        Pair.parse(text)


def test_three_sides_have_no_pairs(both):
    with pytest.raises(UserError, match="--pair: OLD is of one folder and NEW of another; name two folders"):
        compare(*both, both[0], pairs=[("mezo", NEW)])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs")
    for name, algorithm in (("a", "mezo"), ("b", "mezo[sigma=0.5]")):
        words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms=algorithm, budget=20, repetitions=1)
        sweep(words, out=out / name)
    return out


def run(*words):
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_the_command_takes_a_pair_and_answers_wrong_ones_with_a_line(folders, capsys, monkeypatch):
    page = folders / "page.html"
    a, b = folders / "a", folders / "b"
    assert run(a, b, "--pair", "mezo=mezo[sigma=0.5]", "--to", page).exit_code == 0
    assert "mezo → mezo[sigma=0.5]" in " ".join(Page(page.read_text()).text.split())
    for words in (
        [a, b, "--pair", "mezo"],
        [a, b, "--pair", "spsa=mezo"],
        [a, b, "--pair", "mezo=mezo[sigma=0.5]", "--pair", "mezo=mezo[sigma=0.5]"],
        [a, "--pair", "mezo=mezo"],
        [a, b, a, "--pair", "mezo=mezo"],
    ):
        monkeypatch.setattr("sys.argv", ["gradfree", "report", *map(str, words), "--to", str(page)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("gradfree: error: --pair: ")
        assert said.count("\n") == 1
