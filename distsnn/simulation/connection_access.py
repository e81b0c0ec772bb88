"""Connections of any projection, the same on all ranks."""

from collections.abc import Iterable

import numpy as np

from distsnn.comm import Communicator, allgather_checked, collective_phase
from distsnn.engine.connection_table import Table, plastic_connections, static_connections
from distsnn.engine.edges import Records, array_records
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, ConnectionList, PopulationView, Target
from distsnn.network.populations import as_range
from distsnn.simulation.edge_routing import route_file

# Of the tables of all ranks: what one message may hold.
_MOST_BYTES = 2**31 - 2**20


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
    DescriptionError
        If the projection does not exist or does not connect these neurons, or ranks name different
        projections.
    """
    layout = engine.layout
    network = layout.network
    with collective_phase(communicator, "looking for connections"):
        described = network.projection(projection, where="connections")
        where = f"connections of {projection!r}"
        limits = [
            _limits(engine, end, bounds, where=f"{where}, {field}")
            for end, bounds, field in (
                (described.pre, source, "source"),
                (described.post, target, "target"),
            )
        ]
    request = projection, limits
    # every rank is asked the same, before they read a file together
    allgather_checked(communicator, lambda: (request, None), where=where)
    table = local_connections(engine, communicator, projection, limits[0])
    first, last = limits[1]
    table = table[(table["target"] >= first) & (table["target"] < last)]
    check_total(communicator, table.size, table.itemsize, where=where)
    joined = np.concatenate(communicator.allgather(table))
    return joined[np.lexsort((joined["target"], joined["source"]))]


def local_connections(
    engine: RankEngine,
    communicator: Communicator,
    projection: str,
    sources: tuple[int, int] | None = None,
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
    sources : (int, int), optional
        First gid and end of the sources; by default all.
    as_described : bool
        Whether static weights are the described ones, also where a script has set others.
    """
    layout = engine.layout
    network = layout.network
    described = network.projection(projection, where="connections")
    index = [other.name for other in network.projections].index(projection)
    first = network.first_gid[described.pre.population]
    if sources is None:
        sources = first + described.pre.start, first + described.pre.stop
    # records count sources from the first of the projection
    low, high = (gid - first - described.pre.start for gid in sources)

    def wanted(records: Records) -> Records:
        return records[(records["source"] >= low) & (records["source"] < high)]

    records: Iterable[Records] | None = None
    if isinstance(described.rule, ConnectionFile):
        records = [*route_file(layout, described, communicator, wanted)]
    elif isinstance(described.rule, ConnectionList):
        records = map(wanted, array_records(described, network.dt))
    plastic = engine.plastic_by_name()
    with collective_phase(communicator, "drawing connections"):
        if projection in plastic:
            return plastic_connections(plastic[projection], engine.step, sources)
        place = layout, engine.quanta, engine.seed, index
        table = static_connections(*place, records, sources)
        changed = engine.changed_weights[projection]
        if not as_described:
            table["weight"] = changed.weights(table["source"], table["target"], table["weight"])
        return table


def check_total(communicator: Communicator, n: int, n_bytes: int, *, where: str) -> None:
    """Check that all ranks' connections, n on this rank, fit into one message. Collective.

    Raises
    ------
    DescriptionError
        If the connections are too many.
    """
    total, max_connections = sum(communicator.allgather(n)), _MOST_BYTES // n_bytes
    if total > max_connections:
        raise DescriptionError(
            "too many to send to all ranks at once",
            where=where,
            value=f"{total:,} connections",
            allowed=f"at most {max_connections:,}",
            hint="limit source or target of connections()",
        )


def _limits(
    engine: RankEngine, end: PopulationView, target: Target | None, *, where: str
) -> tuple[int, int]:
    """Return the first gid and the end of the neurons that are asked for."""
    network = engine.layout.network
    view = (
        end if target is None else network.resolve_view(as_range(target, where=where), where=where)
    )
    if view.population != end.population or view.n_shared(end) == 0:
        raise DescriptionError(
            "the projection does not reach these neurons",
            where=where,
            value=network.view_label(view),
            allowed=f"neurons of {network.view_label(end)}",
        )
    first = network.first_gid[view.population]
    return first + view.start, first + view.stop
