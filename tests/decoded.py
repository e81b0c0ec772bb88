"""Row sets turned back into lists of synapses, to be compared between ranks and storages."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from distsnn.engine import edges, wiring
from distsnn.engine.layout import Layout
from distsnn.engine.row_sets import RowSet
from distsnn.engine.wiring import Wiring
from distsnn.network import ExplicitFile, Network
from distsnn.network.blocks import make_blocks
from distsnn.network.quanta import WeightQuanta, choose_quanta
from distsnn.partition.assignment import Assignment, make_assignment

Ints = npt.NDArray[np.int64]

# Columns of a list of synapses.
SOURCE, TARGET, DELAY, WEIGHT, PLANE = range(5)


def scales(network: Network) -> WeightQuanta:
    """Return the fixed-point scales of a network, with its edge files read."""
    files = {
        index: edges.merged([edges.summary(network.projections[index], pieces)])
        for index, pieces in file_edges(network).items()
    }
    return choose_quanta(network, files)


def file_edges(network: Network) -> dict[int, list[edges.Records]]:
    """Return the edges in the files of a network, as one rank reads them that owns all."""
    found = {}
    for index, one in enumerate(network.projections):
        if isinstance(one.rule, ExplicitFile):
            n = one.rule.n_edges
            pieces = [(first, min(first + edges.SLICE, n)) for first in range(0, n, edges.SLICE)]
            found[index] = list(edges.file_records(one, network.dt, pieces))
    return found


def layouts(
    network: Network, ranks: int, strategy: str | Assignment = "round_robin"
) -> list[Layout]:
    """Return the layouts of all ranks."""
    table = make_blocks(network)
    made = make_assignment(table, ranks, strategy)
    return [Layout(network, table, made, rank) for rank in range(ranks)]


def gids_of(layout: Layout, local: Ints) -> Ints:
    """Return the gids of local neurons, which must not be padding."""
    group, lane = local >> 6, local & 63
    assert np.all(lane < layout.group_size[group])
    return layout.group_gid[group].astype(np.int64) + lane


def of_row_set(layout: Layout, one: RowSet) -> Ints:
    """Return the synapses of a row set, shape (n, 5)."""
    plan = one.plan
    bits = np.unpackbits(one.bitmap.view(np.uint8), bitorder="little")
    sources = np.flatnonzero(bits)
    assert sources.size == one.rows.size - 1
    assert one.rows[0] == 0
    assert one.rows[-1] == one.words.size
    lengths = np.diff(one.rows)
    assert np.all(lengths > 0)
    words = one.words.astype(np.uint64)
    out = np.empty((words.size, 5), np.int64)
    out[:, SOURCE] = np.repeat(sources, lengths)
    out[:, PLANE] = plan.plane
    field = words & np.uint64((1 << plan.field_bits) - 1)
    above = words >> np.uint64(plan.field_bits)
    local = (above & np.uint64((1 << plan.target_bits) - 1)).astype(np.int64)
    out[:, TARGET] = gids_of(layout, local)
    if plan.weight is not None:
        out[:, WEIGHT] = plan.weight
    else:
        sign = np.uint64(1 << (plan.field_bits - 1))
        signed = (field ^ sign).astype(np.int64) - np.int64(sign)
        out[:, WEIGHT] = signed << plan.stored_shift
    delay = (above >> np.uint64(plan.target_bits)).astype(np.int64)
    if plan.pull:
        assert not delay.any()
        assert one.run_rows.size == one.rows.size
        assert one.run_rows[-1] == one.runs.size
        run_lengths = (one.runs & 0xFFFF).astype(np.int64)
        assert np.all(run_lengths > 0)
        # the runs of a row cover it, and are sorted by delay
        covered = np.add.reduceat(run_lengths, one.run_rows[:-1])
        np.testing.assert_array_equal(covered, lengths)
        out[:, DELAY] = np.repeat(one.runs >> 16, run_lengths)
        same_row = np.diff(out[:, SOURCE]) == 0
        assert np.all(np.diff(out[:, DELAY])[same_row] >= 0)
    elif plan.delay is not None:
        assert not delay.any()
        out[:, DELAY] = plan.delay
    else:
        out[:, DELAY] = delay
    assert np.all(out[:, DELAY] <= plan.longest)
    return out


def of_wiring(layout: Layout, made: Wiring) -> Ints:
    """Return the synapses of a rank, and check what is said about them."""
    empty = np.empty((0, 5), np.int64)
    found = np.concatenate([empty, *(of_row_set(layout, one) for one in made.row_sets)])
    if not made.generators:
        assert made.synapses == len(found)
        least, most = (found[:, DELAY].min(), found[:, DELAY].max()) if len(found) else (0, 0)
        assert (made.smallest_delay, made.largest_delay) == (least, most)
        load = np.zeros((made.load.shape[0], layout.network.n_neurons), np.int64)
        np.add.at(load, (found[:, PLANE], found[:, TARGET]), np.abs(found[:, WEIGHT]))
        real = np.arange(layout.n_local) % 64 < np.repeat(layout.group_size, 64)
        assert not made.load[:, ~real].any()
        own = gids_of(layout, np.flatnonzero(real))
        np.testing.assert_array_equal(made.load[:, real], load[:, own])
    return found


def canonical(found: Iterable[Ints]) -> Ints:
    """Return lists of synapses as one, in an order of its own."""
    every = np.concatenate([np.empty((0, 5), np.int64), *found])
    key = (every[:, SOURCE] << 34) | (every[:, TARGET] << 18) | (every[:, DELAY] << 2)
    return every[np.lexsort((every[:, WEIGHT], key | every[:, PLANE]))]


def synapses(
    network: Network,
    ranks: int = 1,
    *,
    seed: int = 1,
    strategy: str | Assignment = "round_robin",
    delivery: str = "auto",
    storage: str = "auto",
) -> Ints:
    """Build a network on some ranks and return all synapses in canonical order."""
    return canonical(
        of_wiring(
            layout,
            wiring.build(
                layout,
                scales(network),
                seed,
                delivery=delivery,
                storage=storage,
                explicit_edges=file_edges(network),
            ),
        )
        for layout in layouts(network, ranks, strategy)
    )
