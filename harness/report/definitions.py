"""What the words of a report mean: the same sentences on the page and in the text to paste."""

from __future__ import annotations

from harness.report.study import LEVEL, Study


def definitions(study: Study) -> list[tuple[str, str]]:
    """Terms and their meanings, in the order of the report.

    >>> from harness.report.example import example
    >>> definitions(example())[0][0]
    'Cell, repetition, block'
    """
    undefined = f"{len(study.gain_scale.undefined)} of {len(study.tasks)}"
    return [
        (
            "Cell, repetition, block",
            "A cell is one run of an algorithm on a task. A repetition has a data split of its own, the "
            "same for every algorithm, and a seed for each algorithm. A block is a pair of task and "
            "repetition; comparisons are paired within blocks.",
        ),
        (
            "Dev and test",
            "The reported candidate is the best on dev among those recorded at fixed points of the "
            "budget. Test is looked at once, at that candidate. Curves, targets and anytime values are on "
            "dev; leaderboards, gains and tests are on test.",
        ),
        (
            "Intervals",
            "Of a mean over repetitions: 95 % Student t. Of an interquartile mean and a probability of "
            "improvement: 95 % percentile bootstrap that draws repetitions within each task, so it is "
            "about other seeds and splits of these tasks, not about other tasks (Agarwal et al., 2021).",
        ),
        (
            "Nothing over ragged sets",
            "An aggregate is given only where an entry has a result on everything that it is over; else "
            "it is a dash. For ranks and tests, contestants and tasks with the largest share of gaps are "
            "left out, one at a time, until no gap is left; the finding says which.",
        ),
        (
            "Normalised gain",
            "(score - zero-shot) / (first-order - zero-shot), with the means of each task; the "
            "first-order reference is the one with the better mean on dev at the same budget, in which a "
            "gradient is priced at three evaluations. It is undefined where that reference is under +.02 "
            f"above zero-shot: {undefined} tasks here.",
        ),
        (
            "Paired tests",
            "Wilcoxon's signed-rank test over blocks for each pair, equal scores by Pratt's rule, "
            f"corrected by Holm over all pairs, at {LEVEL:g}. Under six blocks there is not enough data. "
            '"Tied" means that no difference is shown, not that there is none. Repetitions of one task '
            "are more alike than tasks are, so findings are about these tasks.",
        ),
        (
            "Average rank, critical difference",
            "Ranks within each block, equal scores share theirs; Friedman's test, and Nemenyi's critical "
            "difference q sqrt(k (k + 1) / 6N) (Demšar, 2006).",
        ),
        (
            "Targets and running times",
            "As in COCO: runs that miss a target count with all they spent, and are started again until "
            "one reaches it. Targets are parts of the way from the untuned model to the best dev value of "
            "any entry on the block (Moré and Wild, 2009); profiles after Dolan and Moré (2002) and Moré "
            "and Wild.",
        ),
        (
            "Expected running time",
            "All evaluations of all runs until they reached the target or ended, over the number of runs "
            "that reached it (COCO); infinite where none did. The interval and the bands around "
            "distributions of running times are percentile bootstraps over repetitions.",
        ),
        (
            "Multiples of first-order",
            "Geometric mean over blocks of an entry's cost over that of the task's better first-order "
            "reference, with the t interval of the logarithms.",
        ),
        (
            "Spread",
            "The standard deviation of the test metric over the repetitions of a task (over tasks pooled by "
            "degrees of freedom), with the chi-squared interval of normal values.",
        ),
        (
            "Diverged",
            "A run has diverged whose reported candidate is worse on dev than the untouched model, or that "
            "met a loss that is nan. The share of runs that diverged or failed has Wilson's interval.",
        ),
        (
            "Train less test",
            "The metric of the reported candidate on the rows that were searched on less that on test, so "
            "that more is more overfitted, whichever way the metric goes; paired with the first-order "
            "reference on the same blocks. Over tasks: the mean of their means (Welch's t interval).",
        ),
        (
            "Anytime",
            "The area under the staircase of the dev metric over the budget of evaluations, divided by "
            "the budget; it begins at the untuned model.",
        ),
        (
            "Costs",
            "Evaluations, tokens and operations are counted. Seconds, memory and energy are measured; "
            "where cells shared forwards they are shares by tokens, and say little of a cell that runs "
            "alone.",
        ),
    ]
