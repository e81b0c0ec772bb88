"""What every peer's script reports, and how it is measured. Standard library only."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# /proc/stat's first line: user nice system idle iowait irq softirq ...; the busy ones.
_BUSY = (0, 1, 2, 5, 6)


@dataclass
class Cost:
    """Cost of a piece of code.

    Attributes
    ----------
    wall_s : float
        Wall-clock time, s.
    others_cpu : float
        Share of all cores that other processes took meanwhile, 0 to 1. A measurement with more
        than a few percent says little.
    cpu_s : float
        CPU time of this process and of its children that have ended, s; 0 where it is not known.
    """

    wall_s: float = 0.0
    others_cpu: float = 0.0
    cpu_s: float = 0.0


def _machine_busy_s() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[i]) for i in _BUSY) / _TICKS


def _own_cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the time of a block and what other processes took; children count as ours."""
    cost = Cost()
    busy, own, start = _machine_busy_s(), _own_cpu_s(), time.perf_counter()
    yield cost
    cost.wall_s = time.perf_counter() - start
    cost.cpu_s = _own_cpu_s() - own
    others = (_machine_busy_s() - busy) - cost.cpu_s
    cores = os.cpu_count() or 1
    cost.others_cpu = max(0.0, others / (max(cost.wall_s, 1e-9) * cores))


def peak_rss_bytes() -> int:
    """Return the largest resident set that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss_bytes() -> int:
    """Return the resident set that this process has now, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_and_note_peak(note: Path, command: list[str]) -> int:
    """Run a program, write the largest resident set of it alone (bytes) to a file.

    A compiler that ran before as a child of the same process would otherwise hide it.

    Returns
    -------
    int
        The program's exit code.
    """
    code = subprocess.run(command).returncode
    note.write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
    return code


def report(
    *,
    simulator: str,
    version: str,
    network: str,
    neurons: int,
    synapses: int,
    threads: int,
    time_ms: float,
    warmup_ms: float,
    recording: str,
    build_s: float,
    run: Cost,
    rates: Mapping[str, float],
    peak_bytes: int,
    more: Mapping[str, float] | None = None,
) -> None:
    """Print one measurement as one line of JSON.

    Parameters
    ----------
    simulator, version, network : str
        Who ran what; `network` includes its size, e.g. ``"pd14 scale=0.1"``.
    neurons, synapses, threads : int
        Sizes.
    time_ms, warmup_ms : float
        Biological time that was measured, and simulated before it, ms.
    recording : str
        Where the spikes went, or ``"none"``.
    build_s : float
        All before the first step, imports excepted, s.
    run : Cost
        Cost of `time_ms`.
    rates : mapping of str to float
        Mean rate of each population, spikes/s.
    peak_bytes : int
        Largest resident set of the simulation, bytes.
    more : mapping of str to float, optional
        Further fields.
    """
    line = {
        "simulator": simulator,
        "version": version,
        "network": network,
        "neurons": neurons,
        "synapses": synapses,
        "threads": threads,
        "time_ms": time_ms,
        "warmup_ms": warmup_ms,
        "recording": recording,
        "build_s": round(build_s, 4),
        "run_s": round(run.wall_s, 4),
        "rtf": round(run.wall_s / time_ms * 1e3, 5),
        "rates": {name: round(rate, 4) for name, rate in rates.items()},
        "peak_rss_bytes": peak_bytes,
        "others_cpu": round(run.others_cpu, 4),
        **(more or {}),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(run_and_note_peak(Path(sys.argv[1]), sys.argv[2:]))
