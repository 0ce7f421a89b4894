"""Named checks, and the report of what they found."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch

from harness.plugins.messages import did_you_mean

Status = Literal["passed", "failed", "expected failure", "skipped"]
S = TypeVar("S")


class BreachError(AssertionError):
    """What a check saw that should not be."""


class NotApplicableError(Exception):
    """Why a check does not concern this subject, in one sentence."""


@dataclass(frozen=True)
class Result:
    """How one check ended.

    Args:
        name: of the check.
        status: ``passed``, ``failed``, ``expected failure`` or ``skipped``.
        detail: what was seen and how to mend it, or the reason; empty where it passed.

    >>> str(Result("budget", "skipped", "it asks for nothing"))
    'skipped           budget: it asks for nothing'
    """

    name: str
    status: Status
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.status:<16}  {self.name}{': ' if self.detail else ''}{self.detail}"


@dataclass(frozen=True)
class Report:
    """All results of one algorithm or task, in the order of the checks.

    >>> report = Report("random", (Result("budget", "failed", "it asked for 9 of 4; ask for less"),))
    >>> report.ok, report["budget"].status
    (False, 'failed')
    """

    subject: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed; expected failures are none."""
        return all(result.status != "failed" for result in self.results)

    def __getitem__(self, name: str) -> Result:
        return next(result for result in self.results if result.name == name)

    def __str__(self) -> str:
        return "\n".join([f"{self.subject}:", *(f"  {result}" for result in self.results)])

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"name": self.subject, "ok": self.ok, "checks": [asdict(result) for result in self.results]}

    def require(self) -> Report:
        """This report; AssertionError listing every failed check, if there is one."""
        failed = [f"  {result.name}: {result.detail}" for result in self.results if result.status == "failed"]
        if failed:
            raise AssertionError(
                f"{self.subject} fails {len(failed)} of {len(self.results)} checks:\n" + "\n".join(failed)
            )
        return self


@dataclass(frozen=True)
class Check(Generic[S]):
    """One check.

    Args:
        name: as it is reported, and declared in ``expected_failures``.
        run: raises BreachError, NotApplicableError, or whatever the subject raises.
        remedy: what the author is to do when it fails.
        after: checks that have to pass for this one to say anything.
    """

    name: str
    run: Callable[[S], None]
    remedy: str
    after: tuple[str, ...]


class Checks(list[Check[S]]):
    """An ordered list of checks, filled by a decorator; a check is named as its function is.

    >>> checks = Checks()
    >>> @checks.add("give a larger number")
    ... def at_least_three(number):
    ...     if number < 3:
    ...         raise BreachError(f"{number} is less than 3")
    >>> str(checks.report("2", 2, {})["at-least-three"])
    'failed            at-least-three: 2 is less than 3; give a larger number'
    >>> str(checks.report("2", 2, {"at-least-three": "it is two"})["at-least-three"])
    'expected failure  at-least-three: it is two'
    """

    def add(self, remedy: str, *, after: Sequence[str] = ()) -> Callable[[Callable[[S], None]], Any]:
        """Decorate a function of the subject."""

        def added(run: Callable[[S], None]) -> Callable[[S], None]:
            self.append(Check(run.__name__.replace("_", "-"), run, remedy, tuple(after)))
            return run

        return added

    def report(self, label: str, subject: S, expected: Mapping[str, str]) -> Report:
        """Run all checks.

        Args:
            label: the subject's name in the report.
            subject: what is checked.
            expected: names of checks that are known to fail, and why.
        """
        results: dict[str, Result] = {}
        cause: dict[str, str] = {}  # of a check that says nothing: the one that fails
        for check in self:
            broken = [cause[name] for name in check.after if name in cause]
            if broken:
                cause[check.name] = broken[0]
                results[check.name] = Result(check.name, "skipped", f"says nothing while {broken[0]} fails")
                continue
            result = _outcome(check, subject)
            if check.name in expected and result.status == "failed":
                result = Result(check.name, "expected failure", expected[check.name])
            elif check.name in expected and result.status == "passed":
                said = f"declared to fail ({expected[check.name]}) but passes; remove the declaration"
                result = Result(check.name, "failed", said)
            results[check.name] = result
            if result.status in ("failed", "expected failure"):
                cause[check.name] = check.name
        for name in expected:
            if name not in results:
                said = f"there is no such check: {did_you_mean(name, results)}; mend expected_failures"
                results[name] = Result(name, "failed", said)
        return Report(label, tuple(results.values()))


def _outcome(check: Check[S], subject: S) -> Result:
    try:
        with global_state():
            check.run(subject)
    except NotApplicableError as reason:
        return Result(check.name, "skipped", str(reason))
    except BreachError as seen:
        return Result(check.name, "failed", f"{seen}; {check.remedy}")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}, in {frame.name}"
        said = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'} ({place})"
        return Result(check.name, "failed", f"{said}; nothing should be raised here")
    return Result(check.name, "passed")


@contextmanager
def global_state(seed: int = 0) -> Iterator[None]:
    """Sets the global random state of Python, numpy and torch by a seed; the caller's comes back at the end.

    >>> with global_state(1):
    ...     first = random.random()
    >>> with global_state(1):
    ...     first == random.random()
    True
    """
    before, threads = fingerprint(), torch.get_num_threads()
    seed_globally(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(torch.tensor(before[2], dtype=torch.uint8))
        torch.set_num_threads(threads)


def seed_globally(seed: int) -> None:
    """Set the global random state of Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def fingerprint() -> tuple[Any, Any, list[int]]:
    """The global random state of Python, numpy and torch, to be compared."""
    name, words, *rest = np.random.get_state()
    return random.getstate(), (name, np.asarray(words).tolist(), *rest), torch.get_rng_state().tolist()
