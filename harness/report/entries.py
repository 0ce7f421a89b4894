"""The cells that a report is about, under the names by which it lists them."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from harness.core.errors import UserError
from harness.plugins.build import algorithm_class
from harness.plugins.registry import ALGORITHMS, reading_results
from harness.plugins.spec import Spec
from harness.running.files import DamagedError, read_json
from harness.running.store import PLAN

SCORED = ("finished", "timeout")
"""Statuses of cells that have a reported candidate; the others leave a gap."""

UNTUNED = "zero-shot"
"""The reference that is the zero of normalised gain."""


def entries(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell that is no trial of options, with the columns that reports need beside its own.

    ``entry``: the algorithm, marked where its options were tuned. ``score`` and ``dev_score``: the metric on
    test and dev with the sign by which higher is better; nan without a result. ``seconds``: ask, evaluate
    and tell. ``role``: contestant, untuned, or reference for any other (``with_first_order`` tells more).

    >>> from harness.running.schema import make_table, to_frame
    >>> rows = [{"task": "t", "algorithm": "a", "kind": "tuned", "status": "finished", "test_metric": 0.5,
    ...          "metric_direction": "min"}]
    >>> entries(to_frame(make_table("runs", rows)))[["entry", "score", "role"]].values.tolist()
    [['a (tuned)', -0.5, 'contestant']]
    """
    frame = runs[runs["kind"].fillna("default") != "trial"].copy()
    tuned = frame["kind"].fillna("default") == "tuned"
    frame["entry"] = frame["algorithm"].where(~tuned, frame["algorithm"] + " (tuned)")
    frame["reference"] = frame["reference"].fillna(False).astype(bool)
    direction = frame.groupby("task", sort=False)["metric_direction"].transform("first")
    sign = np.where(direction == "min", -1.0, 1.0)
    scored = frame["status"].isin(SCORED)
    frame["score"] = (frame["test_metric"].astype("float64") * sign).where(scored)
    frame["dev_score"] = (frame["dev_metric"].astype("float64") * sign).where(scored)
    parts = ["seconds_ask", "seconds_evaluate", "seconds_tell"]
    frame["seconds"] = frame[parts].astype("float64").sum(axis=1, min_count=len(parts))
    frame["role"] = np.where(frame["reference"], "reference", "contestant")
    frame.loc[frame["reference"] & (frame["algorithm"] == UNTUNED), "role"] = "untuned"
    # Merged sweeps of several budgets: the same name twice on one block would be two things in one.
    if frame.duplicated(["task", "entry", "repetition"]).any():
        frame["entry"] = frame["entry"] + " @" + frame["budget"].astype("string")
    return frame.reset_index(drop=True)


def with_first_order(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells, the role of references whose algorithms need gradients being ``first-order``.

    Apart from ``entries``, since it loads the algorithms' classes, and torch with them. Of one that is not
    installed, that it spent evaluations tells: references without gradients have nothing to search with.

    >>> frame = pd.DataFrame({"algorithm": ["adam", "zero-shot"], "role": "reference", "evaluations": 0})
    >>> with_first_order(frame)["role"].tolist()
    ['first-order', 'reference']
    """
    spent = cells["evaluations"].astype("float64").fillna(0).groupby(cells["algorithm"]).max() > 0
    names = cells.loc[cells["role"] == "reference", "algorithm"].unique()
    first = [name for name in names if needs_gradient(name, otherwise=bool(spent[name]))]
    role = cells["role"].mask((cells["role"] == "reference") & cells["algorithm"].isin(first), "first-order")
    return cells.assign(role=role)


@lru_cache
def needs_gradient(algorithm: str, otherwise: bool = False) -> bool:
    """Whether the class of an algorithm says that it asks for gradients.

    Args:
        algorithm: with its options: a chain needs them where one of its stages does.
        otherwise: the answer where its plugin is not installed, or nobody has asked for its code.

    >>> needs_gradient("adam"), needs_gradient("chain[first=adam,then=mezo]"), needs_gradient("mezo")
    (True, True, False)
    """
    with reading_results():
        try:
            return algorithm_class(algorithm)[0].needs_gradient
        except UserError:  # options may name files of the machine where it ran
            pass
        try:
            return _declares_gradient(Spec.parse(algorithm))
        except UserError:  # of a plugin that is not installed, or not imported because results name it
            return otherwise


def _declares_gradient(spec: Spec) -> bool:
    """Whether a class needs gradients, or that of an algorithm among its options."""
    known, inside = ALGORITHMS.names(), []
    for _, value in spec.options:
        with suppress(UserError):  # no name at all
            inside.append(Spec.parse(value))
    own = bool(getattr(ALGORITHMS.load(spec.name), "needs_gradient", False))
    return own or any(_declares_gradient(each) for each in inside if each.name in known)


def families(folder: Path) -> dict[str, str]:
    """The heading of each algorithm as it was when it was planned; empty where no plan lies in the folder.

    >>> families(Path("nowhere"))
    {}
    """
    try:
        cells = read_json(folder / PLAN)["cells"]
        known = {cell["algorithm"]: cell.get("family") for cell in cells}
    except (DamagedError, KeyError, TypeError, AttributeError):  # nothing hangs on it
        return {}
    return {name: said for name, said in known.items() if isinstance(said, str)}


@lru_cache
def family(algorithm: str) -> str:
    """The heading under which one of gradfree's own algorithms is listed; of others, ``unknown``.

    Their plugins are not imported because results name them; ``families`` knows what the plan has taken down.

    >>> family("openai-es[sigma=0.02]"), family("nobody-has-this")
    ('evolution strategies', 'unknown')
    """
    try:
        with reading_results():
            found = ALGORITHMS.load(Spec.parse(algorithm).name)
    except UserError:
        return "unknown"
    return str(getattr(found, "family", "other"))
