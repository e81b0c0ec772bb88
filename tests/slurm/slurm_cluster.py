"""A private SLURM on this host: munge, a controller and some nodes, under one folder.

Every node is a slurmd of its own name and port. Whatever is started is stopped by its pid.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from getpass import getuser
from pathlib import Path

import distsnn
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES

ROOT = Path(distsnn.__file__).parents[1]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
# They lie in sbin, which not everybody has on the path.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

_CONFIGURATION = """\
MailProg=/bin/true
ClusterName=distsnn
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=5
MinJobAge=3600
JobRequeue=1
BatchStartTimeout=10
MessageTimeout=10
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=200000,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptExemptTime=0
PreemptParameters=send_user_signal
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
PriorityType=priority/basic
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] {size}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 PriorityTier=10
PartitionName=scavenge Nodes=ALL MaxTime=1-0 DefaultTime=10 PriorityTier=1 GraceTime=20
"""


def missing() -> list[str]:
    """Return which of SLURM's and munge's programs are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]


class Cluster:
    """A running cluster.

    Parameters
    ----------
    folder : Path
        Where everything is.
    nodes, cpus : int
        Nodes, and processors of each.
    """

    def __init__(self, folder: Path, nodes: int = 4, cpus: int = 2) -> None:
        self.folder, self.nodes, self.cpus = folder, nodes, cpus
        drop = (*LAUNCHER_PREFIXES, "SLURM_", "SBATCH_", "SRUN_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        path = os.environ.get("PYTHONPATH")
        self.environment |= {
            "PATH": _PATH,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PYTHONPATH": f"{ROOT}:{path}" if path else str(ROOT),
            # the kernels that other tests have compiled
            "DISTSNN_CACHE_DIR": os.environ.get("DISTSNN_CACHE_DIR")
            or str(Path("~/.cache/distsnn").expanduser()),
        }

    # -- the daemons ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start all daemons and wait until every node is idle."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        # munge wants no folder on the way that others may write, but for a sticky one
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        port = _free_ports(self.nodes + 1)
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (self.folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                folder=self.folder,
                host=socket.gethostname().split(".")[0],
                user=getuser(),
                port=port,
                first=port + 1,
                last=port + self.nodes,
                nodes=self.nodes,
                size=f"CPUs={self.cpus} RealMemory=8000",
            )
        )
        files = {"socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self.run(
            "munged",
            "--force",
            f"--key-file={key}",
            *(f"--{option}={self.folder}/munge.{end}" for option, end in files.items()),
        )
        self.run("slurmctld", "-f", self.environment["SLURM_CONF"])
        for node in range(1, self.nodes + 1):
            self.start_node(node)
        self.until(self.all_idle, "all nodes idle")

    def start_node(self, node: int) -> None:
        """Start the daemon of a node."""
        (self.folder / "spool" / f"n{node}").mkdir(exist_ok=True)
        self.run("slurmd", "-f", self.environment["SLURM_CONF"], "-N", f"n{node}")

    def kill_node(self, node: int) -> None:
        """End a node as a power cut does: its daemon, its jobs' helpers and all they started."""
        signal_all([_pid(self.folder / f"slurmd.n{node}.pid")], signal.SIGKILL)
        tasks = self.processes(node)
        # their parents first, which would report their end
        helpers = {_parent(pid) for pid in tasks} - set(tasks)
        signal_all([pid for pid in helpers if "slurmstepd" in _words(pid)], signal.SIGKILL)
        signal_all(tasks, signal.SIGKILL)

    def processes(self, node: int) -> list[int]:
        """Return the jobs' processes on a node."""
        return _having(f"SLURM_CONF={self.environment['SLURM_CONF']}", f"SLURMD_NODENAME=n{node}")

    def ranks(self, number: str) -> list[tuple[int, int]]:
        """Return the (node, process) of each rank of a job, in their order."""
        conf = f"SLURM_CONF={self.environment['SLURM_CONF']}"
        found = []
        for pid in _having(conf, f"SLURM_JOB_ID={number}"):
            variables = dict(word.partition("=")[::2] for word in _read(pid, "environ"))
            # not the shell around it, nor srun
            if "SLURM_PROCID" in variables and _read(pid, "cmdline")[0] == sys.executable:
                rank, name = int(variables["SLURM_PROCID"]), variables["SLURMD_NODENAME"]
                found.append((rank, int(name[1:]), pid))
        return [(node, pid) for _, node, pid in sorted(found)]

    def stop(self) -> None:
        """Cancel what runs and stop all daemons."""
        if (self.folder / "slurm.conf").exists():
            self.run("scancel", "--full", "--user", getuser(), check=False)
            deadline = time.monotonic() + 10
            while self.run("squeue", "-h", check=False).strip() and time.monotonic() < deadline:
                time.sleep(0.2)
        pids = [pid for path in self.folder.glob("*.pid") if (pid := _pid(path))]
        signal_all(pids, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while any(map(_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [pid for node in range(1, self.nodes + 1) for pid in self.processes(node)]
        signal_all([pid for pid in pids if _alive(pid)] + left, signal.SIGKILL)

    # -- commands -------------------------------------------------------------------------------

    def run(self, *words: object, check: bool = True, **variables: str) -> str:
        """Run a command of the cluster; return what it printed."""
        done = self.execute(*words, **variables)
        if check:
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def execute(
        self, *words: object, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster to its end, whatever that is."""
        program = shutil.which(str(words[0]), path=_PATH) or str(words[0])
        return subprocess.run(
            [program, *map(str, words[1:])],
            env=self.environment | variables,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
        )

    def distsnn(self, *words: object, cwd: Path, **variables: str) -> str:
        """Run ``distsnn WORDS`` as on a login node; return what it printed."""
        done = self.execute(sys.executable, "-m", "distsnn", *words, cwd=cwd, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    # -- what is going on -----------------------------------------------------------------------

    def all_idle(self) -> bool:
        """Return whether every node is idle."""
        states = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%T", check=False).split()
        return states == ["idle"] * self.nodes

    def all_up(self) -> bool:
        """Return whether every node can take jobs."""
        states = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%T", check=False).split()
        return len(states) == self.nodes and set(states) <= {"idle", "mixed", "allocated"}

    def job(self, number: str) -> dict[str, str]:
        """Return the fields of a job, such as JobState, Restarts and ExitCode."""
        text = self.run("scontrol", "show", "job", "-o", number)
        return dict(re.findall(r"(\w+)=(\S*)", text.splitlines()[0]))

    def wait(self, number: str, *states: str, timeout: float = 240.0) -> dict[str, str]:
        """Wait until a job is in one of the states (default: over); return its fields."""
        wanted = states or ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        self.until(lambda: self.job(number)["JobState"] in wanted, f"{number} {wanted}", timeout)
        return self.job(number)

    def until(self, true: Callable[[], bool], what: str, timeout: float = 240.0) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{self.logs()}"
            time.sleep(0.1)


def _free_ports(n: int) -> int:
    """Return the first of so many neighbouring ports that nobody listens on."""
    # far from what another process of these tests finds at the same time
    start = 20000 + os.getpid() * 16 % 9000
    for first in range(start, 60000, n):
        sockets: list[socket.socket] = []
        try:
            for port in range(first, first + n):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError("no free ports")


def _pid(path: Path) -> int:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else 0


def _read(pid: int, name: str) -> list[str]:
    # One empty text for a process that is gone.
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace").split("\0")
    except OSError:
        return [""]


def _having(*variables: str) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if set(variables) <= set(_read(pid, "environ"))]


def _words(pid: int) -> str:
    return " ".join(_read(pid, "cmdline")).strip()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _alive(pid: int) -> bool:
    return bool(_words(pid))


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes, of which some may be gone."""
    for pid in pids:
        if pid > 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
