"""Kills and faults against a sweep, each followed by the same command again: are the tables the same?

    python scripts/crash_safety.py                      # all, on the small sweep: some hours
    python scripts/crash_safety.py kills instants --instants 200    # about half an hour on one core
    python scripts/crash_safety.py faults --options "--executor local --workers 2"

Campaigns: ``kills`` (SIGKILL at every file operation of the store), ``instants`` (at random instants),
``algorithms`` (every algorithm, in the middle), ``faults`` (a full disk, a read-only folder, ...) and
``damages`` (truncated, altered, swapped, foreign files). What is killed or fails is a sweep. It is also
killed when it is given once more and has nothing to do, and so is the report that follows it; a tenth of the
instants are drawn from both. Tables are compared with those of an undisturbed run, byte for byte without
measured columns, and a report with that of the same sweep. Moments come from ``--seed``.
Ends with 1 if anything was lost, differs, or ended with a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from faults.campaigns import Campaign, Trial
from faults.children import Commands
from faults.faulty import registered

CAMPAIGNS = ("kills", "instants", "algorithms", "faults", "damages")
SWEEP = """\
tasks: ["sphere[dimension=3]", "rastrigin[dimension=2]"]
algorithms: ["openai-es[population=4]", faulty-raising]
exceptions:
  - {tasks: ["rastrigin[dimension=2]"], algorithms: [adam]}
