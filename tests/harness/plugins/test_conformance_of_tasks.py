"""The kit for tasks: a right one passes every check, and each check has a task that fails it alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from harness import check_task
from harness.core import (
    Block,
    Cost,
    Evaluation,
    Majority,
    Points,
    Signature,
    Space,
    Task,
    Untuned,
    UserError,
)
from harness.plugins.conformance.tasks import CHECKS, examine_task
from harness.plugins.registry import TASKS


class Bowl(Task):
    """|z - 1|^2, moved a little in each generation."""

    metric, metric_direction = "loss", "min"

    def __init__(self, *, dimension: int = 3) -> None:
        self.space = Space([Block("x", (dimension,), "vector", 0.5)], {"x": torch.ones(dimension)})

    def losses(self, population, repetition, generation):
        points = population.values if isinstance(population, Points) else population.coordinates()
        shift = np.random.default_rng([repetition, generation]).normal(0, 0.1)
        return (points.double() - 1 - shift).square().sum(1)

    def evaluate(self, requests):
        losses = [self.losses(each.population, each.repetition, each.generation) for each in requests]
        return [Evaluation(each, None, Cost(len(each))) for each in losses]

    def score(self, candidates, split):
        start = Points(torch.zeros(1, self.space.size))
        seeds = {"train": 10_000, "dev": 10_001, "test": 10_002}
        return [
            {self.metric: float(self.losses(candidate or start, repetition, seeds[split]))}
            for candidate, repetition in candidates
        ]

    def signature(self):
        return Signature(f"bowl {self.space.size}", (1.0,))


class SinglePrecision(Bowl):
    """Its losses are float32."""

    def losses(self, population, repetition, generation):
        return super().losses(population, repetition, generation).float()


class Upwards(Bowl):
    """Has no such direction."""

    metric_direction = "up"


class Unstable(Bowl):
    """Its signature depends on when it was made."""

    made = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.made)

    def signature(self):
        return Signature(f"bowl {self.number}", ())


class Tired(Bowl):
    """Its losses grow from call to call."""

    calls = 0

    def losses(self, population, repetition, generation):
        self.calls += 1
        return super().losses(population, repetition, generation) + 1e-9 * self.calls


class Positional(Bowl):
    """A loss depends on its place in the population."""

    def losses(self, population, repetition, generation):
        return super().losses(population, repetition, generation) + 1e-9 * torch.arange(len(population))


class Mixing(Bowl):
    """A loss depends on the requests beside its own."""

    def evaluate(self, requests):
        answers = super().evaluate(requests)
        return [Evaluation(each.losses + 1e-9 * len(requests), None, each.cost) for each in answers]


class Forgiving(Bowl):
    """Takes nan for nothing."""

    def losses(self, population, repetition, generation):
        return super().losses(population, repetition, generation).nan_to_num(nan=0.0)


class Contagious(Bowl):
    """One failed candidate fails all."""

    def losses(self, population, repetition, generation):
        losses = super().losses(population, repetition, generation)
        return losses if losses.isfinite().all() else torch.full_like(losses, torch.nan)


class Overwriting(Bowl):
    """Leaves its mark on what it scored."""

    def score(self, candidates, split):
        scores = super().score(candidates, split)
        for candidate, _ in candidates:
            if isinstance(candidate, Points):
                candidate.values.mul_(2)
        return scores


class OtherMetric(Bowl):
    """Forgets its metric on test."""

    def score(self, candidates, split):
        scores = super().score(candidates, split)
        return [{"accuracy": each["loss"]} for each in scores] if split == "test" else scores


class Boastful(Bowl):
    """Says that it can be answered in every way."""

    def misfit(self, untuned):
        return None


class Unsure(Bowl):
    """Has a majority, and no score for it."""

    def misfit(self, untuned):
        return None if isinstance(untuned, Majority) else "unheard of"

    def score(self, candidates, split):
        tuned = [(None if isinstance(each, Untuned) else each, repetition) for each, repetition in candidates]
        scores = super().score(tuned, split)
        return [
            {"loss": float("nan")} if isinstance(each, Untuned) else score
            for (each, _), score in zip(candidates, scores, strict=True)
        ]


class OtherStart(Bowl):
    """Takes None for something else."""

    def score(self, candidates, split):
        ones = Points(torch.ones(1, self.space.size))
        return super().score([(each or ones, repetition) for each, repetition in candidates], split)


class TwoMinibatches(Bowl):
    """Has a first minibatch and another one for ever."""

    def losses(self, population, repetition, generation):
        return super().losses(population, repetition, min(generation, 1))


class Worldly(Bowl):
    """Draws from numpy's own generator."""

    def losses(self, population, repetition, generation):
        np.random.rand()
        return super().losses(population, repetition, generation)


