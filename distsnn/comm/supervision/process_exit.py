"""Reads how a process of this machine ended, from a process that is not its parent.

Standard library only: the exit monitor runs this module without the rest of distsnn.
"""

import contextlib
import fcntl
import os
import select
import signal
import struct
import time
from pathlib import Path

# Linux's PIDFD_GET_INFO and its struct pidfd_info (first version, 64 bytes): exit codes from 6.15.
_GET_INFO = 3 << 30 | 64 << 16 | 0xFF << 8 | 11
_INFO = struct.Struct("<QQ11Ii")
_HAS_EXIT = 1 << 3
_POLL_S = 0.0005
# Signals by which a launcher ends the ranks that remain after a failure.
LAUNCHER_SIGNALS = (signal.SIGKILL, signal.SIGTERM)


class ProcessExit:
    """A process of this user on this machine, whose exit status is read when it ends.

    Parameters
    ----------
    pid : int
        The process.

    Attributes
    ----------
    descriptor : int or None
        Readable once the process has ended; None if the kernel has no such descriptor.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptor: int | None = None
        with contextlib.suppress(OSError):  # the process has gone, or the kernel is too old
            self.descriptor = os.pidfd_open(pid)

    def status(self, timeout_s: float = 0.3) -> int | None:
        """Return the wait status of the process, which is about to end.

        From Linux 6.15 on the status is always available. On older kernels it is available between
        the end of the process and its parent's `wait`: call this method at once.

        Parameters
        ----------
        timeout_s : float
            Seconds to wait for the end.

        Returns
        -------
        int or None
            As from `os.waitpid`; None if it is unknown.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            status = self._kernel_status()
            if status is None:
                status = _proc_status(self.pid)
            if status is not None or time.monotonic() > deadline:
                return status
            if not Path(f"/proc/{self.pid}").exists():
                return self._kernel_status()  # its parent has waited for it
            time.sleep(_POLL_S)

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Return whether the process has ended; wait at most `timeout_s` for its end."""
        if self.descriptor is None:
            return not is_alive(self.pid)
        poll = select.poll()  # unlike select.select, for any number of descriptors
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1e3))

    def close(self) -> None:
        """Close the descriptor."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _kernel_status(self) -> int | None:
        if self.descriptor is None:
            return None
        info = bytearray(_INFO.pack(_HAS_EXIT, 0, *[0] * 12))
        try:
            fcntl.ioctl(self.descriptor, _GET_INFO, info)
        except OSError:
            return None
        mask, *_, status = _INFO.unpack(info)
        return int(status) if mask & _HAS_EXIT else None


def is_alive(pid: int) -> bool:
    """Return whether a process runs: False while it is ending, or dead and not yet reaped."""
    # An ending process has no command line any more while its memory is being freed.
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, by SIGSTOP or a debugger."""
    return _stat_fields(pid)[:1] in (["T"], ["t"])


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _proc_status(pid: int) -> int | None:
    # The last field of /proc/PID/stat is not zero from the moment that a signal or exit() ends it.
    fields = _stat_fields(pid)
    if not fields:
        return None
    status = int(fields[-1])
    return status if status != 0 or fields[0] in "ZX" else None


def oom_kill_count() -> int:
    """Return the number of processes that this machine has killed for lack of memory."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def signal_of(status: int | None) -> int | None:
    """Return the signal that ended a process of this wait status, or None."""
    return status & 0x7F or None if status is not None else None


def describe_exit(status: int | None, *, out_of_memory: bool = False) -> str:
    """Return how a process ended, to follow its name: ``was ended by signal 9 (SIGKILL), ...``.

    Parameters
    ----------
    status : int or None
        Wait status; None if unknown.
    out_of_memory : bool
        Whether the machine has just killed a process for lack of memory.
    """
    number = signal_of(status)
    if status is None and out_of_memory:
        return "ended: the machine ran out of memory"
    if status is None:
        return "ended for an unknown reason"
    if number is None:
        return f"ended by itself with exit code {status >> 8}"
    try:
        name = f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL:
        name += ": the machine ran out of memory" if out_of_memory else ", as when memory runs out"
    return f"was ended by {name}"
