"""Who runs a cell: claims in the folder of the results, so that sweeps of several processes can share it.

A sweep is an *owner* while it lasts: a file under ``.claims/owners`` that it rewrites every few seconds. A
cell is claimed by a file ``.claims/<cell>.<n>`` that names the owner, made by a hard link, which is there
whole or not at all and which only one of several can make. The claim with the highest ``n`` holds. The claim
of a dead owner is taken over by making the next one; nothing is ever renamed or locked, so that a network
folder serves as well. Whoever takes a cell then looks whether it has ended meanwhile, and whoever stores one
looks whether the claim is still its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from harness.running.files import DamagedError, read_json, storing, write_json

FOLDER = ".claims"
BEAT_SECONDS = 5.0
"""Between two signs of life."""
PATIENCE_SECONDS = 60.0
"""An owner on another machine that gives no sign for so long is taken for dead."""
ASTRAY_SECONDS = 600.0
"""The clocks of two machines that share a folder differ by less."""


class Claims:
    """Claims in the name of an owner, by the owner itself or by a process that it has started.

    Args:
        folder: of the results.
        owner: its id.
        patience: seconds after which a silent owner on another machine is taken for dead.
    """

    def __init__(self, folder: Path, owner: str, patience: float = PATIENCE_SECONDS) -> None:
        self.id = owner
        self.root = folder / FOLDER
        self.census = Census(self.root / "owners", patience)
        self._name = self.root / "owners" / f"{owner}.name"
        self._taken: dict[str, int] = {}

    def take(self, cell: str) -> bool:
        """Claim a cell; true where it is mine now, or was before."""
        if cell in self._taken:
            return self.holds(cell)
        number = 1
        while not self._make(self._claim(cell, number)):
            if self._claim(cell, number + 1).exists():
                number += 1
                continue
            holder = self._holder(cell, number)
            if holder == self.id:  # by another process in the same name, which is dead or is this one's own
                break
            if self.census.lives(holder):
                return False
            number += 1
        # A claim beyond it was there first, and lost its predecessors when it was given up.
        if self._claim(cell, number + 1).exists():
            self._claim(cell, number).unlink(missing_ok=True)
            return False
        self._taken[cell] = number
        return True

    def holds(self, cell: str) -> bool:
        """Whether the claim on a cell that was taken is still mine."""
        number = self._taken.get(cell, 0)
        if number and self._claim(cell, number).exists() and not self._claim(cell, number + 1).exists():
            return True
        self._taken.pop(cell, None)
        return False

    def release(self, cell: str) -> None:
        """Give up the claim on a cell that has ended; on one that has not, it stays until this owner ends."""
        with storing(self.root):
            for number in range(self._taken.pop(cell, 0), 0, -1):
                self._claim(cell, number).unlink(missing_ok=True)

    def _claim(self, cell: str, number: int) -> Path:
        return self.root / f"{cell}.{number}"

    def _make(self, claim: Path) -> bool:
        """Make a claim, unless there is one."""
        try:
            os.link(self._name, claim)
        except FileExistsError:
            return False
        except OSError:
            return self._written(claim)
        return True

    def _written(self, claim: Path) -> bool:
        """Make a claim where a file cannot have two names; should this process die here, it names nobody."""
        try:
            with open(claim, "x", encoding="ascii") as file:
                file.write(self.id)
        except FileExistsError:
            return False
        return True

    def _holder(self, cell: str, number: int) -> str:
        try:
            return self._claim(cell, number).read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""


class Owner(Claims):
    """This process as one that runs cells of a folder; a context in which it gives signs of life.

    Args:
        folder: of the results.
        beat: seconds between two signs of life.
        patience: seconds after which a silent owner on another machine is taken for dead.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Owner(folder) as one, Owner(folder) as other:
    ...     one.take("a1"), one.take("a1"), other.take("a1"), one.holds("a1")
    (True, True, False, True)
    >>> with Owner(folder) as later:  # the claim was left behind
    ...     later.take("a1")
    True
    """

    def __init__(
        self, folder: Path, *, beat: float = BEAT_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> None:
        super().__init__(folder, uuid.uuid4().hex[:16], patience)
        self.beat = beat
        self.plan: str | None = None
        """Stands for the plan that is run, once that is known."""
        self._file = self.root / "owners" / f"{self.id}.json"
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._live, name="signs of life", daemon=True)

    def __enter__(self) -> Owner:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self.census.bury()
        self._give_sign(0)
        self._name.write_text(self.id, encoding="ascii")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        # Without its file an owner is dead: what it still claims is free.
        for file in (self._file, self._name):
            with suppress(OSError):
                file.unlink()

    def join(self, plan: str) -> bool | None:
        """Say which plan is run: true where a living owner runs it too, None where one runs another."""
        others = [sign.get("plan") for owner, sign in self.census.living().items() if owner != self.id]
        if any(other not in (None, plan) for other in others):
            return None
        self.plan = plan
        self._give_sign(0)
        return plan in others

    def _live(self) -> None:
        count = 0
        while not self._stop.wait(self.beat):
            count += 1
            with suppress(OSError):  # a full disk, for one: who is silent too long is taken for dead
                self._give_sign(count)

    def _give_sign(self, count: int) -> None:
        process = psutil.Process()
        sign = {
            "machine": _machine(),
            "process": process.pid,
            "since": process.create_time(),
            "plan": self.plan,
            "sign": count,
        }
        with self._writing:
            write_json(self._file, sign, sync=False)


class Census:
    """Which owners of a folder live.

    One of this machine lives while its process does. Of one elsewhere only the signs of life are known, and
    they are timed by this machine's clock: no two clocks are compared.

    Args:
        folder: of the owners' files.
        patience: seconds without a new sign after which an owner elsewhere is taken for dead.
    """

    def __init__(self, folder: Path, patience: float = PATIENCE_SECONDS) -> None:
        self.folder = folder
        self.patience = patience
        self._heard: dict[str, tuple[Any, float]] = {}

    def living(self) -> dict[str, dict[str, Any]]:
        """The last signs of those that live, by their ids."""
        owners = [file.stem for file in sorted(self.folder.glob("*.json"))]
        return {owner: self._sign(owner) or {} for owner in owners if self.lives(owner)}

    def seen(self) -> list[str]:
        """The ids of those that live at one look: of one elsewhere, by the age of its last sign.

        The clocks of two machines are compared here, so nothing that could be lost may hang on it.
        """
        found = []
        for owner, sign in self.living().items():
            age = 0.0
            if sign.get("machine") != _machine():
                with suppress(OSError):
                    age = time.time() - (self.folder / f"{owner}.json").stat().st_mtime
            if age < ASTRAY_SECONDS:
                found.append(owner)
        return found

    def bury(self) -> None:
        """Remove what dead owners have left; their claims go on naming nobody who lives."""
        for file in self.folder.glob("*.json"):
            if not self.lives(file.stem):
                asides = self.folder.glob(f".{file.name}.*")
                for left in (*asides, file.with_suffix(".name"), file):
                    left.unlink(missing_ok=True)

    def lives(self, owner: str) -> bool:
        """Whether an owner lives; one that has left no file does not."""
        if owner and not (self.folder / f"{owner}.json").exists():
            return False
        sign = self._sign(owner)
        if sign is not None and sign.get("machine") == _machine():
            return _runs(sign.get("process"), sign.get("since"))
        # The holder of a claim that names nobody is given the same time to show itself.
        known, since = self._heard.get(owner, (None, 0.0))
        now = time.monotonic()
        if owner not in self._heard or json.dumps(sign) != known:
            self._heard[owner] = (json.dumps(sign), now)
            return True
        return now - since < self.patience

    def _sign(self, owner: str) -> dict[str, Any] | None:
        try:
            sign = read_json(self.folder / f"{owner}.json")
        except DamagedError:
            return None
        return sign if isinstance(sign, dict) else None


@cache
def _machine() -> str:
    """A name for this machine, or container, since it was started; it says nothing of either."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    since = boot.read_text().strip() if boot.exists() else f"{psutil.boot_time():.0f}"
    numbers = os.readlink(processes) if processes.is_symlink() else ""
    return hashlib.sha256(f"{platform.node()} {since} {numbers}".encode()).hexdigest()[:16]


def _runs(process: Any, since: Any) -> bool:
    """Whether a process of this machine runs, and is not another that has got its number."""
    try:
        found = psutil.Process(int(process))
        return abs(found.create_time() - float(since)) < 1.0 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except (psutil.Error, TypeError, ValueError):
        return False
