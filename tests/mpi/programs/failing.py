"""Run on N ranks: fail in the way that the first argument names."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from distsnn.comm import Communicator, collective_phase, run_program, world
from distsnn.errors import DescriptionError, RankError


def failing() -> None:
    print(f"failing at {time.time():.3f}", flush=True)


def refuse(value: object = "Q") -> NoReturn:
    failing()
    raise DescriptionError("unknown population", where="projection 3", value=value)


def outside(ranks: Communicator) -> None:
    """The last rank fails while the others wait for its spikes."""
    if ranks.rank == ranks.size - 1:
        time.sleep(0.3)
        refuse()
    wait_for_spikes(ranks)


def two(ranks: Communicator) -> None:
    """All but the first fail at once, the first waits for their spikes."""
    if ranks.rank > 0:
        time.sleep(0.3)
        refuse(ranks.rank)
    wait_for_spikes(ranks)


def everywhere(ranks: Communicator) -> None:
    failing()
    print(1 // (ranks.rank - ranks.rank))


def phase(ranks: Communicator) -> None:
    try:
        with collective_phase(ranks, "building the network"):
            if ranks.rank == 1:
                refuse()
    except RankError as error:
        assert ranks.rank != 1
        print(f"rank {ranks.rank} has {error.rank} in {error}", flush=True)
        time.sleep(1.0)  # as if it had files to close
        raise
    finally:
        print(f"rank {ranks.rank} cleaned up", flush=True)


def killed(ranks: Communicator) -> None:
    """The last rank dies without a word."""
    if ranks.rank == ranks.size - 1:
        time.sleep(0.3)
        failing()
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for_spikes(ranks)


def exits(ranks: Communicator) -> int:
    """One rank returns a code of its own, another calls sys.exit."""
    if ranks.rank == 0:
        sys.exit()
    return 3 if ranks.rank == 1 else 0


def sleeping(ranks: Communicator) -> None:
    print("asleep", flush=True)
    time.sleep(50)


def wait_for_spikes(ranks: Communicator) -> None:
    # In machine code inside MPI, where no Python exception or signal handler runs.
    import ctypes

    exchange = ranks.exchange_made  # type: ignore[attr-defined]
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)
    entry(exchange.address)(exchange.table.ctypes.data, 0, 0, 1, 0)


def early(ranks: Communicator) -> NoReturn:
    raise AssertionError("never called: the first rank leaves before there are ranks")


def script() -> None:
    """A user's script without guard."""
    ranks = world()
    if ranks.rank == 1:
        failing()
        raise ValueError("a user's mistake")
    ranks.barrier()
    raise AssertionError("the barrier let a rank through")


def main(ranks: Communicator) -> int | None:
    case: Callable[[Communicator], int | None] = globals()[sys.argv[1]]
    if case in (outside, two, killed):
        exchange = ranks.exchange(5, 5 * ranks.size, 1, yielding="yielding" in sys.argv)
        assert exchange is not None
        print(f"{exchange.address=}")
        ranks.exchange_made = exchange  # type: ignore[attr-defined]
    return case(ranks)


if __name__ == "__main__":
    if sys.argv[1] == "early" and os.environ["PMI_RANK"] == "0":
        sys.exit(1)
    if sys.argv[1] == "script":
        script()
    else:
        sys.exit(run_program(main))
