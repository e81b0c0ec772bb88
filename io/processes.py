"""Processes of this machine: since when one runs, and so whether it is still there."""

import os
import time
from pathlib import Path


def started(pid: int) -> float | None:
    """Return when a process started.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    float or None
        s since 1970; None if there is none, or only its remains, or the system does not tell.
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
