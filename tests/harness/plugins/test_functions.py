"""Plain functions as algorithms and tasks."""

from __future__ import annotations

import gc
import inspect
import threading
import time

import numpy as np
import pytest
import torch

from harness import BudgetSpent, check_algorithm, check_task
from harness.core import Block, Budget, Points, Request, Space, UserError
from harness.plugins.build import Builder, algorithm_class, build_algorithm
from harness.plugins.conformance.driving import drive
from harness.plugins.functions import as_algorithm, as_task
from harness.plugins.options import describe_options
from harness.plugins.registry import ALGORITHMS, TASKS

SPACE = Space([Block("x", (3,), "vector")])


def climb(evaluate, space, budget, seed, *, sigma: float = 1.0, population: int = 10):
    """Climb a hill in numpy."""
    rng = np.random.default_rng(seed)
    best, lowest = np.zeros(space.size, dtype=np.float32), np.inf
    while True:
        points = best + sigma * rng.standard_normal((population, space.size), dtype=np.float32)
        losses = np.nan_to_num(evaluate(points), nan=np.inf, posinf=np.inf)
        if losses.min() < lowest:
            best, lowest, sigma = points[losses.argmin()], losses.min(), 1.2 * sigma
        else:
            sigma *= 0.7


climb.family, climb.source, climb.largest_dimension = "toys", "this test", 1000


def bowl(point, generator, *, dimension: int = 4, noise: float = 0.1):
    """A sphere under noise."""
    return (point - 1).square().sum() + noise * torch.randn((), generator=generator)


def start(function, budget=20, **options):
    return as_algorithm(function)(SPACE, Budget(budget), 0, **options)


def losses_of(population):
    return (population.values.double() - 1).square().sum(1)


def running(name):
    return sum(thread.name == name for thread in threading.enumerate())


def wait_until_none_runs(name):
    for _ in range(1000):
        if not running(name):
            return
        gc.collect()
        time.sleep(0.01)
    raise AssertionError("a thread was left behind")


def test_a_function_passes_the_kit_and_says_what_it_is():
    with ALGORITHMS.register("climb", climb):
        report = check_algorithm("climb[population=8]")
        kind, options = algorithm_class("climb[sigma=0.5]")
        assert (kind.family, kind.source, kind.largest_dimension) == ("toys", "this test", 1000)
        assert (kind.__name__, inspect.getdoc(kind), options) == (
            "climb",
            "Climb a hill in numpy.",
            {"sigma": 0.5},
        )
        assert [option.name for option in describe_options(kind)] == ["sigma", "population"]
        with pytest.raises(UserError, match="climb: unknown option 'sigm': did you mean 'sigma'"):
            build_algorithm("climb[sigm=1]", SPACE, Budget(5), 0)
        assert ALGORITHMS.load("climb") is ALGORITHMS.load("climb")
    skipped = [result.name for result in report.results if result.status == "skipped"]
    assert skipped == ["state-round-trip", "memory"]


def test_tensors_are_answered_with_float64_tensors_and_arrays_with_arrays():
    seen = []

    def both(evaluate, space, budget, seed):
        for points in (torch.ones(2, 3, dtype=torch.float64), np.ones((2, 3)), torch.ones(0, 3)):
            seen.append(evaluate(points))

    trace = drive(start(both), 20, losses_of_points)
    assert [type(each) for each in seen] == [torch.Tensor, np.ndarray, torch.Tensor]
    assert [len(each) for each in seen] == [2, 2, 0]
    assert all(str(each.dtype).endswith("float64") for each in seen)
    assert [len(points) for points in trace.points] == [2, 2]


def losses_of_points(points):
    return (points - 1).square().sum(1)


def test_the_returned_point_is_reported_even_when_it_was_never_evaluated():
    def certain(evaluate, space, budget, seed):
        evaluate(torch.zeros(1, 3))
        return np.ones(3)

    algorithm = start(certain)
    drive(algorithm, 20)
    assert algorithm.best().values.tolist() == [[1.0, 1.0, 1.0]]


def test_without_a_returned_point_the_best_evaluated_one_is_reported():
    def silent(evaluate, space, budget, seed):
        evaluate(torch.tensor([[0.0] * 3, [2.0] * 3, [1.5] * 3]))

    algorithm = start(silent)
    asked = algorithm.ask(20)
    algorithm.tell(asked, torch.tensor([torch.nan, 3.0, 2.0]).double())
    assert algorithm.best().values.tolist() == [[1.5] * 3]
    assert algorithm.ask(17) is None


def test_budget_spent_may_be_caught_to_return_a_point():
    def careful(evaluate, space, budget, seed):
        try:
            while True:
                evaluate(torch.zeros(6, 3))
        except Exception:
            raise AssertionError("BudgetSpent is no Exception") from None
        except BudgetSpent:
            return torch.full((3,), 0.5)

    algorithm = start(careful)
    trace = drive(algorithm, 20)
    assert [len(points) for points in trace.points] == [6, 6, 6, 2]  # the last is cut to what remains
    assert algorithm.best().values.tolist() == [[0.5] * 3]
    assert algorithm.ask(0) is None


