"""Batch scripts as text: pure functions of a job, readable, and clean to shellcheck.

What the script has to know of SLURM (24.11, each point is tested on a real one):

- Before the time limit, and where a job is preempted, SLURM sends SIGUSR1 to the batch shell alone
  (``--signal=B:``). The shell passes it to srun, and srun to the ranks, which save and exit
  with 85.
- srun may lose an exit code on its way from another node, and shows the highest of several: ranks
  that were killed because one had ended hide that one's code. So the first rank to fail leaves its
  code in a file.
- ``scontrol requeue`` queues a job again whatever its state, also when the user has cancelled it.
  A preempted job is queued again by SLURM, once it has ended: it must not be queued twice.
- A start may end before the run reaches a new checkpoint, as when building the network takes longer
  than the time limit. Queued again it would do the same, without end.
- Without ``--kill-on-bad-exit`` a dead rank leaves the others waiting until the time limit.
"""

import shlex
from pathlib import PurePath

from distsnn.slurm.directives import directive
from distsnn.slurm.job import BatchJob

_RANKS_ONLY = {"cpus-per-task", "distribution", "exclusive", "job-name"}
_SEED = "$SLURM_ARRAY_TASK_ID"
# Starts in a row without a new checkpoint after which a job is not queued again.
MOST_STALLS = 3

_ASKED = """\
# Asked to save before there is a step to ask: remembered.
asked=
trap 'asked=yes' USR1 TERM
"""

_THREADS = """\
# A rank has one core: no library may start threads of its own.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1
"""

_STATUS = """\
# Starts and ends of this job, and the exit code of the first rank that failed.
status=@STEM@-$SLURM_JOB_ID.status
export DISTSNN_FAILED=$status.failed
report() { echo "$(date +%FT%T) start ${SLURM_RESTART_COUNT:-0}: $1" | tee -a "$status"; }

# The run's checkpoints: a start that leaves no new one has made no progress.
checkpoints() { echo "$run"/checkpoint/generation*; }
"""

_RANK = """\
# One rank, on any node.
# shellcheck disable=SC2317 # srun calls it
rank() {
  # SLURM's signals reach this shell too; they are for the simulation to answer.
  trap '' USR1 TERM
  # Compiled kernels belong on the node's own disk.
  : "${DISTSNN_CACHE_DIR:=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/distsnn-$UID}"
  export DISTSNN_CACHE_DIR
  local code
  "$@"
  code=$?
  if ((code)); then
    (set -o noclobber; echo "$code rank $SLURM_PROCID on $SLURMD_NODENAME" >"$DISTSNN_FAILED")
  fi 2>/dev/null
  exit "$code"
}
export -f rank
"""

_STEP = """\
report "on $SLURM_JOB_NODELIST"
before=$(checkpoints)
rm -f "$DISTSNN_FAILED"
srun --mpi=@MPI@ --kill-on-bad-exit=1 --export=ALL /bin/bash -c 'rank "$@"' rank "${command[@]}" &
step=$!

# Asked to save: pass it on, and again for ranks that were not yet listening.
reminder=
remind() {
  if [[ -z $reminder ]]; then
    while sleep 10 && kill -USR1 "$step" 2>/dev/null; do :; done &
    reminder=$!
  fi
}
# shellcheck disable=SC2317 # the trap calls it
ask() {
  kill -USR1 "$step" 2>/dev/null || return
  remind
}
trap ask USR1 TERM
if [[ -n $asked ]]; then
  # srun has no handler yet: the first reminder comes when it has
  remind
fi

# A signal interrupts wait: the step is over when it is gone.
while wait "$step"; code=$?; kill -0 "$step" 2>/dev/null; do :; done
[[ -z $reminder ]] || kill "$reminder" 2>/dev/null

who=
if [[ -s $DISTSNN_FAILED ]]; then
  read -r code who <"$DISTSNN_FAILED"
  rm -f "$DISTSNN_FAILED"
fi
"""

_END = """\
# A cancelled job is to stay so, and a preempted one SLURM queues again by itself. One job of an
# array may have the whole array's number: it is named by its place.
again() {
  local job id=$SLURM_JOB_ID
  [[ -z ${SLURM_ARRAY_TASK_ID:-} ]] || id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  report "$1"
  for _ in 1 2 3 4 5; do
    if job=$(scontrol show job "$id"); then
      if [[ $job != *JobState=RUNNING* && $job != *Reason=TimeLimit* ]]; then
        report "the job is over: not queued again"
        return
      elif [[ $job == *" PreemptTime="[0-9]* ]]; then
        report "preempted: SLURM queues it again"
        return
      elif scontrol requeue "$id"; then
        return
      fi
    fi
    sleep 2
  done
  report "scontrol does not queue it again: submit it once more"
}

failures=$(grep -c "nodes failed" "$status")
# Starts without progress since the last with progress; a preempted start is not the job's fault.
stalls=$(awk '/: (stopped and saved|preempted)/ { n = 0 }
  /: stopped without/ { n++ }
  END { print n + 0 }' "$status")
if ((code == 0)); then
  report "done"
elif ((code == 85)) && [[ $(checkpoints) != "$before" ]]; then
  again "stopped and saved"
elif ((code == 85 && stalls + 1 < @STALLS@)); then
  again "stopped without a new checkpoint"
elif ((code == 85)); then
  report "stopped without a new checkpoint, @STALLS@ starts in a row: not queued again"
  report "the build takes longer than a start: use a longer --time-limit or more ranks"
  code=1
elif [[ -z $who ]] && ((failures < 10)); then
  # Not a rank's fault. SLURM notices a dead node after minutes and then ends this script and
  # queues the job again; until then jobs that start on the node fail.
  sleep $((5 + 5 * failures))
  again "nodes failed: srun ended with $code and no rank reported an error"
else
  report "failed with exit code $code${who:+ ($who)}"
fi
exit "$code"
"""


