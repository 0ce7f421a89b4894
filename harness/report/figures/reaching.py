"""How fast targets are reached: distributions of running time, performance and data profiles."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from harness.report.figures.chart import Chart, Choice, View, line, styles
from harness.report.statistics import (
    data_profile,
    ecdf,
    performance_profile,
    running_times,
    simulated_restarts,
    targets,
)
from harness.report.statistics.runtimes import FRACTIONS
from harness.report.study import Study

Array = NDArray[np.float64]

DRAWS = 60
"""Simulated running times for each task and target."""

AXES = (("evaluations", "evaluations"), ("tokens", "tokens"), ("seconds", "seconds (measured)"))


def reached(study: Study, axis: str) -> dict[tuple[str, int], dict[str, tuple[Array, float]]]:
    """For each block and entry: the cost at which each target was reached, and what the run spent.

    Targets are set on dev, between the untuned model and the best value of any entry on that block. Only
    blocks of the contestants' complete table are there, and of those with something to reach.
    """
    found: dict[tuple[str, int], dict[str, tuple[Array, float]]] = {}
    blocks = set(zip(study.blocks.tasks, study.blocks.repetitions, strict=True))
    for key, group in study.runs.groupby(["task", "repetition"], sort=False):
        if key not in blocks:
            continue
        sign = -1.0 if "min" in set(group["metric_direction"].dropna()) else 1.0
        known = {
            cell["entry"]: study.traces[cell["id"]]
            for cell in group.to_dict("records")
            if cell["id"] in study.traces
        }
        best = max((float((sign * trace.dev).max()) for trace in known.values()), default=math.nan)
        goals = targets(sign * study.start(*key), best)
        if len(goals):
            found[key] = {
                entry: (
                    running_times(getattr(trace, axis), sign * trace.dev, goals),
                    float(getattr(trace, axis)[-1]),
                )
                for entry, trace in known.items()
                if len(trace.dev) and trace.evaluations[-1] > 0
            }
    return found


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
        "the axis, the lines rest on restarts alone."
    )
    looks, views = styles(study.entries, study.references), {}
    for axis, label in AXES:
        blocks = reached(study, axis)
        if not blocks:
            return Chart("run-times", title, says, {}, why_not=_NOTHING)
        times: dict[str, list[Array]] = defaultdict(list)
        random = np.random.default_rng(0)
        spent = [cost for block in blocks.values() for _, cost in block.values()]
        if not max(spent) > 0:  # a task without tokens, such as a function
            continue
        for task in dict.fromkeys(task for task, _ in blocks):
            here = [block for (name, _), block in blocks.items() if name == task]
            for entry in _shown(study):
                if not all(entry in block for block in here):
                    continue
                for goal in range(len(FRACTIONS)):
                    first = [float(block[entry][0][goal]) for block in here]
                    costs = [block[entry][1] for block in here]
                    times[entry].append(simulated_restarts(first, costs, DRAWS, random))
        whole = max((len(each) for each in times.values()), default=0)
        finite = np.concatenate([each for entry in times for each in times[entry]])
        finite = finite[np.isfinite(finite)]
        least = float(finite.min()) if len(finite) else min(spent)
        grid = np.geomspace(max(least, 1e-3) / 1.5, 4 * max(spent), 80)
        lines = [
            line(
                entry,
                looks[entry],
                grid.tolist(),
                ecdf(np.concatenate(times[entry]), grid).tolist(),
                hovertemplate="%{x:.3g}: %{y:.2f}<extra>%{meta}</extra>",
            )
            for entry in _shown(study)
            if len(times[entry]) == whole
        ]
        for each in lines:
            each["line"] = {**each["line"], "shape": "hv"}
        layout = {
            "xaxis": {"title": {"text": label}, "type": "log", "dtick": "D2"},
            "yaxis": {"title": {"text": "share of targets"}, "range": [0, 1.02]},
            "shapes": [
                {
                    "type": "line",
                    "x0": max(spent),
                    "x1": max(spent),
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "line": {"color": "@ink", "dash": "dot", "width": 1},
                }
            ],
        }
        tasks = len({task for task, _ in blocks})
        note = f"{tasks} tasks x {len(FRACTIONS)} targets, {len(blocks)} blocks, {DRAWS} draws for each pair"
        views[axis] = View(lines, layout, note)
    counted = [(axis, label) for axis, label in AXES if axis in views]
    return Chart("run-times", title, says, views, [Choice("over", counted)], _shown(study))


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
