"""What each cell would have reported at any time, from the stored curve, thinned to its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

AXES = {"evaluations": "evaluations", "tokens": "tokens", "seconds": "seconds"}
"""Costs that a curve can be read over, with their units."""

_SECONDS = ("seconds_ask", "seconds_evaluate", "seconds_tell")


class Trace(NamedTuple):
    """The dev metric of one cell's reported candidate: where it changed, and where the run ended.

    Args:
        evaluations: spent, rising.
        tokens: put through the model.
        seconds: in ask, evaluate and tell.
        dev: the metric, float64.
    """

    evaluations: NDArray[np.float64]
    tokens: NDArray[np.float64]
    seconds: NDArray[np.float64]
    dev: NDArray[np.float64]


def traces(curve: pa.Table) -> dict[str, Trace]:
    """The trace of each cell that has a dev metric, by its id.

    The whole table is never turned into a frame: of 1e7 rows only the few where something changes are.

    Args:
        curve: the stored table; the rows of a cell in order of evaluations.

    >>> from harness.running.schema import make_table
    >>> rows = [{"id": "a", "evaluations": 10 * n, "tokens": n, "dev_metric": dev}
    ...         for n, dev in enumerate([0.5, 0.5, 0.6, 0.6, 0.6])]
    >>> traces(make_table("curve", rows))["a"].evaluations.tolist()
    [0.0, 20.0, 40.0]
    """
    import pyarrow as pa

    if not curve.num_rows:
        return {}
    ids = curve.column("id").combine_chunks().dictionary_encode()
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    codes = ids.indices.to_numpy()
    names = ids.dictionary.to_pylist()
    dev = curve.column("dev_metric").to_numpy()
    order = None
    if (np.diff(codes) < 0).any():  # the cells of merged tables need not stand together
        order = np.argsort(codes, kind="stable")
        codes, dev = codes[order], dev[order]
    begins = np.diff(codes, prepend=-1) != 0
    last = np.append(begins[1:], True)
    known = ~np.isnan(dev)
    changed = begins | (dev != np.append(np.nan, dev[:-1]))
    kept = np.flatnonzero(known & (changed | last))
    rows = kept if order is None else order[kept]
    thin = curve.take(pa.array(rows))
    seconds = sum(thin.column(name).to_numpy() for name in _SECONDS)
    columns = [
        thin.column("evaluations").to_numpy().astype(np.float64),
        thin.column("tokens").to_numpy().astype(np.float64),
        np.asarray(seconds, dtype=np.float64),
        dev[kept],
    ]
    edges = np.flatnonzero(np.diff(codes[kept], prepend=-1))
    parts = [np.split(column, edges[1:]) for column in columns]
    return {
        names[codes[kept[edge]]]: Trace(*(part[place] for part in parts)) for place, edge in enumerate(edges)
    }
