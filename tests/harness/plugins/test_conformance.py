"""The kit for algorithms: a right one passes every check, and each check is failed alone by a wrong one."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import torch

from harness import check_algorithm
from harness.core import Algorithm, Gaussian, Majority, Perturbations, Points, UserError
from harness.plugins.conformance.algorithms import CHECKS, examine_algorithm
from harness.plugins.registry import ALGORITHMS
from harness.plugins.template import Template


class Descent(Algorithm):
    """Steps against the difference of two mirrored members; keeps its state."""

    family, source, smallest_budget = "toys", "this test", 2

    def __init__(self, space, budget, seed, *, sigma: float = 0.1, lr: float = 1.0) -> None:
        super().__init__(space, budget, seed)
        self.sigma, self.lr, self.generation = sigma, lr, 0
        self.center = None

    def ask(self, remaining):
        if remaining < 2:
            return None
        return self.around([0, 0], [1, -1])

    def around(self, members, signs):
        if self.center is None:
            self.center = {name: value.clone() for name, value in self.space.start().items()}
        noise = Gaussian(self.space, self.seed, self.generation)
        signs = torch.tensor(signs, dtype=torch.int8)
        return Perturbations(self.center, noise, self.sigma, torch.tensor(members), signs)

    def tell(self, population, losses, gradients=None):
        slope = float(losses[0] - losses[1]) / (2 * self.sigma)
        if np.isfinite(slope):
            for block in self.space.blocks:
                draw = population.noise.draw(0, block.name)
                self.center[block.name] -= min(self.lr * slope, 1.0) * block.scale * draw
        self.generation += 1

    def best(self):
        found = self.around([0], [0])
        return Perturbations(self.copied(), found.noise, self.sigma, found.members, found.signs)

    def copied(self):
        return {name: value.clone() for name, value in self.center.items()}

    def state(self):
        return {"center": self.copied(), "generation": self.generation}

    def load_state(self, state):
        self.center, self.generation = state["center"], state["generation"]


class PositionalOption(Template):
    """Takes its option by position."""

    def __init__(self, space, budget, seed, sigma: float = 1.0) -> None:
        super().__init__(space, budget, seed, sigma=sigma)


class OptionWithoutAnnotation(Template):
    """Says nothing of its option."""

    def __init__(self, space, budget, seed, *, sigma=1.0) -> None:
        super().__init__(space, budget, seed, sigma=sigma)


class RefusedDefault(Template):
    """Its default is no whole number."""

    def __init__(self, space, budget, seed, *, population: int = 2.5) -> None:
        super().__init__(space, budget, seed)


class Nameless(Template):
    """Belongs nowhere."""

    family = "other"


class Integers(Template):
    """Asks for whole numbers."""

    def ask(self, remaining):
        return Points(super().ask(remaining).values.long())


class Pair(Template):
    """Reports two."""

    def best(self):
        return Points(self.found.repeat(2, 1))


class Eager(Template):
    """Copies the start at once."""

    def __init__(self, space, budget, seed) -> None:
        super().__init__(space, budget, seed)
        self.center = space.start()


class EagerDraw(Template):
    """Draws at once."""

    def __init__(self, space, budget, seed) -> None:
        super().__init__(space, budget, seed)
        self.first = torch.randn(3, generator=self.generator)


class Overdraw(Template):
    """Always asks for a whole generation."""

    def ask(self, remaining):
        return super().ask(10) if remaining else None


class Frugal(Template):
    """Leaves two generations."""

    def ask(self, remaining):
        return super().ask(remaining) if remaining > 20 else None


class Idle(Template):
    """Says that it asks nothing, and asks."""

    smallest_budget = 0


class Silent(Template):
    """Declares a way of answering without tuning, and reports the model as it is."""

    untuned, reference, smallest_budget = Majority(), True, 0

    def ask(self, remaining):
        return None

    def best(self):
        return None


class Smuggler(Silent):
    """Tunes nothing, and is no reference."""

    reference = False

    def best(self):
        return Majority()


class Presumptuous(Template):
    """Reports a point that nobody evaluated."""

    told = False

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses)
        self.told = True

    def best(self):
        return Points(self.found if self.told else self.found + 1)


class Moving(Template):
    """Hands out the tensor that it works on."""

    def tell(self, population, losses, gradients=None):
        held = self.found
        super().tell(population, losses)
        self.found = held.copy_(self.found)


class Overwriting(Template):
    """Sorts the losses in place."""

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses)
        losses.copy_(losses.sort().values)


class WritesToTheStart(Descent):
    """Takes the start for its own."""

    def around(self, members, signs):
        self.center = self.center or self.space.start()
        return super().around(members, signs)


class NoFailures(Template):
    """Does not know nan."""

    def tell(self, population, losses, gradients=None):
        if losses.isnan().any():
            raise ArithmeticError("nan")
        super().tell(population, losses)


class GivesUp(Template):
    """Ends at the first nan."""

    ended = False

    def ask(self, remaining):
        return None if self.ended else super().ask(remaining)

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses)
        self.ended = bool(losses.isnan().any())


class Spread(Template):
    """Divides by the spread of the losses."""

    def tell(self, population, losses, gradients=None):
        if len(losses) > 1:
            self.step = 1.0 / float(losses.std())
        super().tell(population, losses)


class NoInfinity(Template):
    """Takes infinite losses for a mistake."""

    def tell(self, population, losses, gradients=None):
        if losses.isinf().any():
            raise OverflowError("inf")
        super().tell(population, losses)


class NanIsLeast(Template):
    """Takes nan for the least loss, as argmin does."""

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf))


class Jittery(Template):
    """Reports a point beside its best."""

    def best(self):
        jitter = int.from_bytes(os.urandom(2), "big") * 1e-8
        return Points(self.found + (jitter if self.lowest < torch.inf else 0.0))


class Obstinate(Template):
    """Has a favourite seed."""

    def __init__(self, space, budget, seed) -> None:
        super().__init__(space, budget, seed)
        self.own = torch.Generator().manual_seed(0)

    def ask(self, remaining):
        generator, self.generator = self.generator, self.own
        asked = super().ask(remaining)
        self.generator = generator
        return asked


class Worldly(Template):
    """Draws from torch's own generator."""

    def ask(self, remaining):
        asked = super().ask(remaining)
        return asked and Points(self.found + self.sigma * torch.randn(asked.values.shape))


