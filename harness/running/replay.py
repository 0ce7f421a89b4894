"""Bringing an interrupted cell back to where it was, from the losses that it had been told."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.budget import Budget
from harness.core.population import Gradients
from harness.core.task import Cost, Evaluation
from harness.running.cell import CellRun, Seconds

Log = dict[str, list[dict[str, Any]]]


class MismatchError(Exception):
    """The stored log is not what this algorithm does; the cell has to start again."""


def dev_scores(log: Log) -> dict[int, dict[str, float]]:
    """The stored dev metrics, by the evaluations that were spent when they were measured.

    >>> dev_scores({"metrics": [{"evaluations": 20, "split": "dev", "metric": "accuracy", "value": 0.5}]})
    {20: {'accuracy': 0.5}}
    """
    scores: dict[int, dict[str, float]] = {}
    for row in log["metrics"]:
        if row["split"] == "dev":
            scores.setdefault(row["evaluations"], {})[row["metric"]] = row["value"]
    return scores


def replay(run: CellRun, log: Log) -> None:
    """Ask and tell as before, with stored losses and dev metrics in place of evaluations.

    Args:
        run: of a deterministic algorithm, fresh.
        log: the stored rows of ``curve``, ``metrics`` and ``losses``.

    Raises:
        MismatchError: where populations or dev points differ from the stored ones.
    """
    losses: dict[int, list[float]] = {}
    for row in log["losses"]:
        losses.setdefault(row["generation"], []).append(row["loss"])
    scores = dev_scores(log)
    before = Cost()
    for row in log["curve"]:
        told = losses.get(row["generation"], [])
        population = run.ask()
        if population is None or len(population) != len(told) or isinstance(population, Gradients):
            raise MismatchError(f"generation {row['generation']} is another one")
        if run.budget.spent + Budget.price(population) != row["evaluations"]:
            raise MismatchError(f"generation {row['generation']} has another price")
        so_far = Cost(row["sequences"], row["tokens"], row["flops"])
        cost = Cost(
            so_far.sequences - before.sequences, so_far.tokens - before.tokens, so_far.flops - before.flops
        )
        before = so_far
        crossed = run.tell(population, Evaluation(torch.tensor(told, dtype=torch.float64), None, cost))
        # Differences of floats do not add up to the stored sum exactly: go on with the stored one.
        run.cost = so_far
        if crossed:
            if run.budget.spent not in scores:
                raise MismatchError(f"nothing was scored at {run.budget.spent} evaluations")
            run.note_dev(run.best(), scores[run.budget.spent])
    run.take_rows()
    if log["curve"]:
        last = log["curve"][-1]
        names = ("ask", "evaluate", "tell", "score")
        run.seconds = Seconds(**{name: last[f"seconds_{name}"] for name in names})
