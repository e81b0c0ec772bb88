#!/usr/bin/env bash
# One network with many seeds: a job array, and one analysis of all its runs.
#
#   distsnn submit --template seeds > seeds.sh
#   bash seeds.sh MODEL --time 1000 --time-limit 30 [any option of distsnn submit]
#
# SEEDS="1-100%8" chooses other seeds, of which at most 8 run at a time.
set -eu

read -ra distsnn <<<"${DISTSNN:-distsnn}"
mkdir -p seeds

# Gets the runs as arguments, once all of them are complete.
cat >seeds/rates.py <<'END'
import sys

from distsnn import open_run

for path in sys.argv[1:]:
    run = open_run(path)
    rates = run.rates().groupby("population").mean().to_series()
    print(path, *(f"{name} {rate:.3f}/s" for name, rate in rates.items()))
END

"${distsnn[@]}" submit "$@" --array "${SEEDS:-1-10}" --out seeds/run.zarr --analyse seeds/rates.py
