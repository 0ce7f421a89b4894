"""How fast targets are reached: distributions of running time, performance and data profiles."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from harness.report.figures.chart import Chart, Choice, View, line, numbers, styles
from harness.report.statistics import (
    bootstrapped_restarts,
    data_profile,
    ecdf,
    performance_profile,
)
from harness.report.statistics.runtimes import FRACTIONS
from harness.report.study import Study
from harness.report.targets import Reached, reached

Array = NDArray[np.float64]

DRAWS = 60
"""Simulated running times for each task and target."""
RESAMPLES = 100
"""Of the repetitions, for the bands around the distributions."""
BAND_DRAWS = 120
"""In each resample, for each target and over all tasks together."""
POINTS = 80
"""At which distributions are read."""

AXES = (("evaluations", "evaluations"), ("tokens", "tokens"), ("seconds", "seconds (measured)"))


def _shown(study: Study) -> list[str]:
    firsts = set(study.runs.loc[study.runs["role"] == "first-order", "entry"])
    return [entry for entry in study.entries if entry in study.blocks.contestants or entry in firsts]


_NOTHING = "no block has a zero-shot cell and something to reach beyond it"


def run_times(study: Study) -> Chart:
    """Empirical distribution of running time to targets, with simulated restarts.

    >>> from harness.report.example import example
    >>> run_times(example()).choices[0].options[0]
    ('evaluations', 'evaluations')
    """
    title = "Running time to targets"
    says = (
        "Share of all pairs of task and target that are reached within a cost. Targets are "
        + ", ".join(f"{100 * fraction:g}" for fraction in FRACTIONS)
        + " % of the way from the untuned model's dev metric to the best that any entry reached. "
        "Runs that miss a target count: the algorithm is started again, at their full cost, until a run "
        "reaches it (simulated restarts, as in COCO). Past the largest budget of a run, shown dotted on "
        "the axis, the lines rest on restarts alone. Bands are 95 % bootstrap intervals over repetitions."
    )
    looks, views = styles(study.entries, study.references), {}
    found = {axis: reached(study, axis) for axis, _ in AXES}
    blocks = found[AXES[0][0]]
    if not blocks:
        return Chart("run-times", title, says, {}, why_not=_NOTHING)
    spent = {axis: [cost for block in found[axis].values() for _, cost in block.values()] for axis in found}
    counted = [(axis, label) for axis, label in AXES if max(spent[axis]) > 0]  # functions have no tokens
    axes = [axis for axis, _ in counted]
    whole = [entry for entry in _shown(study) if all(entry in block for block in blocks.values())]
    grids = {axis: _grid(found[axis], spent[axis]) for axis in axes}
    curves = {entry: _distributions(found, grids, entry) for entry in whole}
    tasks = len({task for task, _ in blocks})
    note = (
        f"{tasks} tasks x {len(FRACTIONS)} targets, {len(blocks)} blocks, {DRAWS} draws for each pair; "
        f"bands: {RESAMPLES} resamples of the repetitions"
    )
    for axis, label in counted:
        lines = []
        for entry in whole:
            height, low, high = curves[entry][axis]
            said = "%{y:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}]"
            each = line(
                entry,
                looks[entry],
                grids[axis].tolist(),
                height.tolist(),
                customdata=[numbers(pair) for pair in zip(low.tolist(), high.tolist(), strict=True)],
                hovertemplate="%{x:.3g}: " + said + "<extra>%{meta}</extra>",
            )
            each["line"] = {**each["line"], "shape": "hv"}
            lines.append(each)
        end = max(spent[axis])
        rule = {"x0": end, "x1": end, "y0": 0, "y1": 1, "yref": "paper"}
        layout = {
            "xaxis": {"title": {"text": label}, "type": "log", "dtick": "D2"},
            "yaxis": {"title": {"text": "share of targets"}, "range": [0, 1.02]},
            "shapes": [{"type": "line", **rule, "line": {"color": "@ink", "dash": "dot", "width": 1}}],
        }
        views[axis] = View(lines, layout, note)
    return Chart("run-times", title, says, views, [Choice("over", counted)], _shown(study))


def _grid(blocks: dict[tuple[str, int], dict[str, Reached]], spent: list[float]) -> Array:
    times = np.concatenate([times for block in blocks.values() for times, _ in block.values()])
    finite = times[np.isfinite(times)]
    least = float(finite.min()) if len(finite) else min(spent)
    return np.geomspace(max(least, 1e-3) / 1.5, 4 * max(spent), POINTS)


def _distributions(
    found: dict[str, dict[tuple[str, int], dict[str, Reached]]], grids: dict[str, Array], entry: str
) -> dict[str, tuple[Array, Array, Array]]:
    """Of one entry by axis: the distribution of its running times, and the ends of its bootstrap band."""
    axes, random = list(grids), np.random.default_rng(0)
    by_task: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for key in found[axes[0]]:
        by_task[key[0]].append(key)
    lines, bands = [], []
    draws_each = max(2, BAND_DRAWS // len(by_task))
    for keys in by_task.values():
        times = np.asarray([[found[axis][key][entry][0] for key in keys] for axis in axes])
        spent = np.asarray([[found[axis][key][entry][1] for key in keys] for axis in axes])
        lines.append(bootstrapped_restarts(times, spent, DRAWS, 0, random).reshape(len(axes), -1))
        drawn = bootstrapped_restarts(times, spent, draws_each, RESAMPLES, random)
        bands.append(
            [[_counts(each, grids[axis]) for each in draws] for axis, draws in zip(axes, drawn, strict=True)]
        )
    whole = draws_each * len(FRACTIONS) * len(by_task)
    heights = np.sum(bands, axis=0) / whole
    ends = np.quantile(heights, [0.025, 0.975], axis=1)
    return {
        axis: (ecdf(np.concatenate([task[place] for task in lines]), grids[axis]), *ends[:, place])
        for place, axis in enumerate(axes)
    }


def _counts(times: Array, grid: Array) -> Array:
    """How many of the times are at most each point."""
    return np.searchsorted(np.sort(times, axis=None), grid, side="right").astype(np.float64)


def profiles(study: Study) -> Chart:
    """Performance profiles and data profiles over blocks.

    >>> from harness.report.example import example
    >>> list(profiles(example()).views)[0]
    'performance|0.5'
    """
    title = "Performance and data profiles"
    says = (
        "Share of the blocks of task and repetition that are solved. Solved means: the dev metric has gone "
        "the chosen part of the way from the untuned model to the best that any entry reached. The "
        "performance profile is over the ratio to the fastest entry on each block; the data profile is over "
        "evaluations in groups of d + 1, the price of one simplex gradient."
    )
    blocks = reached(study, "evaluations")
    entries = [entry for entry in _shown(study) if all(entry in block for block in blocks.values())]
    if not blocks or not entries:
        return Chart("profiles", title, says, {}, why_not=_NOTHING)
    looks, views = styles(study.entries, study.references), {}
    sizes = study.runs.groupby("task")["dimension"].first()
    dimensions = [float(sizes[task]) for task, _ in blocks]
    for fraction in (0.5, 0.9):
        goal = FRACTIONS.index(fraction)
        times = np.asarray([[block[entry][0][goal] for entry in entries] for block in blocks.values()])
        units = times / (np.asarray(dimensions)[:, None] + 1)
        known = units[np.isfinite(units)]
        most = float(known.max()) if len(known) else 1.0
        least = float(known.min()) if len(known) else 0.1
        curves = {
            "performance": (np.geomspace(1, 100, 50), performance_profile, "ratio to the fastest"),
            "data": (
                np.geomspace(least / 2, most * 1.5, 50),
                lambda found, at: data_profile(found, dimensions, at),
                "evaluations / (d + 1)",
            ),
        }
        for kind, (grid, profile, label) in curves.items():
            heights = profile(times, grid)
            lines = [
                line(
                    entry,
                    looks[entry],
                    grid.tolist(),
                    heights[:, place].tolist(),
                    hovertemplate="%{x:.3g}: %{y:.2f}<extra>%{meta}</extra>",
                )
                for place, entry in enumerate(entries)
            ]
            for each in lines:
                each["line"] = {**each["line"], "shape": "hv"}
            layout = {
                "xaxis": {"title": {"text": label}, "type": "log", "dtick": "D2"},
                "yaxis": {"title": {"text": "share of blocks solved"}, "range": [0, 1.02]},
            }
            views[f"{kind}|{fraction}"] = View(lines, layout, f"{len(blocks)} blocks")
    choices = [
        Choice("profile", [("performance", "performance profile"), ("data", "data profile")]),
        Choice("solved at", [("0.5", "50 % of the way"), ("0.9", "90 % of the way")]),
    ]
    return Chart("profiles", title, says, views, choices, entries)
