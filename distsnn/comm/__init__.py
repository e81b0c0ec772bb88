"""Between ranks: communicators, the compiled exchange of spikes, agreement on errors, launching."""

from distsnn.comm.agreement import (
    allgather_checked,
    broadcast_from_rank0,
    collective_phase,
    first_on_node,
    mark_collective,
    raise_if_any_failed,
    require_equal_int,
)
from distsnn.comm.local import DryRun, SingleProcess
from distsnn.comm.protocol import Communicator
from distsnn.comm.supervision.heartbeat import Heartbeat
from distsnn.comm.supervision.job_exit import EXIT_RESUMABLE, REPORTED_EXIT_CODES, run_job
from distsnn.comm.supervision.launch import launch, mpiexec_path
from distsnn.comm.supervision.launcher import Launcher, detect_launcher
from distsnn.comm.supervision.supervised_job import JobResult
from distsnn.comm.world import run_program, world

__all__ = [
    "EXIT_RESUMABLE",
    "REPORTED_EXIT_CODES",
    "Communicator",
    "DryRun",
    "Heartbeat",
    "JobResult",
    "Launcher",
    "SingleProcess",
    "allgather_checked",
    "broadcast_from_rank0",
    "collective_phase",
    "detect_launcher",
    "first_on_node",
    "launch",
    "mark_collective",
    "mpiexec_path",
    "raise_if_any_failed",
    "require_equal_int",
    "run_job",
    "run_program",
    "world",
]
