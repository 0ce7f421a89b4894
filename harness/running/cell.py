"""One cell while it runs: ask, tell, choose among the dev points, and the rows that this makes."""

from __future__ import annotations

import math
import time
import traceback
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Gradients, Perturbations, Points, Population
from harness.core.space import Space
from harness.core.task import Cost, Evaluation, Protocol, Split, Task
from harness.core.untuned import Candidate, Untuned
from harness.running.clock import Breakdown

Rows = list[dict[str, Any]]
LONGEST = 2000
"""Characters of an exception's message that are kept in the tables; the traceback has it whole."""


class ContractError(Exception):
    """A plugin broke the vocabulary; the message says what it did and what was expected."""


@dataclass(frozen=True)
class Failure:
    """Why a cell failed.

    Args:
        reason: exception type, message and where, in one line.
        trace: the whole traceback, for the plugin's author.
    """

    reason: str
    trace: str

    @classmethod
    def of(cls, error: BaseException, doing: str) -> Failure:
        """Describe an exception that was raised while ``doing`` something.

        >>> Failure.of(ContractError("it asked for 9 evaluations, 4 remain"), "ask").reason
        'ContractError in ask: it asked for 9 evaluations, 4 remain'
        """
        frames = traceback.extract_tb(error.__traceback__)
        message = " ".join(str(error).split()) or "no message"
        where = ""
        if frames and not isinstance(error, ContractError):
            # Only the file's name: the folder is this machine's business, and the tables are published.
            name = frames[-1].filename.replace("\\", "/").rsplit("/", 1)[-1]
            where = f" ({name}:{frames[-1].lineno}, in {frames[-1].name})"
        return cls(
            storable(f"{type(error).__name__} in {doing}: {message[:LONGEST]}{where}"),
            storable("".join(traceback.format_exception(error))),
        )


def storable(text: str) -> str:
    r"""A plugin's text as tables can hold it: what is no character, as in odd file names, is written out.

    >>> storable("caf\udce9.bin")
    'caf\\udce9.bin'
    """
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass
class Seconds:
    """Time that a cell has used so far; its own limit counts all but scoring."""

    ask: float = 0.0
    evaluate: float = 0.0
    tell: float = 0.0
    score: float = 0.0

    @property
    def own(self) -> float:
        """What the protocol's timeout is compared with."""
        return self.ask + self.evaluate + self.tell

    def columns(self) -> dict[str, float]:
        """As columns of the tables."""
        return {
            "seconds_ask": self.ask,
            "seconds_evaluate": self.evaluate,
            "seconds_tell": self.tell,
            "seconds_score": self.score,
        }


@dataclass(frozen=True)
class Reported:
    """The candidate that would be reported: the best of the dev points so far, the earliest on ties."""

    candidate: Candidate
    evaluations: int
    dev_metric: float


