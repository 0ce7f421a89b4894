#!/usr/bin/env bash
# From a clone to a leaderboard: set-up, the quick suite on the embedded model, the table and the report.
# Options go to `gradfree sweep quick`, for example --repetitions 1.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
gradfree sweep quick --out results/quick "$@"
gradfree leaderboard results/quick
gradfree report results/quick
