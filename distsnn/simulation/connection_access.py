"""Connections of any projection, the same on all ranks."""

from collections.abc import Iterable

import numpy as np

from distsnn.comm import Communicator, allgather_checked, collective_phase
from distsnn.engine.connection_table import Table, plastic_connections, static_connections
from distsnn.engine.edges import Records, array_records
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import DescriptionError
from distsnn.network import Explicit, ExplicitFile, Target, View
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
    source, target : Population, View or str, optional
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
        index = [other.name for other in network.projections].index(projection)
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
    # the projection counts its sources from its own first one
    low, high = (
        gid - network.first_gid[described.pre.population] - described.pre.start for gid in limits[0]
    )

    def wanted(records: Records) -> Records:
        return records[(records["source"] >= low) & (records["source"] < high)]

    bounds: Iterable[Records] | None = None
    if isinstance(described.rule, ExplicitFile):
        bounds = [*route_file(layout, described, communicator, wanted)]

    def own() -> Table:
        plastic = {delivery.projection.name: delivery for delivery in engine.plastic}
        if projection in plastic:
            table = plastic_connections(plastic[projection], engine.step, limits[0])
        else:
            records = bounds
            if isinstance(described.rule, Explicit):
                records = map(wanted, array_records(described, network.dt))
            table = static_connections(
                *(layout, engine.quanta, engine.seed, index, records, limits[0])
            )
        first, last = limits[1]
        return table[(table["target"] >= first) & (table["target"] < last)]

    with collective_phase(communicator, "drawing connections"):
        table = own()
    n_bytes = sum(communicator.allgather(table.nbytes))
    if n_bytes > _MOST_BYTES:
        raise DescriptionError(
            "too many to send to all ranks at once",
            where=where,
            value=f"{n_bytes // table.itemsize:,} connections",
            allowed=f"{_MOST_BYTES // table.itemsize:,}; limit source or target",
        )
    joined = np.concatenate(communicator.allgather(table))
    return joined[np.lexsort((joined["target"], joined["source"]))]


def _limits(engine: RankEngine, end: View, target: Target | None, *, where: str) -> tuple[int, int]:
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
