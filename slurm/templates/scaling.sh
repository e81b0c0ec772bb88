#!/usr/bin/env bash
# Strong and weak scaling: a job for each number of ranks, and then a table of them all.
#
#   distsnn submit --template scaling > scaling.sh
#   bash scaling.sh strong MODEL --time 1000 --time-limit 30 [any option of distsnn submit]
#   GROW="neurons=20000" bash scaling.sh weak MODEL --time 1000 --time-limit 30 [...]
#   bash scaling.sh strong table          # when the jobs are done, or meanwhile
#
# Strong: one network on more and more ranks. Weak: the parameters in GROW are the network's for one
# rank, and are multiplied by the number of ranks. RANKS="1 2 4" chooses others than these.
set -eu

kind=${1:?strong or weak}
shift
ranks=${RANKS:-1 2 4 8 16 32}
read -ra grow <<<"${GROW:-}"
read -ra distsnn <<<"${DISTSNN:-distsnn}"
[[ $kind == strong || ${1:-} == table || ${#grow[@]} -gt 0 ]] || { echo "weak: what grows? set GROW" >&2; exit 2; }

if [[ ${1:-} != table ]]; then
  for n in $ranks; do
    settings=()
    for parameter in "${grow[@]}"; do
      settings+=(--set "${parameter%%=*}=$((${parameter#*=} * n))")
    done
    # Timings need nodes of one's own: no other job beside.
    "${distsnn[@]}" submit "$@" ${settings[@]+"${settings[@]}"} \
      --ntasks "$n" --out "$kind-scaling/$n.zarr" --sbatch exclusive
  done
  exit
fi

# RTF, the real-time factor, is wall time by biological time. The efficiency is 1 on the first line,
# and stays so where twice the ranks take half the time (strong), or as long for twice the network.
printf '%6s %9s %9s %10s\n' ranks "build, s" RTF efficiency
for n in $ranks; do
  [[ -e $kind-scaling/$n.zarr ]] || continue
  "${distsnn[@]}" info --json "$kind-scaling/$n.zarr" | python3 -c '
import json, sys
run = json.load(sys.stdin)
print(run["build_s"] or "-", run["real_time_factor"] if run["complete"] else "-")' |
    { read -r build rtf && echo "$n $build $rtf"; }
done | awk -v kind="$kind" '
  $3 == "-" { printf "%6d not complete\n", $1; next }
  { cost = kind == "strong" ? $1 * $3 : $3; if (!first) first = cost }
  { printf "%6d %9.1f %9.3g %10.2f\n", $1, $2, $3, first / cost }'
