"""Command lines of gradfree in a process of their own, which may be killed or have a fault in it.

By default a process is a fork of this one, which has imported everything, so that thousands of them are
quick; ``fresh`` starts another Python instead, as a shell would.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.hook import Fault, install

FLUSH_SECONDS = 0.0
"""Every round of asks is stored, so that there is much to be lost."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        code: exit code; None if it was killed.
        out: what it printed.
        err: what it complained of.
        seconds: that it took.
        points: operations that were counted.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    points: int

    @property
    def said(self) -> list[str]:
        """Lines of complaint."""
        return [line for line in self.err.splitlines() if line.strip()]

    @property
    def clean(self) -> bool:
        """Whether it ended by itself, well or with one line of error, and no traceback."""
        return self.code in (0, 2) and "Traceback" not in self.err


@dataclass(frozen=True)
class Commands:
    """Command lines that are run one after the other, in a folder that stands for ``{out}`` in them.

    Args:
        lines: without the program's name; the next is run if the one before ended well.
        fresh: in a new Python, not in a fork of this process.
        size: bytes that a file may have at most; 0 for no limit.
    """

    lines: tuple[str, ...]
    fresh: bool = False
    size: int = 0

    def run(
        self, out: Path, what: str = "count", at: int = 0, lasting: bool = False, kill_after: float = 0.0
    ) -> Ended:
        """Run them.

        Args:
            out: folder of the results.
            what: the fault, a key of ``hook.CONCERNED``.
            at: number of the operation at which it comes.
            lasting: it stays.
            kill_after: seconds after which the process and all that it started are killed; 0 for never.
        """
        with tempfile.TemporaryDirectory() as name:
            aside = Path(name)
            fault = Fault(str(out), what, at, str(aside / "points"), lasting)
            lines = [line.format(out=shlex.quote(str(out))) for line in self.lines]
            start = time.monotonic()
            process = self._started(lines, fault, aside)
            status = _waited(process, kill_after)
            seconds = time.monotonic() - start
            points = aside / "points"
            if (modules := aside / "modules").exists():
                _imported(modules.read_text().split())
            return Ended(
                None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status),
                (aside / "out").read_text(errors="replace"),
                (aside / "err").read_text(errors="replace"),
                seconds,
                points.stat().st_size if points.exists() else 0,
            )

    def _started(self, lines: list[str], fault: Fault, aside: Path) -> int:
        if self.fresh:
            job = json.dumps({"lines": lines, "fault": asdict(fault), "size": self.size})
            with open(aside / "out", "wb") as out, open(aside / "err", "wb") as err:
                command = [sys.executable, __file__, job]
                return subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True).pid
        for name in ("out", "err"):  # the process may be killed before its first instruction
            (aside / name).touch()
        process = os.fork()
        if process:
            with suppress(OSError):  # it has ended already
                os.setpgid(process, process)
            return process
        code = 1
        try:
            os.setpgid(0, 0)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(aside / name, os.O_WRONLY), number)
            code = act(lines, fault, self.size)
            if not code and not self.size:
                (aside / "modules").write_text(" ".join(sys.modules))
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:  # whatever happens, the fork does not go on as if it were this process
                os._exit(code)


def act(lines: list[str], fault: Fault, size: int) -> int:
    """In the process: the command lines, with the fault; returns the exit code of the last that ran."""
    from harness.cli import main
    from harness.running.sweeping import sweep

    assert sweep.__kwdefaults__ is not None
    sweep.__kwdefaults__["flush_seconds"] = FLUSH_SECONDS
    install(fault)
    if size:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    code = 0
    for line in lines:
        sys.argv = ["gradfree", *shlex.split(line)]
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code:
            break
    return code


def _imported(modules: list[str]) -> None:
    """Import what a fork has imported, so that the next ones need not."""
    for name in modules:
        if name.partition(".")[0] != "__main__" and name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _waited(process: int, kill_after: float) -> int:
    """The wait status; what the process has started does not outlive it."""
    begin = time.monotonic()
    while kill_after:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - begin >= kill_after:
            _kill(process)
            _, status = os.waitpid(process, 0)
            break
        time.sleep(min(0.002, kill_after))
    else:
        _, status = os.waitpid(process, 0)
    _kill(process)
    return status


def _kill(process: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def instants(count: int, seconds: float, seed: int) -> list[list[float]]:
    """For each trial the seconds after which its runs are killed: one kill, often; else two or three."""
    draw = random.Random(seed)
    return [[draw.uniform(0.0, seconds) for _ in range(draw.choice((1, 1, 2, 3)))] for _ in range(count)]


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(act(job["lines"], Fault(**job["fault"]), job["size"]))
