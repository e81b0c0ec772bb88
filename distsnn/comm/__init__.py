"""Between ranks: communicators, the compiled exchange of spikes, agreement on errors, launching."""

from distsnn.comm.agreement import (
    agree,
    agreed,
    alike,
    answers,
    first_on_node,
    from_first,
    together,
)
from distsnn.comm.ending import RESUMABLE, SAID, guard
from distsnn.comm.heartbeat import Heartbeat
from distsnn.comm.launch import launch, mpiexec_path
from distsnn.comm.launched_job import Verdict
from distsnn.comm.launcher import Launcher, launcher
from distsnn.comm.local import DryRun, SingleProcess
from distsnn.comm.protocol import Communicator
from distsnn.comm.world import start, world

__all__ = [
    "RESUMABLE",
    "SAID",
    "Communicator",
    "DryRun",
    "Heartbeat",
    "Launcher",
    "SingleProcess",
    "Verdict",
    "agree",
    "agreed",
    "alike",
    "answers",
    "first_on_node",
    "from_first",
    "guard",
    "launch",
    "launcher",
    "mpiexec_path",
    "start",
    "together",
    "world",
]