class Unsigned(Bowl):
    """Takes all directions for positive ones."""

    def losses(self, population, repetition, generation):
        if not isinstance(population, Points):
            population.signs.abs_()
        return super().losses(population, repetition, generation)


class OneSided(Bowl):
    """Adds a little to directions."""

    def losses(self, population, repetition, generation):
        extra = 0.0 if isinstance(population, Points) else 0.1 * population.signs.abs()
        return super().losses(population, repetition, generation) + extra


WRONG = [
    ("contract", SinglePrecision, "its losses of 5 candidates are torch.float32[5]"),
    ("contract", Upwards, "its metric_direction is 'up', not max or min"),
    ("signature", Unstable, "made twice, its signature is another one"),
    ("deterministic", Tired, "one request asked twice has two answers"),
    ("chunk-and-order", Positional, "candidates at once and in pieces have other losses"),
    ("requests-together", Mixing, "requests alone and together have other losses"),
    ("failed-candidates", Forgiving, "the loss of a candidate that is nan is 0.0"),
    ("failed-candidates", Contagious, "beside a candidate that is nan the others' losses are"),
    ("inputs-unmodified", Overwriting, "it wrote to the points"),
    ("inputs-unmodified", Unsigned, "it wrote to the signs"),
    ("score", OtherMetric, "on test it scores ['accuracy'], and its metric is 'loss'"),
    ("untuned", Boastful, "it has no reason against a way of answering that nobody has described"),
    ("untuned", Unsure, "on train Majority() scores {'loss': nan}, and the metric is 'loss'"),
    ("start-is-none", OtherStart, "on dev None scores"),
    ("minibatches", TwoMinibatches, "8 generations share 2 minibatches"),
    ("global-random-state", Worldly, "it touched the global random state of numpy"),
    ("perturbations", OneSided, "directions have losses"),
]


@pytest.mark.parametrize(("check", "kind", "seen"), WRONG, ids=[kind.__name__ for _, kind, _ in WRONG])
def test_a_wrong_task_fails_the_check_that_is_there_for_it_and_no_other(check, kind, seen):
    report = examine_task(kind)
    assert [each.name for each in report.results if each.status == "failed"] == [check]
    assert seen in report[check].detail


def test_every_check_is_failed_by_some_wrong_task():
    assert {check for check, _, _ in WRONG} == {check.name for check in CHECKS}


def test_a_right_task_passes_every_check_as_a_class_an_object_and_a_name():
    with TASKS.register("bowl", Bowl):
        reports = [check_task(Bowl, dimension=4), check_task(Bowl()), check_task("bowl[dimension=5]")]
    assert all({result.status for result in report.results} == {"passed"} for report in reports)


def test_failures_raise_and_list_themselves():
    with pytest.raises(AssertionError, match=r"Tired fails 1 of 13 checks:\n  deterministic: "):
        check_task(Tired)


def test_an_unknown_task_is_the_callers_to_mend():
    with pytest.raises(UserError, match="unknown task 'spere': did you mean 'sphere'"):
        check_task("spere")


def test_a_task_may_declare_an_expected_failure():
    class Known(Tired):
        """Declares its fault."""

        expected_failures = {"deterministic": "a moving target"}  # noqa: RUF012

    assert check_task(Known)["deterministic"].status == "expected failure"


@pytest.mark.parametrize("name", ["sphere", "rosenbrock[dimension=4]", "rastrigin", "topic/reference/lora"])
def test_the_built_in_tasks_pass(name):
    check_task(name)