repetitions: 1
budget: 12
tuning: {trials: 2}
"""
REPORT = "report {out}"
ONE = 'tasks: ["{task}"]\nalgorithms: ["{algorithm}"]\nrepetitions: 1\nbudget: 60\n'
FAULTS = (
    ("ENOSPC", True),
    ("ENOSPC", False),
    ("EFBIG", True),
    ("EROFS", True),
    ("EIO", False),
    ("EMFILE", False),
    ("EIO on reading", False),
    ("EACCES on reading", False),
)


def commands(sweep: Path, options: str, fresh: bool) -> Commands:
    """A sweep."""
    return Commands((f"sweep {sweep} --out {{out}} --quiet {options}",), fresh)


def trials(arguments: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """All trials of the campaigns that were asked for."""
    sweep = folder / "sweep.yaml"
    sweep.write_text(Path(arguments.sweep).read_text() if arguments.sweep else SWEEP)
    wanted = arguments.campaigns or CAMPAIGNS
    alone = commands(sweep, arguments.options, arguments.fresh)
    campaign = Campaign(alone, folder).begin()
    print(f"undisturbed: {campaign.whole.seconds:.1f} s, {campaign.whole.points} operations", flush=True)
    if "kills" in wanted:
        yield from campaign.at_every_operation("a sweep", arguments.step, arguments.seed)
        yield from killed_at_the_end(campaign, arguments)
    if "instants" in wanted:
        reporting = arguments.instants // 10
        yield from campaign.at_instants("a sweep", arguments.instants - reporting, arguments.seed)
        both = Campaign(replace(alone, lines=(*alone.lines, REPORT)), folder / "both").begin()
        yield from both.at_instants("a sweep and its report", reporting, arguments.seed + 1)
    if "algorithms" in wanted:
        for name in algorithms(arguments.only):
            yield of_algorithm(name, folder, arguments)
    if "faults" in wanted:
        for what, lasting in FAULTS:
            yield from campaign.failing(what, lasting, arguments.step)
        yield from campaign.limited((1000, 3000, 5000, 8000, 20000))
    if "damages" in wanted:
        yield from campaign.damaged(campaign.reference, "ended", arguments.bits, arguments.seed)
        cut = folder / "cut"
        campaign.commands.run(cut, "kill", int(0.6 * campaign.whole.points))
        yield from campaign.damaged(cut, "broken off", arguments.bits, arguments.seed)


def killed_at_the_end(swept: Campaign, arguments: argparse.Namespace) -> Iterator[Trial]:
    """Kills that find a sweep complete: of the same command given once more, and of its report."""
    own = swept.folder / "complete"
    again = Campaign(swept.commands, own / "again", start=swept.reference).begin()
    yield from again.at_every_operation("a complete sweep given again", arguments.step, arguments.seed)
    both = replace(swept.commands, lines=(*swept.commands.lines, REPORT))
    report = replace(swept.commands, lines=(REPORT,))
    reported = Campaign(both, own / "reported", swept.reference, report).begin()
    yield from reported.at_every_operation("a report", arguments.step, arguments.seed)


def algorithms(only: Sequence[str]) -> list[str]:
    """The built-in algorithms."""
    from harness.plugins.registry import ALGORITHMS

    names = [name for name in ALGORITHMS.names() if ALGORITHMS.provider(name).startswith("gradfree")]
    return [name for name in names if not only or name in only]


def of_algorithm(name: str, folder: Path, arguments: argparse.Namespace) -> Trial:
    """An algorithm that is killed in the middle, on the first task that it fits."""
    from harness.running.plan import make_plan
    from harness.running.sweep_file import Sweep

    why: str | None = None
    for task in ("sphere[dimension=10]", "sentiment/reference/prompt", "sentiment/reference/full"):
        own = folder / name
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        (own / "sweep.yaml").write_text(ONE.format(task=task, algorithm=name))
        cell = make_plan(Sweep.load(own / "sweep.yaml")).cells[0]
        why = cell.skip
        if why is None:
            campaign = Campaign(commands(own / "sweep.yaml", arguments.options, arguments.fresh), own).begin()
            return campaign.in_the_middle(f"{name} on {task}")
    return Trial("kill -9 in the middle", name, wrong=f"it fits none of the tasks: {why}")


def table(found: Sequence[Trial]) -> str:
    """A line for each fault."""
    lines = [f"{'fault':<70} trials  kills  lost  different  run again  wrong"]
    for fault in dict.fromkeys(trial.fault for trial in found):
        mine = [trial for trial in found if trial.fault == fault]
        sums = (len(mine), sum(t.kills for t in mine), sum(t.lost for t in mine))
        more = (
            sum(bool(t.differing) for t in mine),
            sum(t.again for t in mine),
            sum(bool(t.wrong) for t in mine),
        )
        lines.append(f"{fault:<70} {sums[0]:6} {sums[1]:6} {sums[2]:5} {more[0]:10} {more[1]:10} {more[2]:6}")
        for line, times in Counter(_plain(line) for trial in mine for line in trial.said).most_common(3):
            lines.append(f"    said {times}x: {line[:160]}")
        for line, times in Counter(_plain(trial.wrong) for trial in mine if trial.wrong).most_common(3):
            lines.append(f"    WRONG {times}x: {line[:200]}")
    return "\n".join(lines)


def _plain(line: str) -> str:
    """A line without what differs from trial to trial."""
    return " ".join("..." if "/" in word and not word.startswith("sphere") else word for word in line.split())


def main() -> int:
    """Run the campaigns and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaigns", nargs="*", help=f"some of {', '.join(CAMPAIGNS)}; all of them if none")
    parser.add_argument("--sweep", help="a sweep file; a small one by default")
    parser.add_argument("--options", default="--executor inline", help="more options of gradfree sweep")
    parser.add_argument("--fresh", action="store_true", help="start a new Python for each command")
    parser.add_argument("--step", type=int, default=1, help="only every so many-th operation")
    parser.add_argument("--instants", type=int, default=200, help="random instants")
    parser.add_argument("--bits", type=int, default=20, help="single bits changed in each file")
    parser.add_argument("--only", nargs="*", default=[], help="algorithms, instead of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder to work in, which is kept")
    parser.add_argument("--json", type=Path, help="write every trial to this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.campaigns) - set(CAMPAIGNS):
        parser.error(f"no such campaign: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)  # a child of fork must not wait for threads that it does not have
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        registered(folder / "plugins")
        found: list[Trial] = []
        try:
            for trial in trials(arguments, folder):
                found.append(trial)
                if not trial.good:
                    print(f"WRONG: {trial}", flush=True)
                elif len(found) % 100 == 0:
                    print(f"{len(found)} trials, {time.monotonic() - begin:.0f} s: {trial.fault}", flush=True)
        except KeyboardInterrupt:
            print("stopped; so far:")
    print(table(found))
    kills, lost = sum(trial.kills for trial in found), sum(trial.lost for trial in found)
    different = sum(bool(trial.differing) for trial in found)
    bad = sum(not trial.good for trial in found)
    print(
        f"{len(found)} trials, {kills} kills, {lost} rows lost, {different} times other tables, "
        f"{bad} trials went wrong; {time.monotonic() - begin:.0f} s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(trial) for trial in found], indent=1) + "\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