class WorldlyNumpy(Template):
    """Draws from numpy's own generator, and throws it away."""

    def ask(self, remaining):
        np.random.rand()
        return super().ask(remaining)


class Slippery(Points):
    """A slice is the first so many members, whichever they are."""

    def __getitem__(self, members):
        return Points(self.values[: len(self.values[members])])


class Slippy(Template):
    """Its populations cannot be cut."""

    def ask(self, remaining):
        asked = super().ask(remaining)
        return asked and Slippery(asked.values)


class DrawsToReport(Template):
    """Its next points depend on how often it is asked for its best."""

    def best(self):
        torch.rand(1, generator=self.generator)
        return super().best()


class Forgetful(Template):
    """Its state lacks the step size."""

    def state(self):
        generator = self.generator.get_state()
        return {"found": self.found.clone(), "lowest": self.lowest, "generator": generator}

    def load_state(self, state):
        self.found, self.lowest = state["found"], state["lowest"]
        self.generator.set_state(state["generator"])


class LiveState(Descent):
    """Its state goes on changing after it was taken."""

    largest_dimension = 1000

    def state(self):
        return {"center": self.center, "generation": self.generation}


class Threaded(Template):
    """Its points depend on the number of threads."""

    def ask(self, remaining):
        asked = super().ask(remaining)
        return asked and Points(asked.values * (1 + 1e-6 * torch.get_num_threads()))


