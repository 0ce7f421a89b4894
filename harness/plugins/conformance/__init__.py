"""The conformance kit: what must hold for every algorithm and every task, as named checks.

A plugin's own tests call ``check_algorithm`` and ``check_task``; ``gradfree check NAME`` prints the same.
What cannot hold is declared on the class, with a reason: ``expected_failures = {"threads": "uses BLAS"}``.
A declared failure that passes is a failure.
"""

from harness.core.errors import UserError
from harness.plugins.conformance.algorithms import check_algorithm, examine_algorithm
from harness.plugins.conformance.report import Report, Result
from harness.plugins.conformance.tasks import check_task, examine_task
from harness.plugins.messages import did_you_mean, shown
from harness.plugins.registry import ALGORITHMS, TASKS
from harness.plugins.spec import Spec, parse_task

__all__ = ["Report", "Result", "check_algorithm", "check_task", "examine"]


def examine(name: str) -> list[Report]:
    """What the checks find of an algorithm or a task by name; of both, where both bear it.

    Raises:
        UserError: for a name that neither bears, or an option that is unknown.

    >>> [report.ok for report in examine("sphere[dimension=3]")]
    [True]
    """
    spec = parse_task(name)
    if not isinstance(spec, Spec):
        return [examine_task(name)]
    found = []
    if spec.name in ALGORITHMS.names():
        found.append(examine_algorithm(name))
    if spec.name in TASKS.names():
        found.append(examine_task(name))
    if not found:
        known = did_you_mean(spec.name, [*ALGORITHMS.names(), *TASKS.names()])
        raise UserError(f"unknown algorithm or task {shown(spec.name)}: {known}")
    return found
