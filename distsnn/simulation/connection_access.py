"""Connections of any projection, the same on all ranks: one table, or table by table."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, allgather_checked, collective_phase
from distsnn.engine.connection_table import (
    Table,
    add_states,
    plastic_connections,
    static_connections,
)
from distsnn.engine.edges import Records, array_records
from distsnn.engine.layout import LocalLayout
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError, SimulationStateError, UsageError
from distsnn.network import (
    ConnectionFile,
    ConnectionList,
    Network,
    PopulationView,
    Projection,
    Target,
)
from distsnn.network.checks import as_integer
from distsnn.network.quanta import WeightQuanta
from distsnn.simulation.edge_routing import route_file
from distsnn.simulation.end_states import EndState, read_end_states

# Of the tables of all ranks: what one message may hold.
_MOST_BYTES = 2**31 - 2**20
# Connections of a range of sources that are read together, most of which may be dropped.
_MOST_BETWEEN = 1 << 20
# Columns that every table has.
_ROW_BYTES = 32

Gids = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]
# Sources and targets to which connections are limited, among those of their projection.
Limits = tuple[PopulationView, PopulationView]


def read_connections(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    source: Target | None,
    target: Target | None,
) -> Table:
    """Return a projection's connections, in the order of (source, target). Collective.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks.
    projection : str
        The projection's name.
    source, target : Population, PopulationView or str, optional
        Neurons to which the connections are limited.

    Raises
    ------
    DescriptionError, UsageError
        If the projection does not exist or does not connect these neurons, ranks name different
        projections, or the table is too large for a message.
    """
    limits = _agreed_limits(engine, communicator, projection, source, target)
    where = f"connections of {projection!r}"
    # before they fill the memory
    expected = _expected(engine.layout.network.projection(projection), limits)
    _check_number(round(expected), _ROW_BYTES, where=where)
    states = read_end_states(engine, communicator, projection)
    table = local_connections(engine, communicator, projection, limits)
    return _joined(communicator, table, states, where=where)


def iterate_connections(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    source: Target | None,
    target: Target | None,
    table_size: int,
) -> Iterator[Table]:
    """Return an iterator over tables that together are that of `read_connections`. Collective.

    Tables do not depend on the number of ranks, and each has the connections of whole sources.

    Parameters
    ----------
    engine, communicator, projection, source, target
        As in `read_connections`.
    table_size : int
        About how many connections a table has.

    Raises
    ------
    DescriptionError, UsageError
        As `read_connections`; also if `table_size` is not a positive integer.
    SimulationStateError
        During the iteration, if the simulation has run since the iteration began.
    """
    where = f"connections of {projection!r}"
    with collective_phase(communicator, "looking for connections"):
        as_integer(table_size, where=f"{where}, table_size", low=1)
    limits = _agreed_limits(engine, communicator, projection, source, target, table_size)
    return _tables(engine, communicator, projection, limits, table_size)


def _tables(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    limits: Limits,
    table_size: int,
) -> Iterator[Table]:
    where, step = f"connections of {projection!r}", engine.step
    sources, targets = limits
    described = engine.layout.network.projection(projection)
    per_source = _expected(described, limits) / sources.size
    n_sources = max(1, min(sources.size, int(table_size / max(per_source, 1e-9))))
    states = read_end_states(engine, communicator, projection)
    for low in range(0, sources.size, n_sources):
        if engine.step != step:
            raise SimulationStateError(
                "the simulation has run since the iteration over tables began", where=where
            )
        some_sources = sources[low : min(low + n_sources, sources.size)]
        table = local_connections(engine, communicator, projection, (some_sources, targets))
        for part in _divided(engine, communicator, table, some_sources, table_size):
            joined = _joined(communicator, part, states, where=where)
            if joined.size:
                yield joined


def _divided(
    engine: RankEngine,
    communicator: Communicator,
    table: Table,
    sources: PopulationView,
    table_size: int,
) -> Iterator[Table]:
    """Yield parts of this rank's table, so that those of all ranks are not much too large."""
    total = sum(communicator.allgather(table.size))
    if total <= 2 * table_size or sources.size == 1:
        yield table
        return
    low, high = sources[: sources.size // 2], sources[sources.size // 2 :]
    is_low = engine.layout.network.positions(low, table["source"]) >= 0
    yield from _divided(engine, communicator, table[is_low], low, table_size)
    yield from _divided(engine, communicator, table[~is_low], high, table_size)


def is_within(network: Network, limits: Limits, sources: Gids, targets: Gids) -> Mask:
    """Return which connections, given by gids, are between some neurons."""
    is_source = network.positions(limits[0], sources) >= 0
    return is_source & (network.positions(limits[1], targets) >= 0)


def _source_parts(projection: Projection, sources: PopulationView) -> list[PopulationView]:
    """Return parts of some sources, so that few connections of others are between these."""
    if sources.neurons is None:
        return [sources]
    per_source = _expected(projection, (projection.pre, projection.post)) / projection.pre.size
    span = max(1, int(_MOST_BETWEEN / max(per_source, 1.0)))
    starts = np.flatnonzero(np.diff(sources.neurons // span, prepend=-1)).tolist()
    return [sources[start:stop] for start, stop in pairwise([*starts, sources.size])]


def _limited(
    network: Network,
    limits: Limits,
    parts: list[PopulationView],
    read: Callable[[tuple[int, int]], Table],
) -> Table:
    """Return the connections from parts of the sources, which are read by ranges of gids."""
    tables = []
    for part in parts:
        table = read(_gid_range(network, part))
        inside = is_within(network, (part, limits[1]), table["source"], table["target"])
        tables.append(table if inside.all() else table[inside])
    return tables[0] if len(tables) == 1 else np.concatenate(tables)


def in_order(table: Table) -> Table:
    """Return the connections in the order of (source, target)."""
    ordered: Table = table[np.lexsort((table["target"], table["source"]))]
    return ordered


def _joined(
    communicator: Communicator, table: Table, states: dict[str, EndState], *, where: str
) -> Table:
    """Return the tables of all ranks as one, with the states of sources and targets."""
    row_bytes = table.itemsize + 8 * len(states)
    check_total(communicator, table.size, row_bytes, where=where)
    joined = in_order(np.concatenate(communicator.allgather(table)))
    return add_states(joined, {name: state.of(joined) for name, state in states.items()})


def _expected(projection: Projection, limits: Limits) -> float:
    """Return the expected number of a projection's connections between some neurons."""
    pre, post = projection.pre.size, projection.post.size
    expected = projection.rule.expected_synapses(pre, post, projection.is_recurrent)
    return expected * limits[0].size / pre * limits[1].size / post


def local_connections(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    limits: Limits | None = None,
    *,
    as_described: bool = False,
) -> Table:
    """Return the connections onto this rank's neurons, by source. Collective.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine.
    communicator : Communicator
        The ranks, which all name the same projection.
    projection : str
        The projection's name.
    limits : (PopulationView, PopulationView), optional
        Sources and targets to which the connections are limited.
    as_described : bool
        Whether static weights are the described ones, also where a script has set others.
    """
    network = engine.layout.network
    limits = limits or connection_limits(network, projection)
    plastic = engine.plastic_by_name()
    if projection in plastic:
        with collective_phase(communicator, "reading synapses"):
            parts = _source_parts(network.projection(projection), limits[0])
            read = partial(plastic_connections, plastic[projection], engine.step)
            return _limited(network, limits, parts, read)
    table = described_connections(
        engine.layout, engine.quanta, engine.seed, communicator, projection, limits
    )
    changed = engine.changed_weights[projection]
    if not as_described:
        with collective_phase(communicator, "reading synapses"):
            table["weight"] = changed.weights(table["source"], table["target"], table["weight"])
    return table


def described_connections(
    layout: LocalLayout,
    quanta: WeightQuanta,
    seed: int,
    communicator: Communicator,
    projection: str,
    limits: Limits,
) -> Table:
    """Draw a static projection's connections onto a rank's neurons, by source. Collective.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    seed : int
        The run's seed.
    communicator : Communicator
        The ranks, which all name the same projection.
    projection : str
        The projection's name.
    limits : (PopulationView, PopulationView)
        Sources and targets to which the connections are limited.
    """
    network = layout.network
    described = network.projection(projection)
    index = [other.name for other in network.projections].index(projection)

    def wanted(records: Records) -> Records:
        is_source = limits[0].positions(described.pre.neurons_at(records["source"])) >= 0
        return records[is_source]

    records: Iterable[Records] | None = None
    if isinstance(described.rule, ConnectionFile):
        records = [*route_file(layout, described, communicator, wanted)]
    elif isinstance(described.rule, ConnectionList):
        records = map(wanted, array_records(described, network.dt))
    with collective_phase(communicator, "drawing connections"):
        # edges are read once, and only from these sources
        parts = [limits[0]] if records is not None else _source_parts(described, limits[0])
        draw = partial(static_connections, layout, quanta, seed, index, records)
        return _limited(network, limits, parts, draw)


def check_total(communicator: Communicator, n: int, n_bytes: int, *, where: str) -> None:
    """Check that all ranks' connections, n on this rank, fit into one message. Collective.

    Raises
    ------
    UsageError
        If the connections are too many.
    """
    _check_number(sum(communicator.allgather(n)), n_bytes, where=where)


def _check_number(total: int, n_bytes: int, *, where: str) -> None:
    max_connections = _MOST_BYTES // n_bytes
    if total > max_connections:
        raise UsageError(
            "too many to send to all ranks at once",
            where=where,
            value=f"{total:,} connections",
            allowed=f"at most {max_connections:,}",
            hint="limit source or target of connections(), or read table by table with "
            "iterate_connections()",
        )


def connection_limits(
    network: Network, projection: str, source: Target | None = None, target: Target | None = None
) -> Limits:
    """Return the sources and the targets of a projection that are asked for.

    Raises
    ------
    DescriptionError
        If the projection does not exist or does not connect these neurons.
    """
    described = network.projection(projection, where="connections")
    where = f"connections of {projection!r}"
    return (
        _shared(network, described.pre, source, where=f"{where}, source"),
        _shared(network, described.post, target, where=f"{where}, target"),
    )


def _agreed_limits(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    source: Target | None,
    target: Target | None,
    *request: int,
) -> Limits:
    """Return the limits of requested connections, the same on all ranks. Collective."""
    with collective_phase(communicator, "looking for connections"):
        limits = connection_limits(engine.layout.network, projection, source, target)
    # every rank is asked the same, before they read a file together
    where = f"connections of {projection!r}"
    allgather_checked(communicator, lambda: ((projection, limits, *request), None), where=where)
    return limits


def _shared(
    network: Network, end: PopulationView, target: Target | None, *, where: str
) -> PopulationView:
    """Return the neurons of a projection's end that are asked for."""
    if target is None:
        return end
    view = network.resolve_view(target, where=where)
    shared = view.shared(end)
    if shared is None:
        raise DescriptionError(
            "the projection does not reach these neurons",
            where=where,
            value=network.view_label(view),
            allowed=f"neurons of {network.view_label(end)}",
        )
    return shared


def _gid_range(network: Network, view: PopulationView) -> tuple[int, int]:
    """Return the first gid of a view and the one after its last."""
    first = network.first_gid[view.population]
    return first + view.start, first + view.stop
