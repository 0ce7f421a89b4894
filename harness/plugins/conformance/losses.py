"""Losses that are nan, infinite or equal."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugins.conformance.driving import Spoil, Subject, sphere
from harness.plugins.conformance.report import BreachError, Checks, NotApplicableError

CHECKS: Checks[Subject] = Checks()


def _survives(subject: Subject, told: str, spoil: Spoil, *, goes_on: bool) -> None:
    try:
        trace = subject.run(120, spoil=spoil)
    except NotApplicableError:
        raise
    except Exception as error:
        raise BreachError(f"told {told}, it raised {type(error).__name__}: {error}") from error
    if not bool(trace.all_points().isfinite().all()):
        raise BreachError(f"told {told}, it asked for points that are not finite")
    if not bool(torch.cat(trace.reported).isfinite().all()):
        raise BreachError(f"told {told}, it reported a point that is not finite")
    if goes_on and trace.spent < 0.5 * subject.budget(120):
        raise BreachError(f"told {told}, it stopped after {trace.spent} evaluations")


def _one_of(value: float) -> Spoil:
    def spoil(generation: int, losses: Tensor) -> Tensor:
        losses[generation % len(losses)] = value
        return losses

    return spoil


def _all_of(value: float, generations: int) -> Spoil:
    return lambda generation, losses: torch.full_like(losses, value) if generation < generations else losses


@CHECKS.add("count nan as worse than any other loss, and learn nothing where all are nan", after=["contract"])
def failed_losses(subject: Subject) -> None:
    _survives(subject, "a nan in each generation", _one_of(torch.nan), goes_on=True)
    _survives(subject, "two generations of nan", _all_of(torch.nan, 2), goes_on=True)
    _survives(subject, "nothing but nan", _all_of(torch.nan, 1000), goes_on=False)


@CHECKS.add("give equal losses equal weight, and do not divide by their spread", after=["contract"])
def tied_losses(subject: Subject) -> None:
    _survives(subject, "two generations of equal losses", _all_of(0.5, 2), goes_on=True)
    _survives(subject, "nothing but equal losses", _all_of(0.5, 1000), goes_on=False)


@CHECKS.add("use ranks, or bring infinite losses to the worst finite one", after=["contract"])
def infinite_losses(subject: Subject) -> None:
    for value in (torch.inf, -torch.inf):
        _survives(subject, f"a loss of {value} in each generation", _one_of(value), goes_on=True)
        _survives(subject, f"two generations of {value}", _all_of(value, 2), goes_on=True)


@CHECKS.add("compare losses with nan and inf as the worst", after=["failed-losses", "infinite-losses"])
def failures_never_reported(subject: Subject) -> None:
    if subject.kind.needs_gradient:
        raise NotApplicableError("it reports where a gradient led it, before that point is evaluated")
    for value in (torch.nan, torch.inf):

        def only_the_start_works(points: Tensor, value: float = value) -> Tensor:
            # Away from zero in float32: perturbed parameters are rounded.
            return torch.where(points.abs().amax(1) > 0.01, value, sphere(points))

        trace = subject.run(60, loss=only_the_start_works)
        if not bool(only_the_start_works(torch.cat(trace.reported)).isfinite().all()):
            raise BreachError(f"it reported a point whose loss is {value}, and the start's is 0.5")
