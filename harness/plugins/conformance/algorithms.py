"""What holds for every algorithm, as named checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.core.algorithm import Algorithm
from harness.plugins.build import algorithm_class
from harness.plugins.conformance import contract, losses, performance, repetition
from harness.plugins.conformance.driving import Subject
from harness.plugins.conformance.report import Checks, Report
from harness.plugins.functions import as_algorithm
from harness.plugins.options import typed_options

CHECKS: Checks[Subject] = Checks([*contract.CHECKS, *losses.CHECKS, *repetition.CHECKS, *performance.CHECKS])


def check_algorithm(algorithm: str | type[Algorithm] | Callable[..., Any], **options: Any) -> Report:
    """Check an algorithm; for tests of one's own.

    Args:
        algorithm: a registered name (with options in brackets, if any), a subclass of Algorithm, or a
            function ``minimise(evaluate, space, budget, seed)``.
        options: of the algorithm.

    Raises:
        AssertionError: listing every failed check, with what was seen and how to mend it.
        UserError: for a name or an option that is unknown.

    >>> from harness.plugins.template import Template
    >>> print(check_algorithm(Template, population=5)["budget"])
    passed            budget
    """
    return examine_algorithm(algorithm, **options).require()


def examine_algorithm(algorithm: str | type[Algorithm] | Callable[..., Any], **options: Any) -> Report:
    """The same checks; failures are in the report only."""
    if isinstance(algorithm, str):
        kind, given = algorithm_class(algorithm)
        label = algorithm
    else:
        kind, given = algorithm if isinstance(algorithm, type) else as_algorithm(algorithm), {}
        label = kind.__name__
    given = {**given, **typed_options(kind, options, label, contract.READ)}
    kind = kind.configured(**given)
    return CHECKS.report(label, Subject(kind, given), kind.expected_failures)
