"""The statistics of leaderboards and reports: functions of arrays, which know nothing of files or figures.

A missing value is nan. Nothing here takes a mean over sets of tasks that differ between contestants:
``complete_blocks`` restricts a table to what all of them have, and says what it left out.
"""

from harness.report.statistics.aggregates import (
    Estimate,
    Gains,
    interquartile_mean,
    normalised_gain,
    probability_of_improvement,
)
from harness.report.statistics.blocks import Blocks, complete_blocks, without_gaps
from harness.report.statistics.comparisons import MINIMUM_BLOCKS, Comparisons, holm, paired_tests
from harness.report.statistics.curves import area_under_curve, at_points
from harness.report.statistics.means import Interval, average_ranks, mean_interval
from harness.report.statistics.profiles import data_profile, performance_profile
from harness.report.statistics.ranks import RankTest, cliques, critical_difference, friedman
from harness.report.statistics.runtimes import (
    RunTime,
    bootstrapped_restarts,
    ecdf,
    expected_running_time,
    running_times,
    simulated_restarts,
    targets,
)
from harness.report.statistics.spreads import pooled_deviation, share, stratified_mean

__all__ = [
    "MINIMUM_BLOCKS",
    "Blocks",
    "Comparisons",
    "Estimate",
    "Gains",
    "Interval",
    "RankTest",
    "RunTime",
    "area_under_curve",
    "at_points",
    "average_ranks",
    "bootstrapped_restarts",
    "cliques",
    "complete_blocks",
    "critical_difference",
    "data_profile",
    "ecdf",
    "expected_running_time",
    "friedman",
    "holm",
    "interquartile_mean",
    "mean_interval",
    "normalised_gain",
    "paired_tests",
    "performance_profile",
    "pooled_deviation",
    "probability_of_improvement",
    "running_times",
    "share",
    "simulated_restarts",
    "stratified_mean",
    "targets",
    "without_gaps",
]