class SmallSteps(Template):
    """Takes far too small steps in few dimensions."""

    def ask(self, remaining):
        self.sigma = 1e-4 if self.space.size == 10 else self.sigma
        return super().ask(remaining)


class LargeSteps(Template):
    """Takes far too large steps in many dimensions."""

    def ask(self, remaining):
        self.sigma = 1.0 if self.space.size == 500 else self.sigma
        return super().ask(remaining)


class Hoarder(Descent):
    """Keeps seven copies of the parameters."""

    def ask(self, remaining):
        asked = super().ask(remaining)
        self.hoard = asked and [[torch.empty_like(each) for each in asked.center.values()] for _ in range(7)]
        return asked


WRONG = [
    ("options", PositionalOption, "its positional parameters are space, budget, seed, sigma"),
    ("options", OptionWithoutAnnotation, "option 'sigma' has no annotation"),
    ("options", RefusedDefault, "its own default is refused: default: population: must be a whole number"),
    ("description", Nameless, "its family is 'other'"),
    ("contract", Integers, "ask() returned torch.int64 values of shape (10, 10) for 10 coordinates"),
    ("contract", Pair, "best() returned 2 candidates, not one"),
    ("construction", Eager, "constructing it read the space's start"),
    ("construction", EagerDraw, "constructing it drew random numbers"),
    ("budget", Overdraw, "it asked for 10 evaluations when 1 remained"),
    ("budget", Frugal, "it asked for nothing with a budget of 1"),
    ("budget", Idle, "it declares smallest_budget = 0 and asks all the same"),
    ("untuned", Silent, "it declares untuned = Majority() and reports None"),
    ("untuned", Smuggler, "it tunes nothing, and is no reference with smallest_budget = 0"),
    ("best-before-the-first-tell", Presumptuous, "best() was away from the start before the first ask"),
    ("best-is-stable", Moving, "what best() returned after generation"),
    ("inputs-unmodified", Overwriting, "tell() wrote to the losses"),
    ("inputs-unmodified", WritesToTheStart, "it wrote to the start of the space"),
    ("failed-losses", NoFailures, "told a nan in each generation, it raised ArithmeticError: nan"),
    ("failed-losses", GivesUp, "told a nan in each generation, it stopped after 10 evaluations"),
    ("tied-losses", Spread, "told two generations of equal losses, it raised ZeroDivisionError"),
    ("infinite-losses", NoInfinity, "told a loss of inf in each generation, it raised OverflowError: inf"),
    ("failures-never-reported", NanIsLeast, "it reported a point whose loss is nan"),
    ("same-seed-same-run", Jittery, "two runs of one seed asked for the same points and reported others"),
    ("other-seed-other-run", Obstinate, "seeds 3 and 4 gave the same run"),
    ("global-random-state", Worldly, "it touched the global random state of torch"),
    ("global-random-state", WorldlyNumpy, "it touched the global random state of numpy"),
    ("members-apart", Slippy, "members evaluated in pieces are other points"),
    ("replay-equals-run", DrawsToReport, "told the stored losses again, it asked for other points"),
    ("state-round-trip", Forgetful, "with the state after 2 generations loaded, generation 2 is another one"),
    ("state-round-trip", LiveState, "with the state after 2 generations loaded, generation 2 is another one"),
    ("threads", Threaded, "runs with 1 and 3 threads differ in generation 0"),
    ("better-than-random-at-10", SmallSteps, "on the sphere with 10 coordinates and 300 evaluations"),
    ("better-than-random-at-500", LargeSteps, "on the sphere with 500 coordinates and 300 evaluations"),
    ("memory", Hoarder, "with 10,000,000 coordinates it held"),
]


