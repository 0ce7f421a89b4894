"""What an executor is given, and what it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from harness.running.clock import Breakdown
from harness.running.observer import Observer
from harness.running.store import Store
from harness.running.sweep_file import Sweep

if TYPE_CHECKING:
    from harness.plugins.build import Builder
    from harness.running.plan import Cell


@dataclass(frozen=True)
class Session:
    """One go at a sweep.

    Args:
        sweep: its words.
        builder: that the plan was made with.
        store: open.
        observer: is told how it goes.
        breakdown: takes down where the time goes.
        flush_seconds: how often unfinished cells are stored; 0 for every round.
    """

    sweep: Sweep
    builder: Builder
    store: Store
    observer: Observer
    breakdown: Breakdown
    flush_seconds: float


class Executor(ABC):
    """Runs the cells of a plan somewhere; a context, entered before the plan is made."""

    planning: ClassVar[bool] = True
    """Whether the plan is made without weights, since they are loaded elsewhere."""

    session: Session

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever it has started."""

    def begin(self, session: Session) -> None:
        """The plan is made, and the store is open."""
        self.session = session

    @abstractmethod
    def run(self, cells: Sequence[Cell], retry: bool = False) -> None:
        """Run what is not done of a plan's cells, and wait for what other sweeps run of them.

        Args:
            cells: skipped ones are not run.
            retry: run those again that failed or timed out.

        Raises:
            UserError: for what is the user's to mend.
        """

    def end(self) -> None:  # noqa: B027
        """The sweep has ended, or was broken off: what was measured is put together."""
