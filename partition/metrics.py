"""What an assignment of blocks to ranks comes to, as expected before anything is built."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.network import Network, Projection
from distsnn.network.blocks import BlockTable
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import smallest_across
from distsnn.partition.graph import Cost
from distsnn.partition.traffic import (
    NO_DELAY,
    Rates,
    Reader,
    given_edges,
    neuron_rates,
    traffic,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Metrics:
    """Expectations of an assignment, from the description and rates.

    Parameters
    ----------
    strategy : str
        Its name.
    ranks : int
        Number of ranks.
    neurons : ndarray of int64, shape (ranks,)
        Neurons of each rank.
    synapses : ndarray of float64, shape (ranks,)
        Expected synapses onto them.
    cost : ndarray of float64, shape (ranks,)
        What simulating them for 1 s costs, ns, as `distsnn.partition.graph.Cost` has it.
    connectivity : float
        Expected pairs of a source and another rank that it has a synapse on.
    traffic : float
        The same, each source counted with its spikes: pairs of a spike and a rank, per s.
    cut_synapses : float
        Expected synapses whose source is on another rank.
    delay : ndarray of int32, shape (ranks, ranks)
        Smallest delay from rank to rank in steps, 0 where there is no synapse.
    epoch : int
        The smallest of those between two ranks, steps; 0 where there is none.
    spikes : float
        Spikes of all neurons, per s.
    dt : float
        Step, ms.
    """

    strategy: str
    ranks: int
    neurons: npt.NDArray[np.int64]
    synapses: Floats
    cost: Floats
    connectivity: float
    traffic: float
    cut_synapses: float
    delay: npt.NDArray[np.int32]
    epoch: int
    spikes: float
    dt: float

    @property
    def imbalance(self) -> float:
        """How much more than the mean the most loaded rank costs, as a share."""
        mean = float(self.cost.mean())
        return float(self.cost.max()) / mean - 1.0 if mean else 0.0

    @property
    def contacts(self) -> int:
        """Ordered pairs of ranks with a synapse from one to the other."""
        return int(np.count_nonzero(self.delay)) - int(np.count_nonzero(self.delay.diagonal()))

    @property
    def exchanges(self) -> float:
        """Exchanges per s of biological time that delays demand; 0 where ranks share nothing."""
        return 1e3 / (self.epoch * self.dt) if self.epoch else 0.0

    @property
    def bytes(self) -> float:
        """Bytes per s that each rank gets from the others: every spike, and counts by step."""
        others = (self.ranks - 1) / self.ranks
        return others * (4.0 * self.spikes + 4.0 * self.ranks * (self.exchanges + 1e3 / self.dt))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "strategy": self.strategy,
            "ranks": self.ranks,
            "imbalance": self.imbalance,
            "neurons": self.neurons.tolist(),
            "synapses": self.synapses.tolist(),
            "connectivity": self.connectivity,
            "traffic_per_s": self.traffic,
            "cut_synapses": self.cut_synapses,
            "contacts": self.contacts,
            "smallest_delay_ms": (self.delay * self.dt).round(9).tolist(),
            "epoch_ms": round(self.epoch * self.dt, 9),
            "exchanges_per_s": self.exchanges,
            "bytes_per_s": self.bytes,
            "spikes_per_s": self.spikes,
        }


def metrics(
    network: Network,
    table: BlockTable,
    assignment: Assignment,
    rates: Rates = 1.0,
    edges: Reader | None = None,
) -> Metrics:
    """Return what is expected of an assignment.

    Parameters
    ----------
    network : Network
        The network.
    table : BlockTable
        Its blocks.
    assignment : Assignment
        Who owns them.
    rates : mapping of str to array_like, or float
        As for `distsnn.partition.traffic.traffic`.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.

    Raises
    ------
    DescriptionError
        If rates are not valid or a file cannot be read.
    """
    ranks, owner = assignment.ranks, assignment.owner
    graph = traffic(network, table, rates, edges)
    source, target = owner[graph.source], owner[graph.target]
    delay = np.full(ranks * ranks, NO_DELAY)
    np.minimum.at(delay, source * ranks + target, graph.delay)
    delay[delay == NO_DELAY] = 0
    epoch = smallest_across(graph, owner)
    reached = _reached(network, table, assignment, edges)
    rate = neuron_rates(network, rates)
    return Metrics(
        assignment.strategy,
        ranks,
        np.bincount(owner, table.size, minlength=ranks).astype(np.int64),
        np.bincount(target, graph.synapses, minlength=ranks).astype(np.float64),
        np.bincount(owner, Cost(dt=network.dt).of(graph), minlength=ranks).astype(np.float64),
        float(reached.sum()),
        float(rate @ reached),
        float(graph.synapses[source != target].sum()),
        delay.reshape(ranks, ranks),
        0 if epoch == NO_DELAY else epoch,
        float(graph.spikes.sum()),
        network.dt,
    )


def _reached(
    network: Network, table: BlockTable, assignment: Assignment, edges: Reader | None
) -> Floats:
    """Return the expected number of other ranks that each neuron has a synapse on."""
    given = [
        None if found is None else [(one["source"], one["target"]) for one in found]
        for found in (given_edges(one, network.dt, edges) for one in network.projections)
    ]
    own = np.repeat(assignment.owner, table.size)
    total = np.zeros(network.n_neurons)
    for rank in range(assignment.ranks):
        missed = np.ones(network.n_neurons)
        here = own == rank
        for one, pairs in zip(network.projections, given, strict=True):
            first, post = _gids(network, one)
            sources = slice(first, first + one.pre.size)
            if pairs is None:
                # Without autapses a source is none of its own candidates.
                targets = np.full(one.pre.size, float(np.count_nonzero(here[post])))
                if one.same and one.rule.skips_autapses:
                    targets -= here[sources]
                missed[sources] *= 1.0 - one.rule.reach(
                    targets, one.pre.size, one.post.size, one.same
                )
                continue
            for ends in pairs:
                hit = here[post][ends[1]]
                missed[first + ends[0][hit].astype(np.int64)] = 0.0
        missed[here] = 1.0
        total += 1.0 - missed
    return total


def _gids(network: Network, one: Projection) -> tuple[int, slice]:
    first = network.first_gid[one.pre.population] + one.pre.start
    start = network.first_gid[one.post.population] + one.post.start
    return first, slice(start, start + one.post.size)
