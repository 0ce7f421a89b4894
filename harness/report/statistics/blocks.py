"""Tables of scores without gaps, and what was left out to get them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


class Blocks(NamedTuple):
    """Scores of every contestant on every block; none is missing.

    Args:
        scores: float64 ``[blocks, contestants]``, higher is better.
        tasks: of each block.
        repetitions: of each block.
        contestants: names, in the order of the columns.
        note: what was left out and why, in one sentence; empty if nothing was.
    """

    scores: NDArray[np.float64]
    tasks: list[str]
    repetitions: list[int]
    contestants: list[str]
    note: str

    def cube(self, contestant: str) -> list[NDArray[np.float64]]:
        """One contestant's scores over the repetitions of each task, a float64 array for each."""
        column = self.scores[:, self.contestants.index(contestant)]
        return [column[np.asarray(self.tasks) == task] for task in dict.fromkeys(self.tasks)]


def without_gaps(known: ArrayLike) -> tuple[list[int], list[int]]:
    """The rows and columns that are left of a table when gaps are cut out of it.

    Whichever row or column has the largest share of gaps goes, one after the other (of equals a column, the
    last), until none is left. So one contestant that sat out half of the tasks does not take them from the
    others, and one task that few can run does not take the contestants.

    Args:
        known: bool ``[tasks, contestants]``.

    >>> without_gaps([[True, True, False], [True, True, False], [True, True, True]])
    ([0, 1, 2], [0, 1])
    >>> without_gaps([[True, True, True], [True, True, True], [True, False, False]])
    ([0, 1], [0, 1, 2])
    """
    table = np.asarray(known, dtype=bool)
    rows, columns = list(range(table.shape[0])), list(range(table.shape[1]))
    while rows and columns:
        gaps = ~table[np.ix_(rows, columns)]
        if not gaps.any():
            return rows, columns
        by_row, by_column = gaps.mean(axis=1), gaps.mean(axis=0)
        if by_row.max() > by_column.max():
            rows.pop(len(rows) - 1 - int(by_row[::-1].argmax()))
        else:
            columns.pop(len(columns) - 1 - int(by_column[::-1].argmax()))
    return [], []


def complete_blocks(scores: pd.DataFrame) -> Blocks:
    """The blocks, pairs of task and repetition, on which every contestant has a score.

    First whole tasks or contestants are left out as ``without_gaps`` says, where a contestant has no score
    on any repetition of a task; then single blocks that any of those left lacks. Over different blocks,
    whoever sat out the hard ones would look better.

    Args:
        scores: columns ``task``, ``repetition``, ``algorithm`` and ``score`` (higher is better, nan where
            missing), a row for each cell.

    >>> rows = [("t", 0, "a", 0.5), ("t", 0, "b", 0.7), ("t", 1, "a", 0.6), ("t", 1, "b", float("nan"))]
    >>> blocks = complete_blocks(pd.DataFrame(rows, columns=["task", "repetition", "algorithm", "score"]))
    >>> blocks.scores.tolist(), blocks.contestants
    ([[0.5, 0.7]], ['a', 'b'])
    >>> blocks.note
    '1 of 2 blocks left out: no score on them for b (1)'
    """
    names = list(dict.fromkeys(scores["algorithm"]))
    tasks = list(dict.fromkeys(scores["task"]))
    if not names:
        return Blocks(np.empty((0, 0)), [], [], [], "")
    scores = scores.assign(repetition=scores["repetition"].fillna(0))
    wide = scores.pivot(index=["task", "repetition"], columns="algorithm", values="score")
    anywhere = wide.groupby(level="task").count().reindex(index=tasks, columns=names) > 0
    rows, columns = without_gaps(anywhere.to_numpy())
    kept_tasks, kept = [tasks[row] for row in rows], [names[column] for column in columns]
    notes = [
        *_gaps("no score on", "tasks", anywhere.loc[kept_tasks] if kept_tasks else anywhere, names, kept),
        *_gaps("no score of", "contestants", anywhere[kept].T if kept else anywhere.T, tasks, kept_tasks),
    ]
    every = dict.fromkeys(zip(scores["task"], scores["repetition"], strict=True))
    keys = [key for key in every if key[0] in kept_tasks]
    table = np.empty((0, len(kept)))
    if keys and kept:
        places = pd.MultiIndex.from_tuples(keys, names=["task", "repetition"])
        table = wide.reindex(index=places, columns=kept).to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(table)
    full = [not row.any() for row in missing]
    if not all(full):
        lacking = [(name, int(missing[:, place].sum())) for place, name in enumerate(kept)]
        who = ", ".join(f"{name} ({count})" for name, count in lacking if count)
        notes.append(f"{full.count(False)} of {len(keys)} blocks left out: no score on them for {who}")
    blocks = [key for key, complete in zip(keys, full, strict=True) if complete]
    return Blocks(
        table[full],
        [str(task) for task, _ in blocks],
        [int(repetition) for _, repetition in blocks],
        kept,
        "; ".join(notes),
    )


def _gaps(said: str, what: str, known: pd.DataFrame, names: list[str], kept: list[str]) -> list[str]:
    """A sentence for each name left out: on how many of the rest it has nothing."""
    return [
        f"{name} left out ({said} {int((~known[name]).sum())} of {len(known)} {what})"
        for name in names
        if name not in kept
    ]
