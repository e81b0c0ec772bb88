"""What launched ranks print passes at once; banners and reports of crashes are kept apart."""

import io
import itertools
import os

import pytest

from distsnn.comm.supervision.launcher_output import LauncherMessageFilter, OutputForwarder

LINE = "=" * 83
BANNER = f"""
{LINE}
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 6039 RUNNING AT vm
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
=   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES
{LINE}
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers to a problem with your application.
Please see the FAQ page for debugging suggestions
"""
RULE = "-" * 74
OPEN_MPI = f"""{RULE}
prterun noticed that process rank 1 with PID 27984 on node vm exited on
signal 9 (Killed).
{RULE}
"""
ABORTED = f"""{RULE}
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD

  Errorcode: 1
{RULE}
"""
REFUSED = f"""{RULE}
prterun has detected an attempt to run as root.

This is *strongly* discouraged.
{RULE}
"""
CRASH = 'Fatal Python error: Segmentation fault\n\nCurrent thread:\n  File "m.py", line 4 in f\n'


def sieved(text: str, *cuts: int) -> tuple[str, LauncherMessageFilter]:
    sieve = LauncherMessageFilter()
    data, edges = text.encode(), [0, *cuts, None]
    output = b"".join(sieve.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    return (output + sieve.finish()).decode(), sieve


BEFORE = "a\n\nb\n"


@pytest.mark.parametrize("first", [0, 3, len(BEFORE)])
@pytest.mark.parametrize("second", [len(BEFORE) + 1, 20, 100, 200, len(BEFORE + BANNER) - 3])
def test_banner_is_held_back_however_it_arrives(first: int, second: int) -> None:
    output, sieve = sieved(BEFORE + BANNER + "c\n", first, second)
    # mpiexec's blank line goes too, unless it had to be output before more was known
    assert output == BEFORE + "\n" * (second == len(BEFORE) + 1) + "c\n"
    assert b"EXIT CODE: 9" in sieve.banner


@pytest.mark.parametrize("cut", [len(BEFORE), len(BEFORE) + 40, 90, 150])
def test_words_of_another_launcher_are_held_back_but_what_hinders_it_is_output(cut: int) -> None:
    output, sieve = sieved(BEFORE + OPEN_MPI + "c\n" + ABORTED + REFUSED + "d\n", cut)
    assert output == BEFORE + "c\n" + REFUSED + "d\n"
    assert b"signal 9" in sieve.banner


@pytest.mark.parametrize("cut", [7, 12, 40])
def test_crash_is_kept_to_the_end(cut: int) -> None:
    output, sieve = sieved("left\x1b[K" + CRASH, cut)
    assert output == "left\x1b[K"
    assert sieve.crashes.decode() == CRASH


def test_ordinary_output_never_waits() -> None:
    sieve = LauncherMessageFilter()
    for text in (b"\r|##| 3 of 9 ms", b"no newline: F", b"===\n", b"=" * 82 + b"\n", b"\n", b"Fat"):
        assert sieve.feed(text) == text


def test_text_like_the_beginning_of_a_banner_is_printed() -> None:
    output, sieve = sieved(f"{LINE}\n=   ALL IS WELL\n{LINE}", 10, 90)
    assert output == f"{LINE}\n=   ALL IS WELL\n{LINE}"
    assert sieve.banner == b""


def test_banner_without_its_end_is_kept_at_the_end_of_the_stream() -> None:
    output, sieve = sieved(BANNER[:300], 64, 200)
    assert "BAD" not in output
    assert b"EXIT CODE: 9" in sieve.banner


def test_output_goes_to_a_replaced_stream_and_the_pipe_is_closed_if_it_fails() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if "two" in text:
                raise OSError(28, "No space left on device")
            return super().write(text)

    read, write = os.pipe()
    stream = Full()
    with os.fdopen(read, "rb") as pipe:
        output = OutputForwarder(pipe, stream, 1)
        os.write(write, "eins ä\n".encode())
        while "eins" not in stream.getvalue():
            pass
        os.write(write, b"two\n")
        output.finish()
        # the writer is told, instead of waiting for a reader that is no more
        with pytest.raises(BrokenPipeError):
            os.write(write, b"three\n")
    os.close(write)
    assert stream.getvalue() == "eins ä\n"
