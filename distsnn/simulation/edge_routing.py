"""Edge files: each rank reads its share of the slices and sends the edges to their owners."""

from collections.abc import Callable, Iterator

import numpy as np

from distsnn.comm import Communicator, collective_phase
from distsnn.engine import edges
from distsnn.engine.edges import Records
from distsnn.engine.layout import Layout
from distsnn.network import ExplicitFile, Network, Projection
from distsnn.network.scale_requirements import EdgeFileSummary


def shared_slices(n_edges: int, grain: int, rank: int, ranks: int) -> Iterator[tuple[int, int]]:
    """Yield first edge and end of a rank's slices: one in every round, all of whole grains.

    Round by round and rank by rank they follow each other, so that edges which arrive in the
    order of rounds and ranks are in the order of the file. At its end slices may be empty.
    """
    length = min(edges.SLICE, -(-n_edges // ranks))
    length += -length % grain
    for begin in range(0, n_edges, max(1, length * ranks)):
        first = min(begin + rank * length, n_edges)
        yield first, min(first + length, n_edges)


def read_edges(projection: Projection, dt: float) -> Iterator[Records]:
    """Yield all edges of a projection's file, slice by slice, on this rank alone."""
    assert isinstance(projection.rule, ExplicitFile)
    return edges.file_records(
        projection, dt, shared_slices(projection.rule.n_edges, edges.grain(projection), 0, 1)
    )


def file_summaries(network: Network) -> dict[int, EdgeFileSummary]:
    """Return, by index of the projection, what edge files hold; this rank alone reads them."""
    return {
        index: edges.merged([edges.summary(projection, read_edges(projection, network.dt))])
        for index, projection in enumerate(network.projections)
        if isinstance(projection.rule, ExplicitFile)
    }


def route_files(
    layout: Layout, communicator: Communicator, *, plastic_only: bool = False
) -> tuple[dict[int, list[Records]], dict[int, EdgeFileSummary]]:
    """Read the edge files of all projections, each slice on one rank. Collective.

    Parameters
    ----------
    layout : Layout
        This rank's neurons.
    communicator : Communicator
        The ranks.
    plastic_only : bool
        Leave out projections that do not learn.

    Returns
    -------
    local_edges : dict of int to list of ndarray
        By index of the projection, the records of the edges onto this rank's neurons, in the
        order of the file.
    summaries : dict of int to EdgeFileSummary
        By index of the projection, what its whole file holds.

    Raises
    ------
    DescriptionError
        If a file has changed since the description was stored, or its values are not valid.
    RankError
        If another rank found that.
    """
    local_edges: dict[int, list[Records]] = {}
    summaries: dict[int, EdgeFileSummary] = {}
    for index, projection in enumerate(layout.network.projections):
        if isinstance(projection.rule, ExplicitFile) and (
            projection.plasticity_rule is not None or not plastic_only
        ):
            local_edges[index] = list(route_file(layout, projection, communicator))
            all_summaries = communicator.allgather(edges.summary(projection, local_edges[index]))
            summaries[index] = edges.merged(all_summaries)
    return local_edges, summaries


def route_file(
    layout: Layout,
    projection: Projection,
    communicator: Communicator,
    select: Callable[[Records], Records] = lambda records: records,
) -> Iterator[Records]:
    """Yield the records of the edges of a file onto this rank's neurons. Collective.

    Parameters and errors are as in `route_files`; only the records that `select` returns are sent.
    """
    assert isinstance(projection.rule, ExplicitFile)
    with collective_phase(communicator, "reading edge files"):
        if communicator.rank == 0:
            projection.rule.verify()
        sizes = projection.rule.n_edges, edges.grain(projection)
    slices = list(shared_slices(*sizes, communicator.rank, communicator.size))
    pieces = edges.file_records(projection, layout.network.dt, slices)
    for _ in slices:
        # Each rank sends one file chunk at a time, which bounds the memory beside its own edges.
        with collective_phase(communicator, "reading edge files"):
            parts = edges.split(layout, projection, select(next(pieces)))
        yield np.concatenate(communicator.alltoall(parts))