@dataclass
class CellRun:
    """The state of one cell: an algorithm, what it spent, and rows that are not yet stored.

    The runner alone spends the budget. Dev points are where the evaluations spent cross
    ``total * k / dev_points``; the end of a run counts as the last one, wherever the algorithm stops, so
    that what it holds then is always a candidate (and one that asks nothing is scored as it is).

    Args:
        algorithm: freshly made, on ``task.space`` and the budget ``shown``.
        task: names the metric by which candidates are chosen.
        shown: the budget that the algorithm reads. It is a copy, set right in every generation, so that an
            algorithm that spends by itself cannot spend for the runner.
        protocol: dev points and timeout.
        breakdown: of the session, in which ask, tell and best are phases.
        repetition: of the data split.
    """

    algorithm: Algorithm
    task: Task
    shown: Budget
    protocol: Protocol
    breakdown: Breakdown
    repetition: int = 0
    generation: int = 0
    minibatch: int = 0
    cost: Cost = field(default_factory=Cost)
    seconds: Seconds = field(default_factory=Seconds)
    reported: Reported | None = None
    failed_evaluations: int = 0
    scored_candidates: int = 0
    score_cost: Cost = field(default_factory=Cost)
    loss_lowest: float = math.nan
    final_metrics: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=lambda: {"curve": [], "metrics": [], "losses": []})
    _scored_at: int | None = None

    def __post_init__(self) -> None:
        self.budget = Budget(self.shown.total)

    def ask(self) -> Population | None:
        """The next generation, checked, or None where the algorithm or its budget is at an end.

        Raises:
            ContractError: for what does not fit the space or the budget.
        """
        if not self.budget.remaining:
            return None
        self.shown.spent = self.budget.spent
        start = time.perf_counter()
        with self.breakdown.phase("ask"):
            population = self.algorithm.ask(self.budget.remaining)
        self.seconds.ask += time.perf_counter() - start
        if population is None:
            return None
        self._check(population)
        return population if len(population) else None

    def _check(self, population: Population) -> None:
        if not isinstance(population, (Points, Perturbations)):
            raise ContractError(f"it returned {type(population).__name__}, not Points or Perturbations")
        if isinstance(population, Gradients) and not self.algorithm.needs_gradient:
            raise ContractError("it asked for gradients without declaring needs_gradient")
        _check_shape(population, self.task.space)
        price = Budget.price(population)
        if price > self.budget.remaining:
            raise ContractError(f"it asked for {price} evaluations, {self.budget.remaining} remain")

    def check_evaluation(self, population: Population, evaluation: Evaluation) -> None:
        """Raise ContractError where a task answered with other shapes than the population's."""
        if tuple(evaluation.losses.shape) != (len(population),):
            shape = tuple(evaluation.losses.shape)
            raise ContractError(
                f"the task answered {len(population)} candidates with losses of shape {shape}"
            )
        if isinstance(population, Gradients) and (
            evaluation.gradients is None or evaluation.gradients.shape != population.values.shape
        ):
            raise ContractError("the task gave no gradients [n, d] where they were asked for")

    def tell(self, population: Population, evaluation: Evaluation) -> bool:
        """Spend, tell the algorithm, and note the generation's rows; true where a dev point was crossed."""
        losses = evaluation.losses.detach().to("cpu", torch.float64)
        values: list[float] = losses.tolist()
        self.rows["losses"] += [
            {"generation": self.generation, "member": member, "loss": loss}
            for member, loss in enumerate(values)
        ]
        before = self.budget.spent
        self.budget.spend(Budget.price(population))
        self.shown.spent = self.budget.spent
        self.cost += evaluation.cost
        valid = [loss for loss in values if not math.isnan(loss)]
        self.failed_evaluations += len(values) - len(valid)
        self.loss_lowest = min([*valid, self.loss_lowest], key=lambda loss: (math.isnan(loss), loss))
        self.rows["curve"].append(
            {
                "generation": self.generation,
                "evaluations": self.budget.spent,
                "sequences": self.cost.sequences,
                "tokens": self.cost.tokens,
                "flops": self.cost.flops,
                "loss_best": min(valid, default=math.nan),
                "loss_mean": _mean(valid),
                "loss_lowest": self.loss_lowest,
            }
        )
        self.generation += 1
        start = time.perf_counter()
        # A clone: an algorithm may work on its losses in place, and the tensor may be the task's own.
        with self.breakdown.phase("tell"):
            self.algorithm.tell(population, losses.clone(), evaluation.gradients)
        self.seconds.tell += time.perf_counter() - start
        if not self.algorithm.same_minibatch:
            self.minibatch += 1
        points, total = self.protocol.dev_points, self.budget.total
        return self.budget.spent * points // total > before * points // total

    def best(self) -> Candidate:
        """The algorithm's ``best()``, checked to be a population of one, a way without tuning, or None."""
        start = time.perf_counter()
        with self.breakdown.phase("tell"):
            candidate = self.algorithm.best()
        self.seconds.tell += time.perf_counter() - start
        if candidate is None or isinstance(candidate, Untuned):
            return candidate
        if not isinstance(candidate, (Points, Perturbations)) or len(candidate) != 1:
            raise ContractError("best() must return a population of one, or None")
        _check_shape(candidate, self.task.space)
        return candidate

    @property
    def scored(self) -> bool:
        """Whether what the algorithm holds now has been scored on dev."""
        return self._scored_at == self.budget.spent

    def note_dev(self, candidate: Candidate, metrics: dict[str, float]) -> None:
        """Take in the dev metrics of ``best()``; it is the one reported if none before it was as good."""
        if self.task.metric not in metrics:
            raise ContractError(f"the task's score lacks its metric {self.task.metric!r}")
        value = float(metrics[self.task.metric])
        self._scored_at = self.budget.spent
        self._note(candidate, "dev", self.budget.spent, metrics)
        if self.reported is None or self._better(value, self.reported.dev_metric):
            self.reported = Reported(candidate, self.budget.spent, value)

    def _better(self, value: float, other: float) -> bool:
        if math.isnan(value) or math.isnan(other):
            return math.isnan(other) and not math.isnan(value)
        return value > other if self.task.metric_direction == "max" else value < other

    def note_metrics(self, split: str, evaluations: int, metrics: dict[str, float]) -> None:
        """Keep the reported candidate's metrics as rows; the task's own metric stands in ``runs`` too."""
        self._note(self.reported.candidate if self.reported else None, split, evaluations, metrics)

    def _note(self, candidate: Candidate, split: str, evaluations: int, metrics: dict[str, float]) -> None:
        self.scored_candidates += 1
        rows = cast(Split, split), self.repetition
        if isinstance(candidate, Untuned):
            self.score_cost += self.task.untuned_cost(candidate, *rows)
        else:
            self.score_cost += self.task.score_cost(*rows)
        self.rows["metrics"] += [
            {"evaluations": evaluations, "split": split, "metric": name, "value": float(value)}
            for name, value in metrics.items()
        ]
        if split != "dev":
            self.final_metrics[split] = float(metrics.get(self.task.metric, math.nan))

    def close_round(self) -> None:
        """Complete the row of the generation that was just told, after any scoring at its dev point."""
        # Once only: whether a row still waits to be stored later on is a matter of time.
        if self.rows["curve"] and "dev_metric" not in self.rows["curve"][-1]:
            row = self.rows["curve"][-1]
            row["dev_metric"] = self.reported.dev_metric if self.reported else math.nan
            row.update(self.seconds.columns())

    def take_rows(self) -> dict[str, Rows]:
        """The rows since the last time, to be stored."""
        rows, self.rows = self.rows, {name: [] for name in self.rows}
        return rows

    @property
    def resumable(self) -> bool:
        """Whether a stored log of losses brings the algorithm back to where it was."""
        return self.algorithm.deterministic and not self.algorithm.needs_gradient

    def _inside(self) -> str | None:
        try:
            inside = self.algorithm.inside
            return None if inside is None else storable(str(inside))
        except Exception:  # of an algorithm that has failed there may be nothing left to ask
            return None

    def summary(self) -> dict[str, Any]:
        """What the cell knows of its row in ``runs``."""
        reported = self.reported
        return {
            "inside": self._inside(),
            "evaluations": self.budget.spent,
            "generations": self.generation,
            "failed_evaluations": self.failed_evaluations,
            "reported_at": reported.evaluations if reported else None,
            "train_metric": self.final_metrics.get("train", math.nan),
            "dev_metric": reported.dev_metric if reported else math.nan,
            "test_metric": self.final_metrics.get("test", math.nan),
            "sequences": self.cost.sequences,
            "tokens": self.cost.tokens,
            "flops": self.cost.flops,
            "scored_candidates": self.scored_candidates,
            "score_sequences": self.score_cost.sequences,
            "score_tokens": self.score_cost.tokens,
            "score_flops": self.score_cost.flops,
            **self.seconds.columns(),
        }


def _check_shape(population: Population, space: Space) -> None:
    if isinstance(population, Points):
        if population.values.shape[1] != space.size:
            shape = tuple(population.values.shape)
            raise ContractError(f"its points have shape {shape}, the space has {space.size} coordinates")
        if not population.values.is_floating_point():
            raise ContractError(f"its points are {population.values.dtype}, not floating point")
        return
    for block in space.blocks:
        center: Tensor | None = population.center.get(block.name)
        if center is None or tuple(center.shape) != block.shape:
            found = "missing" if center is None else f"of shape {tuple(center.shape)}"
            raise ContractError(f"its center is {found} in block {block.name!r}, which is {block.shape}")


def _mean(values: list[float]) -> float:
    if not values:
        return math.nan
    if all(map(math.isfinite, values)):
        return math.fsum(values) / len(values)
    return sum(values)  # fsum refuses infinities of both signs; the sum is the inf or nan that is meant
