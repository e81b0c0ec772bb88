"""How a process ended, told to one that is not its parent, and the words for it.

Standard library only: `distsnn.comm.supervision.exit_monitor` runs it without the rest of distsnn.
"""

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
_LOOK_EVERY = 0.0005  # s


class ProcessExit:
    """A process to be asked, once it ends, how it did. Any process of this user on this machine.

    Parameters
    ----------
    pid : int
        The process.

    Attributes
    ----------
    descriptor : int or None
        Readable once the process has ended; None where there is no such thing.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptor: int | None = None
        try:
            self.descriptor = os.pidfd_open(pid)
        except OSError:  # gone already, or a kernel without
            self.descriptor = None

    def status(self, patience: float = 0.3) -> int | None:
        """Return the wait status of the process, which is about to end.

        Known for certain from Linux 6.15 on. Before, only if the process is seen between its end
        and its parent's look at it, which is likely if this is called at once.

        Parameters
        ----------
        patience : float
            Seconds to wait for the end.

        Returns
        -------
        int or None
            As from `os.waitpid`; None if it cannot be known.
        """
        limit = time.monotonic() + patience
        while True:
            found = self._told()
            if found is None:
                found = _seen(self.pid)
            if found is not None or time.monotonic() > limit:
                return found
            if not Path(f"/proc/{self.pid}").exists():
                return self._told()  # its parent has looked: there is nothing more to come
            time.sleep(_LOOK_EVERY)

    def ended(self, patience: float = 0.0) -> bool:
        """Return whether the process has ended, waiting for so many seconds."""
        if self.descriptor is None:
            return not is_alive(self.pid)
        poll = select.poll()  # unlike select.select, for any number of descriptors
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(patience * 1e3))

    def close(self) -> None:
        """Forget the process."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _told(self) -> int | None:
        if self.descriptor is None:
            return None
        answer = bytearray(_INFO.pack(_HAS_EXIT, 0, *[0] * 12))
        try:
            fcntl.ioctl(self.descriptor, _GET_INFO, answer)
        except OSError:
            return None
        mask, *_, status = _INFO.unpack(answer)
        return int(status) if mask & _HAS_EXIT else None


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that is ending, or dead and not yet reaped, does not."""
    # An ending process has no command line any more while its memory is being freed.
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, by SIGSTOP or a debugger."""
    return _state(pid)[:1] in (["T"], ["t"])


def _state(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _seen(pid: int) -> int | None:
    # The last field of /proc/PID/stat: not zero from the moment that a signal or exit() ends it.
    fields = _state(pid)
    if not fields:
        return None
    status = int(fields[-1])
    return status if status != 0 or fields[0] in "ZX" else None


def oom_kill_count() -> int:
    """Return how many processes this machine has killed for lack of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def signal_of(status: int | None) -> int | None:
    """Return the signal that ended a process of this wait status, or None."""
    return status & 0x7F or None if status is not None else None


def describe_exit(status: int | None, *, memory: bool = False) -> str:
    """Return how a process ended, to follow its name: ``was ended by signal 9 (SIGKILL), ...``.

    Parameters
    ----------
    status : int or None
        Wait status; None if not known.
    memory : bool
        Whether the machine has just killed a process for lack of memory.
    """
    number = signal_of(status)
    if status is None:
        return "ended without a word" + (": the machine ran out of memory" if memory else "")
    if number is None:
        return f"ended by itself with exit code {status >> 8}"
    try:
        name = f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL:
        name += ": the machine ran out of memory" if memory else ", as when memory runs out"
    return f"was ended by {name}"
