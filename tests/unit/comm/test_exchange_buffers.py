import mmap
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import DryRun
from distsnn.comm import exchange_entries as layout
from distsnn.comm.exchange import Exchange, MpiHandles
from distsnn.errors import DescriptionError


def made(sizes: list[int], steps: int, rank: int = 0, total: int | None = None) -> Exchange:
    return Exchange(
        layout.dry_run_entry,
        rank=rank,
        max_spikes_by_rank=sizes,
        max_spikes_total=sum(sizes) if total is None else total,
        epoch_steps=steps,
        handles=MpiHandles(communicator=2**64 - 5, datatype=7),
        error_text=str,
    )


def strides(exchange: Exchange) -> tuple[int, int, int]:
    return tuple(
        int(exchange.table[i]) for i in (layout.STRIDE, layout.MIN_STRIDE, layout.MAX_STRIDE)
    )  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("sizes", "steps", "expected"),
    [
        ([10, 10], 1, (64, 64, 64)),  # no message is longer than the first stride
        ([100, 10], 1, (64, 64, 128)),  # 2 + 100 words
        ([126, 10], 1, (64, 64, 128)),
        ([127, 10], 1, (64, 64, 256)),
        ([10**6, 0], 1, (64, 64, 2048)),  # longer ones go by the overflow round
        ([10, 10], 3000, (8192, 8192, 8192)),  # the counts per step have to fit
    ],
)
def test_strides_follow_from_the_longest_message_of_any_rank(
    sizes: list[int], steps: int, expected: tuple[int, int, int]
) -> None:
    for rank in range(2):
        assert strides(made(sizes, steps, rank)) == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_buffers_hold_every_neuron_spiking_in_every_step(rank: int) -> None:
    sizes, steps = [500, 40], 7
    exchange = made(sizes, steps, rank, total=600)
    limit = strides(exchange)[2]
    # MPI reads a whole stride even from a rank with few neurons.
    assert exchange.send_buffer.size == max(limit, 1 + steps + sizes[rank] * steps)
    assert exchange.send_buffer.dtype == np.int32
    assert (exchange.received_gid.size, exchange.received_gid.dtype) == (4200, np.uint32)
    assert (exchange.received_step.size, exchange.received_step.dtype) == (4200, np.int64)
    assert (exchange.n_received.shape, exchange.n_received.dtype) == ((1,), np.int64)


def test_table_addresses_the_exchange_s_own_arrays() -> None:
    exchange = made([3, 4, 5], 2, rank=2)
    table = exchange.table
    assert table[layout.SEND_BUFFER] == exchange.send_buffer.ctypes.data
    assert table[layout.RECEIVED_GID] == exchange.received_gid.ctypes.data
    assert table[layout.RECEIVED_STEP] == exchange.received_step.ctypes.data
    assert table[layout.N_RECEIVED] == exchange.n_received.ctypes.data
    assert [table[i] for i in (layout.RANK, layout.SIZE, layout.EPOCH_STEPS)] == [2, 3, 2]
    # A handle with the highest bit set keeps its bits.
    assert table[layout.COMMUNICATOR] == -5
    assert table[layout.DATATYPE] == 7


def test_untouched_buffers_cost_no_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    exchange = DryRun(0, 4).exchange(25_000, 100_000_000, 15)
    assert exchange is not None
    assert exchange.received_gid.nbytes + exchange.received_step.nbytes == 12 * 1_500_000_000
    exchange.received_step[:10] = 1
    assert resident() - before < 50e6


def test_epoch_beyond_what_mpi_counts_is_refused() -> None:
    with pytest.raises(DescriptionError, match="at most 20 steps") as caught:
        made([50_000_000, 50_000_000], 30)
    assert caught.value.value == 30
    made([50_000_000, 50_000_000], 20)


def test_inconsistent_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="max_spikes_total is 5, the ranks have 6"):
        made([3, 3], 1, total=5)
    with pytest.raises(ValueError, match="epoch_steps is 0"):
        made([3, 3], 0)
