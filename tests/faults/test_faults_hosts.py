"""Several hosts, and the link to one of them goes down: no rank waits for ever."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_jobs import ROOT
from network_hosts import Hosts, make_hosts

WATCHED = ROOT / "tests" / "mpi" / "programs" / "watched.py"
LIMIT = 2.0  # s of silence


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    hosts = make_hosts(2, tmp_path)
    yield hosts
    hosts.down()


@pytest.fixture
def job(hosts: Hosts, tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    words = ("none", "0", str(LIMIT), str(tmp_path / "exit_reports"), "idle", "30")
    process = hosts.start(4, sys.executable, WATCHED, *words)
    yield process
    # with a link down mpiexec waits for good and takes no other signal
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_ranks_on_both_sides_of_a_dead_link_end(
    hosts: Hosts, job: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert job.stdout is not None and job.stderr is not None
    pids: dict[int, int] = {}
    while len(pids) < 4:
        line = job.stdout.readline()
        assert line, job.stderr.read()
        pids |= {int(r): int(pid) for r, pid in re.findall(r"rank (\d) is (\d+)", line)}
    # all are connected, over the link too: nobody was silent for longer than the limit
    time.sleep(LIMIT + 1.0)
    assert all(is_there(pid) for pid in pids.values())
    hosts.cut(1)
    cut = time.monotonic()
    while any(is_there(pid) for pid in pids.values()):
        assert time.monotonic() - cut < LIMIT + 15.0
        time.sleep(0.1)
    assert time.monotonic() - cut > LIMIT / 2
    message = job.stderr.readline()
    far = [rf"rank {rank} \(process \d+ on node1\)" for rank in (1, 3)]
    assert re.match(f"distsnn: {' and '.join(far)} sent no heartbeat for 2 s", message)
    reports = {file.name for file in (tmp_path / "exit_reports").glob("rank*")}
    # each side has missed the other; the far ranks' parent is rank 0
    assert reports == {"rank0000", "rank0001", "rank0003"}


def is_there(pid: int) -> bool:
    """Return whether a process has not ended, or only waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
