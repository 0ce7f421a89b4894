"""What the results say, in sentences that claim no more than the tests allow."""

from __future__ import annotations

import math

from harness.report.first_order import in_words
from harness.report.study import LEVEL, Study
from harness.report.wording import listed, many, plain


def finding(study: Study) -> list[str]:
    """The finding, a sentence or two for each question that the data can answer.

    >>> from harness.report.example import example
    >>> for sentence in finding(example())[1:]:
    ...     print(sentence)
    mezo has the best average rank: 1.00 of 2 over 6 blocks of task and repetition.
    It is better than random (paired signed-rank tests, Holm-corrected, p < 0.05).
    mezo reaches 50 % [48, 52] of what first-order tuning (adam) gains over zero-shot, the most of all contestants (interquartile mean over 2 of 2 tasks).
    On no task does a contestant's mean reach that of first-order tuning.
    """  # noqa: E501
    said = [_scope(study)]
    if study.runs["smoke"].fillna(False).any():
        said.append("This is a smoke run of tiny models and few rows: its figures mean nothing.")
    if not study.runs["score"].notna().any():
        return [*said, "No cell has a result yet."]
    said += _best(study)
    said += _gain(study)
    if missing := in_words(study.missing_first_order, len(study.tasks)):
        said.append(f"{missing[0].upper()}{missing[1:]}.")
    if study.blocks.note and len(study.blocks.contestants) > 1:
        said.append(
            f"Aggregates are over what all compared contestants have: {plain(study.blocks.note, 600)}."
        )
    return said


def _scope(study: Study) -> str:
    counts = study.runs["status"].value_counts()
    cells = ", ".join(f"{count} {status}" for status, count in counts.items())
    return (
        f"{many(len(study.contestants), 'contestant')} and {many(len(study.references), 'reference')} on "
        f"{many(len(study.tasks), 'task')}, {many(int(study.runs['repetition'].nunique()), 'repetition')}: "
        f"{many(len(study.runs), 'cell')} ({cells})."
    )


def _best(study: Study) -> list[str]:
    compared = study.blocks.contestants
    if len(compared) < 2 or not study.blocks.tasks:
        return ["There are no two contestants with results on common blocks, so none is ranked."]
    best = study.contestants[0]
    rank = study.ranks.ranks[compared.index(best)]
    first = (
        f"{plain(best)} has the best average rank: {rank:.2f} of {len(compared)} over "
        f"{many(study.ranks.blocks, 'block')} of task and repetition."
    )
    if study.tests.note:
        return [first, f"Whether that is more than chance cannot be said: {study.tests.note}."]
    others = [name for name in study.contestants if name in compared and name != best]
    worse = [name for name in others if study.p(best, name) < LEVEL]
    tied = [name for name in others if name not in worse]
    tests = f"paired signed-rank tests, Holm-corrected, p < {LEVEL:g}"
    if not worse:
        return [first, f"No test tells it apart from any other ({tests} would)."]
    said = f"It is better than {listed(worse)} ({tests})."
    if tied:
        said += f" It cannot be told apart from {listed(tied)}."
    return [first, said]


def _gain(study: Study) -> list[str]:
    scale = study.gain_scale
    if not scale.values:
        reasons = dict.fromkeys(scale.undefined.values())
        return [f"Normalised gain is undefined on every task: {'; '.join(reasons)}."]
    gains = {name: study.gain(name) for name in study.contestants}
    known = {name: gain for name, gain in gains.items() if not math.isnan(gain.value)}
    said = []
    if known:
        most = max(known, key=lambda name: known[name].value)
        gain = known[most]
        interval = "" if math.isnan(gain.low) else f" [{100 * gain.low:.0f}, {100 * gain.high:.0f}]"
        names = dict.fromkeys(name for task, (name, _) in study.first_order.items() if task in scale.values)
        said.append(
            f"{plain(most)} reaches {100 * gain.value:.0f} %{interval} of what first-order tuning "
            f"({listed(names)}) gains over zero-shot, the most of all contestants (interquartile mean "
            f"over {len(scale.values)} of {many(len(study.tasks), 'task')})."
        )
    if scale.undefined:
        said.append(
            "Gain is undefined on "
            + listed(f"{task} ({reason})" for task, reason in scale.undefined.items())
            + "."
        )
    ahead = [
        task
        for task, (_, first) in study.first_order.items()
        if (study.means.loc[task, study.contestants] >= first).any()
    ]
    if ahead:
        said.append(f"A contestant's mean reaches that of first-order tuning on {listed(ahead)}.")
    elif study.first_order:
        said.append("On no task does a contestant's mean reach that of first-order tuning.")
    return said
