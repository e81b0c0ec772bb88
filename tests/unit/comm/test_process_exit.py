"""How processes ended, read by another process, and the texts about it."""

import signal
import subprocess
import time

import pytest

from distsnn.comm.supervision.process_exit import ProcessExit, describe_exit, is_alive, signal_of


def child(script: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sh", "-c", f"sleep 0.1; {script}"])


@pytest.mark.parametrize(
    ("script", "status"), [("kill -SEGV $$", signal.SIGSEGV), ("exit 7", 7 << 8), ("exit 0", 0)]
)
def test_status_of_a_process_before_it_is_reaped(script: str, status: int) -> None:
    with child(script) as process:
        watched = ProcessExit(process.pid)
        assert not watched.has_ended()
        assert watched.has_ended(5.0)
        assert watched.status() == status
        watched.close()


def test_status_of_a_reaped_process_is_known_or_unknown_at_once() -> None:
    with child("kill -SEGV $$") as process:
        watched = ProcessExit(process.pid)
        process.wait()
    begin = time.monotonic()
    # known from Linux 6.15 on
    assert watched.status(timeout_s=5.0) in {signal.SIGSEGV, None}
    assert time.monotonic() - begin < 1.0
    watched.close()


def test_a_process_that_runs_has_no_status() -> None:
    with child("sleep 5") as process:
        watched = ProcessExit(process.pid)
        assert watched.status(timeout_s=0.05) is None
        assert is_alive(process.pid)
        process.kill()
        assert watched.has_ended(5.0)
        watched.close()
    assert not is_alive(process.pid)


@pytest.mark.parametrize(
    ("status", "memory", "text"),
    [
        (9, False, "was ended by signal 9 (SIGKILL), as when memory runs out"),
        (9, True, "was ended by signal 9 (SIGKILL): the machine ran out of memory"),
        (11 | 0x80, True, "was ended by signal 11 (SIGSEGV)"),  # with a core dump
        (7 << 8, False, "ended by itself with exit code 7"),
        (None, False, "ended for an unknown reason"),
        (63, False, "was ended by signal 63"),
    ],
)
def test_describe_exit(status: int | None, memory: bool, text: str) -> None:
    assert describe_exit(status, out_of_memory=memory) == text


def test_signal_of_a_status() -> None:
    assert [signal_of(status) for status in (None, 0, 7 << 8, 9, 11 | 0x80)] == [None] * 3 + [9, 11]