def test_the_budget_that_a_function_is_given_is_what_remains():
    def counting(evaluate, space, budget, seed):
        evaluate(torch.zeros(budget, 3))

    assert len(start(counting, budget=50).ask(30)) == 30


def test_errors_of_the_function_surface_where_it_was_called():
    def at_once(evaluate, space, budget, seed):
        raise KeyError("first")

    def later(evaluate, space, budget, seed):
        evaluate(torch.zeros(1, 3))
        raise KeyError("second")

    def leaving(evaluate, space, budget, seed):
        raise SystemExit(3)

    with pytest.raises(KeyError, match="first"):
        start(at_once).ask(20)
    with pytest.raises(RuntimeError, match="leaving raised SystemExit: 3"):
        start(leaving).ask(20)
    algorithm = start(later)
    asked = algorithm.ask(20)
    with pytest.raises(KeyError, match="second"):
        algorithm.tell(asked, losses_of(asked))


@pytest.mark.parametrize("returned", [torch.ones(4), [1.0, torch.nan, 1.0]])
def test_a_returned_point_of_another_size_or_not_finite_is_an_error(returned):
    def wrong(evaluate, space, budget, seed):
        return returned

    with pytest.raises(ValueError, match="wrong returned no finite point of 3 coordinates"):
        start(wrong).ask(20)


def test_points_that_are_no_matrix_are_an_error_in_the_function():
    def flat(evaluate, space, budget, seed):
        evaluate(torch.zeros(3))

    with pytest.raises(ValueError, match=r"evaluate takes points \[n, d\], got shape \(3,\)"):
        start(flat).ask(20)


def test_a_function_that_swallows_budget_spent_does_not_hang_its_caller():
    def stubborn(evaluate, space, budget, seed):
        for _ in range(5):
            try:
                evaluate(torch.zeros(10, 3))
            except BaseException:
                continue

    with pytest.raises(RuntimeError, match="evaluate was called again after BudgetSpent"):
        drive(start(stubborn), 20)


def test_the_thread_ends_when_the_algorithm_is_dropped_or_the_budget_is_spent():
    def patient(evaluate, space, budget, seed):
        while True:
            evaluate(torch.zeros(5, 3))

    algorithm = start(patient)
    assert running("patient") == 0  # construction starts nothing
    algorithm.ask(20)
    assert running("patient") == 1
    del algorithm
    wait_until_none_runs("patient")
    finished = start(patient)
    drive(finished, 20)
    wait_until_none_runs("patient")


def test_a_function_of_other_parameters_is_refused_with_the_right_ones():
    def wrong(space, budget): ...

    with (
        ALGORITHMS.register("wrong", wrong),
        pytest.raises(
            UserError, match=r"is no algorithm; write it as minimise\(evaluate, space, budget, seed\)"
        ),
    ):
        algorithm_class("wrong")


def test_a_function_of_a_point_is_a_task_that_passes_the_kit():
    with TASKS.register("noisy-bowl", bowl):
        check_task("noisy-bowl")
        task = Builder().task("noisy-bowl[dimension=7,noise=0]")
        with pytest.raises(UserError, match="noisy-bowl: unknown option 'nois': did you mean 'noise'"):
            Builder().task("noisy-bowl[nois=0]")
    assert (task.dimension, task.metric, task.metric_direction) == (7, "loss", "min")
    assert task.score([(None, 0)], "test") == [{"loss": 7.0}]


def test_a_task_function_draws_one_minibatch_for_a_generation():
    task = as_task(bowl)()
    zeros = Points(torch.zeros(2, 4))
    first, second = task.evaluate([Request(zeros, 0, 0), Request(zeros, 0, 1)])
    assert first.losses[0] == first.losses[1]
    assert first.losses[0] != second.losses[0]


def test_the_signature_of_a_task_function_depends_on_its_options():
    kind = as_task(bowl)
    assert kind().signature() == kind().signature()
    assert kind(noise=0.2).signature().digest != kind().signature().digest


@pytest.mark.parametrize("function", [lambda point: 0.0, lambda a, b, c, *, dimension=3: 0.0])
def test_a_task_function_without_a_dimension_is_refused_with_the_remedy(function):
    with pytest.raises(UserError, match=r"is no task; write it as loss\(point, \*, dimension: int = 10\)"):
        as_task(function)


def test_a_function_without_positional_parameters_stays_a_factory_of_tasks():
    def factory(*, dimension: int = 3):
        return as_task(bowl)(dimension=dimension)

    with TASKS.register("made", factory):
        assert Builder().task("made[dimension=9]").dimension == 9
