"""Which ways of answering without tuning text tasks know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.core import Demonstrations, Majority, Probe, Untuned
from tasks.untuned.demonstrations import DemonstrationWay
from tasks.untuned.majority import MajorityWay
from tasks.untuned.probe import ProbeWay
from tasks.untuned.way import Way

if TYPE_CHECKING:
    from tasks.text_task import TextTask

WAYS: Mapping[type[Untuned], Callable[[TextTask, Any], Way]] = {
    Majority: lambda task, _: MajorityWay(task),
    Demonstrations: lambda task, untuned: DemonstrationWay(task, untuned.shots),
    Probe: lambda task, _: ProbeWay(task),
}
"""How each is made, of a task and the value that asks for it."""