@pytest.mark.parametrize(("check", "kind", "seen"), WRONG, ids=[kind.__name__ for _, kind, _ in WRONG])
def test_a_wrong_algorithm_fails_the_check_that_is_there_for_it_and_no_other(check, kind, seen):
    report = examine_algorithm(kind)
    assert [each.name for each in report.results if each.status == "failed"] == [check]
    assert seen in report[check].detail
    remedy = next(each.remedy for each in CHECKS if each.name == check)
    assert report[check].detail.endswith(f"; {remedy}")


def test_every_check_is_failed_by_some_wrong_algorithm():
    assert {check for check, _, _ in WRONG} == {check.name for check in CHECKS}


def test_a_right_algorithm_passes_every_check():
    assert {result.status for result in examine_algorithm(Descent).results} == {"passed"}
    skipped = [result.name for result in check_algorithm(Template).results if result.status == "skipped"]
    assert skipped == ["state-round-trip", "memory"]  # it keeps no state and asks for Points


def test_all_failures_are_listed_in_one_assertion_error():
    class Bad(Overdraw, Nameless):
        """Two faults."""

    with pytest.raises(AssertionError) as caught:
        check_algorithm(Bad)
    first, *failures = str(caught.value).splitlines()
    assert first == "Bad fails 2 of 23 checks:"
    assert [line.split(":")[0].strip() for line in failures] == ["description", "budget"]


def test_options_reach_the_algorithm_by_name_and_in_brackets():
    with ALGORITHMS.register("template", Template):
        assert check_algorithm("template[population=3]").subject == "template[population=3]"
        with pytest.raises(AssertionError, match="better-than-random-at-10"):
            check_algorithm("template", sigma=1e-9)
        with pytest.raises(UserError, match="unknown option 'sigm': did you mean 'sigma'"):
            check_algorithm("template", sigm=1.0)


def test_an_expected_failure_is_reported_with_its_reason_and_fails_nothing():
    class Known(Overdraw):
        """Declares its fault."""

        expected_failures = {"budget": "its library asks for whole generations"}  # noqa: RUF012

    result = check_algorithm(Known)["budget"]
    assert (result.status, result.detail) == ("expected failure", "its library asks for whole generations")


def test_an_expected_failure_that_passes_is_a_failure():
    class Mended(Template):
        """Declares a fault that it lacks."""

        expected_failures = {"budget": "long ago"}  # noqa: RUF012

    result = examine_algorithm(Mended)["budget"]
    assert result.status == "failed"
    assert result.detail == "declared to fail (long ago) but passes; remove the declaration"


def test_a_declaration_for_a_check_that_is_not_there_is_a_failure():
    class Misspelt(Template):
        """Declares nonsense."""

        expected_failures = {"bugdet": "a slip"}  # noqa: RUF012

    result = examine_algorithm(Misspelt)["bugdet"]
    assert result.status == "failed"
    assert result.detail == "there is no such check: did you mean 'budget'?; mend expected_failures"


def test_checks_are_skipped_where_capabilities_exclude_them():
    class Narrow(Template):
        """Fits twenty coordinates."""

        largest_dimension = 20

    result = check_algorithm(Narrow)["better-than-random-at-500"]
    assert (result.status, result.detail) == ("skipped", "500 coordinates are more than its limit of 20")


def test_an_algorithm_that_needs_a_larger_budget_is_given_it():
    class Costly(Template):
        """Wants a hundred and fifty."""

        @classmethod
        def misfit(cls, dimension, budget, **options):
            return None if budget >= 150 else "it wants 150 evaluations"

    assert check_algorithm(Costly)["budget"].status == "passed"


def test_the_kit_leaves_the_global_random_state_and_the_threads_alone():
    state, numpy_state, threads = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    examine_algorithm(Worldly)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.get_num_threads() == threads


def test_importing_the_names_of_the_kit_is_left_to_their_first_use():
    assert "pytest" in sys.modules  # the kit itself needs no pytest
    import harness

    assert harness.check_algorithm is check_algorithm