def job_script(job: BatchJob) -> str:
    """Return the batch script of a job.

    Parameters
    ----------
    job : BatchJob
        The job.

    Raises
    ------
    DescriptionError
        If an option of sbatch cannot be written.
    """
    log = f"{job.path_stem}-%A_%a.log" if job.array is not None else f"{job.path_stem}-%j.log"
    head = _directives(
        job,
        {
            "job-name": job.name,
            "nodes": None if job.nodes is None else str(job.nodes),
            "ntasks": str(job.ntasks),
            "cpus-per-task": "1",
            "array": job.array,
            "output": log,
            "open-mode": "append",
            "signal": f"B:USR1@{job.checkpoint_lead_s}",
        },
    )
    comment = (
        "A run of distsnn. Each start continues from the last checkpoint: submit it, or let SLURM"
    )
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *head,
            "#SBATCH --requeue",
            "",
            f"# {comment}\n# queue it again, any number of times.",
            "set -u",
            _ASKED,
            *job.prologue,
            "",
            _command(job),
            _THREADS,
            _STATUS.replace("@STEM@", shlex.quote(job.path_stem)),
            _RANK,
            _STEP.replace("@MPI@", job.mpi),
            _END.replace("@STALLS@", str(MOST_STALLS)),
        ]
    )


def analysis_script(job: BatchJob, analysis: str, after: str) -> str:
    """Return the script of the job that analyses a job's runs once all of them are complete.

    Parameters
    ----------
    job : BatchJob
        The simulation.
    analysis : str
        ``"report"``, or a Python file, which gets the runs as arguments.
    after : str
        The simulation's job id.

    Raises
    ------
    DescriptionError
        If an option of sbatch cannot be written.
    """
    head = _directives(
        job,
        {
            "job-name": f"{job.name}-analysis",
            "ntasks": "1",
            "output": f"{job.path_stem}-analysis-%j.log",
            "dependency": f"afterok:{after}",
            "kill-on-invalid-dep": "yes",
        },
        ranks=False,
    )
    runs = ["runs=(", *(f"  {shlex.quote(run)}" for run in job.run_paths), ")"]
    if analysis == "report":
        program = shlex.join([*job.program, "report"])
        work = ['for run in "${runs[@]}"; do', f'  {program} "$run" || exit', "done"]
    else:
        work = [f'{shlex.join([job.program[0], analysis])} "${{runs[@]}}"']
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *head,
            "",
            "# Analysis of the runs after all of them are complete.",
            "set -u",
            *job.prologue,
            *runs,
            *work,
            "",
        ]
    )


def _directives(job: BatchJob, defaults: dict[str, str | None], *, ranks: bool = True) -> list[str]:
    # What the user gave by name overrides what only has a default here. What lays out ranks is not
    # for a job of one process.
    options: dict[str, str | None] = {
        **defaults,
        "time": job.time_limit,
        "partition": job.partition,
        "account": job.account,
        "qos": job.qos,
        "mem": job.mem,
        "chdir": job.folder,
    }
    options |= {
        name: value
        for name, value in job.sbatch
        if ranks or not (name.startswith("ntasks-per") or name in _RANKS_ONLY)
    }
    return [directive(name, value) for name, value in options.items() if value is not None]


def _command(job: BatchJob) -> str:
    run, seed = shlex.quote(job.out), "" if job.seed is None else str(job.seed)
    if job.array is not None:
        seed = f'"{_SEED}"'
        run = shlex.quote(f"{job.path_stem}-seed") + seed + job.ending
    lines = [f"{shlex.join(job.program)} run {shlex.quote(job.model)}"]
    lines += [f"--set {shlex.quote(setting)}" for setting in job.settings]
    if job.time_ms is not None:
        lines.append(f"--time {job.time_ms!r}")
    if seed:
        lines.append(f"--seed {seed}")
    if job.run_options:
        lines.append(shlex.join(job.run_options))
    lines += ['--out "$run"', f"--checkpoint-wall-time {shlex.quote(job.checkpoint_wall_time)}"]
    lines.append("--resume auto")
    return "\n".join([f"run={run}", "command=(", *(f"  {line}" for line in lines), ")", ""])


def log_path(job: BatchJob, number: str) -> str:
    """Return where the log of a submitted job is; of an array, a pattern for all of them."""
    return str(PurePath(f"{job.path_stem}-{number}{'_*' if job.array is not None else ''}.log"))
