"""Processes of this machine: start times, which show whether a process still runs."""

import os
import time
from pathlib import Path


def process_start_time(pid: int) -> float | None:
    """Return the start time of a process.

    Parameters
    ----------
    pid : int
        Process number.

    Returns
    -------
    float or None
        s since 1970; None if the process does not exist, is a zombie, or its time is unknown.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    age = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age
