"""What is tried against a sweep: kills, failing operations, damaged files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from faults.children import Commands, Ended, instants
from faults.comparing import Picture, finished, litter
from faults.damages import BASIC, chosen, edits, flips, kind_of
from harness.core.errors import UserError


@dataclass(frozen=True)
class Trial:
    """One fault and what became of it.

    Args:
        fault: its name; trials of one fault are counted together.
        moment: when, or where.
        kills: processes that were killed.
        lost: rows of the reference that the final tables lack.
        differing: tables and files that are not those of the reference.
        again: cells that had ended and were run again, though nothing was wrong with them.
        said: what was complained of.
        wrong: what else must not be, in words; empty if all is well.
    """

    fault: str
    moment: str
    kills: int = 0
    lost: int = 0
    differing: tuple[str, ...] = ()
    again: int = 0
    said: tuple[str, ...] = ()
    wrong: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is lost, nothing differs, and nothing else is wrong."""
        return not (self.lost or self.differing or self.again or self.wrong)


@dataclass
class Campaign:
    """Trials against one list of commands.

    Args:
        commands: that bring everything to its end; each trial ends with them, and with a comparison.
        folder: for what the trials write; each removes what it has written, unless it went wrong.
        start: a folder of results of which each trial has a copy; by default each starts with nothing.
        disturbed: what is killed or fails; by default the commands themselves.
        reference: where the commands were run undisturbed; by ``begin``.
    """

    commands: Commands
    folder: Path
    start: Path | None = None
    disturbed: Commands | None = None
    reference: Path = field(init=False)
    picture: Picture = field(init=False)
    whole: Ended = field(init=False)

    def begin(self) -> Campaign:
        """Run the commands undisturbed, twice: where that already differs nothing can be said."""
        self.folder.mkdir(parents=True, exist_ok=True)
        out, self.reference = self._new(), self.folder / "reference"
        self.whole = self.commands.run(out)
        if self.whole.code != 0:
            raise SystemExit(f"the undisturbed commands failed:\n{self.whole.err}")
        self.picture = self._pictured(out)
        out.rename(self.reference)
        self.whole = self.commands.run(self._new())  # the first has waited for imports
        if found := self.picture.differing(self._pictured(out)):
            raise SystemExit(f"two undisturbed runs differ in {', '.join(found)}")
        self._tidy(out)
        return self

    def at_every_operation(self, whose: str, step: int = 1, seed: int = 0) -> Iterator[Trial]:
        """Killed at the first operation, at the one after ``step`` others, ...; each third run a second time.

        Args:
            whose: operations they are, in words.
            step: every so many-th operation.
            seed: of the moments of second kills.
        """
        draw = random.Random(seed)
        for number, at in enumerate(range(1, 10**9, step)):
            out = self._new()
            if (self.disturbed or self.commands).run(out, "kill", at).code is not None:
                self._tidy(out)
                return
            kills, stored = 1, _finished(out)
            if number % 3 == 0:
                kills += self.commands.run(out, "kill", draw.randrange(2, 40)).code is None
            yield self._judged(
                f"kill -9 at every operation of {whose}", f"operation {at}", out, kills, stored
            )

    def at_instants(self, whose: str, count: int, seed: int = 0) -> Iterator[Trial]:
        """Killed at drawn instants, from the start of the commands to a little after their usual end."""
        for moments in instants(count, 1.05 * self.whole.seconds, seed):
            out, kills = self._new(), 0
            for moment in moments:
                kills += self.commands.run(out, kill_after=max(moment, 0.001)).code is None
            said = ", ".join(f"{moment:.2f} s" for moment in moments)
            yield self._judged(f"kill -9 at a random instant of {whose}", said, out, kills, _finished(out))

    def in_the_middle(self, name: str) -> Trial:
        """Killed when half of the operations are done."""
        out = self._new()
        killed = self.commands.run(out, "kill", self.whole.points // 2).code is None
        return self._judged("kill -9 in the middle", name, out, int(killed), _finished(out))

    def failing(self, what: str, lasting: bool, step: int = 1) -> Iterator[Trial]:
        """An operation fails; then the same command without the fault."""
        name = f"{what}{', from then on' if lasting else ''}"
        for at in range(1, 10**9, step):
            out = self._new()
            ended = self.commands.run(out, what, at, lasting)
            if ended.points < at:
                self._tidy(out)
                return
            yield self._judged(name, f"operation {at}", out, 0, _finished(out), ended)

    def limited(self, sizes: Iterable[int]) -> Iterator[Trial]:
        """The system lets no file grow beyond a size."""
        for size in sizes:
            out = self._new()
            ended = replace(self.commands, size=size).run(out, "nothing")
            yield self._judged("ulimit -f", f"{size} bytes", out, 0, _finished(out), ended)

    def damaged(self, source: Path, state: str, bits: int, seed: int = 0) -> Iterator[Trial]:
        """A stored file is damaged: the tables that are shown then, and those after the same command.

        Args:
            source: a folder that the sweep has written.
            state: of that folder, in a word.
            bits: how many single bits of each file are changed.
            seed: of their places.
        """
        for file, other in chosen(source):
            content, like = (source / file).read_bytes(), (source / other).read_bytes()
            damages = {**BASIC, **edits(file.name), **dict(flips(content, bits, seed))}
            for name, damage in damages.items():
                if (after := damage(content, like)) != content:
                    yield self._damage_tried(source, state, file, name, after)

    def _damage_tried(self, source: Path, state: str, file: Path, name: str, after: bytes | None) -> Trial:
        out = self.folder / "out"
        shutil.copytree(source, out)
        if after is None:
            (out / file).unlink()
        else:
            (out / file).write_bytes(after)
        wrong, said = "", []
        try:
            shown = Picture.of(out, leaderboard=False)
            if foreign := self.picture.foreign(shown):
                wrong = f"{foreign} rows shown that are not the sweep's"
            elif state == "ended" and self.picture.rows["runs"] != shown.rows["runs"]:
                hidden = " ".join(shown.rows["runs"])
                wrong = "" if "pending" in hidden else "other runs shown than the sweep's"
        except UserError as error:
            said = [f"(reading) {error}"]
        except Exception as error:
            wrong = f"reading: {type(error).__name__}: {error}"
        fault = f"{state}: {kind_of(file)} {'a bit changed' if name.startswith('bit') else name}"
        trial = self._judged(fault, f"{file}: {name}", out, 0, {}, None, wrong)
        return replace(trial, said=(*said, *trial.said))

    def _judged(
        self,
        fault: str,
        moment: str,
        out: Path,
        kills: int,
        stored: dict[str, str],
        ended: Ended | None = None,
        wrong: str = "",
    ) -> Trial:
        """Run the same command to its end, and compare."""
        said: list[str] = []
        if ended is not None:
            said = ended.said
            if not ended.clean:
                wrong = wrong or f"ended with {ended.code}: {(said or [''])[-1]}"
            elif ended.code == 2 and len(said) != 1:
                wrong = wrong or f"{len(said)} lines of error"
            elif ended.code == 0 and self.picture.differing(self._pictured(out)):
                wrong = wrong or "ended well with other tables"
        last = self.commands.run(out)
        said = said + last.said
        if last.code != 0:
            wrong = wrong or f"the same command ended with {last.code}: {(last.said or [''])[-1]}"
            lost, differing = 0, []
        else:
            found = self._pictured(out)
            lost, differing = self.picture.lost(found), self.picture.differing(found)
        now = _finished(out)
        again = sum(now.get(cell) != text for cell, text in stored.items())
        if left := litter(out):
            wrong = wrong or f"left over: {left[0]}"
        trial = Trial(fault, moment, kills, lost, tuple(differing), again, tuple(said), wrong)
        if trial.good:
            self._tidy(out)
        else:
            self._tidy(
                kept := self.folder / f"wrong-{fault}-{moment}".replace("/", "_").replace(" ", "-")[:120]
            )
            out.rename(kept)
        return trial

    def _new(self) -> Path:
        """Where a trial writes: always of one name, which reports show."""
        out = self.folder / "out"
        if self.start is not None:
            shutil.copytree(self.start, out)
        return out

    def _pictured(self, out: Path) -> Picture:
        # A report shows what was measured too, so that it is the same only of one and the same sweep.
        return Picture.of(out, report=self.start is not None)

    def _tidy(self, out: Path) -> None:
        shutil.rmtree(out, ignore_errors=True)


def _finished(out: Path) -> dict[str, str]:
    return finished(out) if out.exists() else {}
