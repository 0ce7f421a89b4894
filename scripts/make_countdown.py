"""Write Countdown problems, each with a solution, as JSONL.

    python scripts/make_countdown.py --rows 2000 --seed 0 --to problems

makes ``problems/train.jsonl``, ``dev.jsonl`` and ``test.jsonl``, to be used as ``countdown[path=problems]``:
the same problems as ``countdown[rows=2000,seed=0]``.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from tasks.countdown.problems import problems
from tasks.countdown.registered import SPLITS, write


def main() -> None:
    """Read the options and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder to write to")
    parser.add_argument("--rows", type=int, default=2000, help="of each split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--numbers", type=int, nargs="+", default=[3, 4], help="how many a problem may have")
    parser.add_argument("--largest", type=int, default=99, help="number given")
    options = parser.parse_args()
    drawn = problems(str(options.seed), options.numbers, options.largest)
    options.to.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        write(options.to / f"{split}.jsonl", islice(drawn, options.rows))


if __name__ == "__main__":
    main()
