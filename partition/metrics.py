"""What an assignment of blocks to ranks comes to: expected before a build, or counted in a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.partitioning import mark
from distsnn.network import Network, Projection
from distsnn.partition.assignment import Assignment
from distsnn.partition.delays import expected_epochs
from distsnn.partition.graph import Cost
from distsnn.partition.traffic import (
    NO_DELAY,
    Rates,
    Reader,
    TrafficGraph,
    given_edges,
    neuron_rates,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Metrics:
    """What an assignment comes to. Matrices are from rank (first index) to rank.

    Parameters
    ----------
    strategy : str
        Its name.
    kind : {"expected", "counted"}
        Whether figures are expectations from the description and rates, or were counted in a run.
    neurons : ndarray of int64, shape (ranks,)
        Neurons of each rank.
    cost : ndarray of float64, shape (ranks,)
        What simulating them for 1 s costs, ns, as `distsnn.partition.graph.Cost` has it.
    sources : ndarray of float64, shape (ranks, ranks)
        Neurons that have a synapse on another rank; 0 in the diagonal.
    told : ndarray of float64, shape (ranks, ranks)
        Their spikes, per s.
    synapses : ndarray of float64, shape (ranks, ranks)
        Synapses.
    delay : ndarray of int32, shape (ranks, ranks)
        Their smallest delay in steps, 0 where there is no synapse.
    epoch : int
        Most steps between two exchanges of all ranks; 0 on one rank.
    exchanges : float
        Exchanges of all ranks per s of biological time.
    bytes : float
        Bytes per s that a rank has to get of the others, the mean of ranks: 4 of every spike (twice
        of those of its group), and in every exchange a number of spikes for each step and of all.
        MPI pads them.
    spikes : float
        Spikes of all neurons, per s.
    dt : float
        Step, ms.
    memory : ndarray of float64, shape (ranks,), optional
        Largest resident memory of each rank, bytes.
    shares : ndarray of float64, shape (ranks,), optional
        Speed of each rank, of which only ratios count; None: all are alike.
    groups : tuple of int
        Ranks of each group, where there are exchanges inside groups.
    group_epoch : int
        Most steps between two exchanges inside a group; 0 where there are none.
    group_exchanges : float
        Exchanges inside each group per s.
    """

    strategy: str
    kind: str
    neurons: npt.NDArray[np.int64]
    cost: Floats
    sources: Floats
    told: Floats
    synapses: Floats
    delay: npt.NDArray[np.int32]
    epoch: int
    exchanges: float
    bytes: float
    spikes: float
    dt: float
    memory: Floats | None = None
    shares: Floats | None = None
    groups: tuple[int, ...] = ()
    group_epoch: int = 0
    group_exchanges: float = 0.0

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.neurons.size

    @property
    def connectivity(self) -> float:
        """Pairs of a source and another rank that it has a synapse on."""
        return float(self.sources.sum())

    @property
    def traffic(self) -> float:
        """The same, each source counted with its spikes: pairs of a spike and a rank, per s."""
        return float(self.told.sum())

    @property
    def cut_synapses(self) -> float:
        """Synapses whose source is on another rank."""
        return float(self.synapses.sum() - self.synapses.trace())

    @property
    def imbalance(self) -> float:
        """How much more than its share of all cost the most loaded rank has, relative to it."""
        ideal = self.ideal
        return float((self.cost / ideal).max()) - 1.0 if ideal.any() else 0.0

    @property
    def ideal(self) -> Floats:
        """What each rank would cost in balance, ns, shape (ranks,)."""
        shares = np.ones(self.ranks) if self.shares is None else self.shares
        return np.asarray(float(self.cost.sum()) * shares / shares.sum())

    @property
    def contacts(self) -> int:
        """Ordered pairs of ranks with a synapse from one to the other."""
        return int(np.count_nonzero(self.delay)) - int(np.count_nonzero(self.delay.diagonal()))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "strategy": self.strategy,
            "kind": self.kind,
            "ranks": self.ranks,
            "imbalance": self.imbalance,
            "neurons": self.neurons.tolist(),
            "synapses": self.synapses.sum(axis=0).tolist(),
            "cost_ns_per_s": self.cost.tolist(),
            "balanced_cost_ns_per_s": self.ideal.tolist(),
            "connectivity": self.connectivity,
            "traffic_per_s": self.traffic,
            "traffic_between_per_s": self.told.tolist(),
            "cut_synapses": self.cut_synapses,
            "contacts": self.contacts,
            "smallest_delay_ms": (self.delay * self.dt).round(9).tolist(),
            "epoch_ms": round(self.epoch * self.dt, 9),
            "exchanges_per_s": self.exchanges,
            "groups": list(self.groups),
            "group_epoch_ms": round(self.group_epoch * self.dt, 9),
            "group_exchanges_per_s": self.group_exchanges,
            "bytes_per_s": self.bytes,
            "spikes_per_s": self.spikes,
            "memory_bytes": None if self.memory is None else self.memory.tolist(),
        }


def metrics(
    network: Network,
    graph: TrafficGraph,
    assignment: Assignment,
    rates: Rates = 1.0,
    edges: Reader | None = None,
    cost: Cost | None = None,
) -> Metrics:
    """Return what is expected of an assignment.

    Parameters
    ----------
    network : Network
        The network.
    graph : TrafficGraph
        The traffic between its blocks, by the same rates.
    assignment : Assignment
        Who owns them.
    rates : mapping of str to array_like, or float
        As for `distsnn.partition.traffic.traffic`.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.
    cost : Cost, optional
        What neurons and events take.

    Raises
    ------
    DescriptionError
        If rates are not valid or a file cannot be read.
    """
    ranks, owner = assignment.ranks, assignment.owner
    cell = owner[graph.source] * ranks + owner[graph.target]
    synapses = np.bincount(cell, graph.synapses, minlength=ranks * ranks).astype(np.float64)
    delay = np.full(ranks * ranks, NO_DELAY)
    np.minimum.at(delay, cell, graph.delay)
    delay[delay == NO_DELAY] = 0
    epochs = expected_epochs(network, graph, assignment)
    epoch = epochs.between if ranks > 1 else 0
    group_epoch = epochs.inside if epochs.in_groups else 0
    exchanges, group_exchanges = (
        1e3 / (steps * network.dt) if steps else 0.0 for steps in (epoch, group_epoch)
    )
    groups = tuple(assignment.groups) if epochs.in_groups else ()
    spikes = np.bincount(owner, graph.spikes, minlength=ranks).astype(np.float64)
    mates = _mates(groups, ranks)
    work = (cost or Cost()).of_slices(graph, network)
    sources, told = _reached(network, graph, assignment, neuron_rates(network, rates), edges)
    return Metrics(
        strategy=assignment.strategy,
        kind="expected",
        neurons=np.bincount(owner, graph.neurons, minlength=ranks).astype(np.int64),
        cost=np.bincount(owner, work, minlength=ranks).astype(np.float64),
        sources=sources,
        told=told,
        synapses=synapses.reshape(ranks, ranks),
        delay=delay.reshape(ranks, ranks),
        epoch=epoch,
        exchanges=exchanges,
        bytes=_bytes(float(spikes.sum() - spikes.mean()), ranks - 1, exchanges, epoch)
        + _bytes(float((spikes * mates).mean()), mates.mean(), group_exchanges, group_epoch),
        spikes=float(spikes.sum()),
        dt=network.dt,
        groups=groups,
        group_epoch=group_epoch,
        group_exchanges=group_exchanges,
    )


def counted(
    counts: Sequence[Mapping[str, Any]],
    assignment: Assignment,
    dt: float,
    cost: Cost | None = None,
) -> Metrics | None:
    """Return what was counted in a run, or None where its ranks did not note it.

    Parameters
    ----------
    counts : sequence of mapping
        What each rank counted, as a run's store has it (`distsnn.io.schema`: `counted`).
    assignment : Assignment
        Who owned which block.
    dt : float
        Step, ms.
    cost : Cost, optional
        What neurons and events take.
    """
    if not counts or not all(one.get("steps") and "heard" in one for one in counts):
        return None
    ranks = len(counts)
    second = 1e-3 * dt * counts[0]["steps"]
    neurons = np.array([one["neurons"] for one in counts])
    events = np.array([one["events"] for one in counts]) / second
    # each rank has counted what comes to it: a column
    sources, told, synapses, delay = (
        np.array([one[name] for one in counts]).reshape(ranks, ranks).T
        for name in ("sources", "heard", "synapses", "smallest_delay")
    )
    epoch, exchanges = counts[0]["epoch_steps"], counts[0]["exchanges"] / second
    received = sum(one["received_spikes"] for one in counts) / ranks / second
    # earlier versions knew no groups
    group_epoch, group_exchanges, inside = (
        np.array([one.get(name, 0) for one in counts])
        for name in ("group_epoch_steps", "group_exchanges", "group_received_spikes")
    )
    groups = tuple(assignment.groups) if group_epoch.any() else ()
    inside_steps, inside_exchanges = int(group_epoch[0]), float(group_exchanges[0] / second)
    return Metrics(
        strategy=assignment.strategy,
        kind="counted",
        neurons=neurons,
        cost=(cost or Cost()).of(neurons, events, dt),
        sources=sources * (1.0 - np.eye(ranks)),
        told=told / second,
        synapses=synapses.astype(np.float64),
        delay=delay.astype(np.int32),
        epoch=epoch if ranks > 1 else 0,
        exchanges=exchanges,
        # spikes of the own group come with those of all ranks once more
        bytes=_bytes(received, ranks - 1, exchanges, epoch)
        + _bytes(
            float(inside.mean()) / second,
            _mates(groups, ranks).mean(),
            inside_exchanges,
            inside_steps,
        ),
        spikes=sum(one["spikes"] for one in counts) / second,
        dt=dt,
        groups=groups,
        group_epoch=inside_steps,
        group_exchanges=inside_exchanges,
    )


def _mates(groups: Sequence[int], ranks: int) -> npt.NDArray[np.int64]:
    """Return how many others are in each rank's group, shape (ranks,)."""
    return np.repeat(groups, groups) - 1 if groups else np.zeros(ranks, np.int64)


def _bytes(received: float, others: float, exchanges: float, epoch: int) -> float:
    """Return the bytes per s of so many spikes, and exchanges with others, 4 a number."""
    return 4.0 * (received + others * (1 + epoch) * exchanges)


def _reached(
    network: Network,
    graph: TrafficGraph,
    assignment: Assignment,
    rate: Floats,
    edges: Reader | None,
) -> tuple[Floats, Floats]:
    """Return how many neurons of each rank have a synapse on each other, and their spikes/s."""
    ranks = assignment.ranks
    own = np.repeat(assignment.owner, graph.neurons)
    # a bit for each rank and neuron that has a given synapse there: pieces of files are let go
    given = np.zeros((ranks, -(-network.n_neurons // 8)), np.uint8)
    drawn = []
    for one in network.projections:
        pieces = given_edges(one, network.dt, edges)
        if pieces is None:
            drawn.append(one)
            continue
        first, post = _gids(network, one)
        for piece in pieces:
            mark(given, own[post][piece["target"]], first + piece["source"].astype(np.int64))
    sources, told = np.zeros((ranks, ranks)), np.zeros((ranks, ranks))
    for rank in range(ranks):
        missed = 1.0 - np.unpackbits(given[rank], count=network.n_neurons, bitorder="little")
        here = own == rank
        for one in drawn:
            first, post = _gids(network, one)
            views = slice(first, first + one.pre.size)
            # Without autapses a source is none of its own candidates.
            targets = np.full(one.pre.size, float(np.count_nonzero(here[post])))
            if one.same and one.rule.skips_autapses:
                targets -= here[views]
            missed[views] *= 1.0 - one.rule.reach(targets, one.pre.size, one.post.size, one.same)
        missed[here] = 1.0
        sources[:, rank] = np.bincount(own, 1.0 - missed, minlength=ranks)
        told[:, rank] = np.bincount(own, rate * (1.0 - missed), minlength=ranks)
    return sources, told


def _gids(network: Network, one: Projection) -> tuple[int, slice]:
    first = network.first_gid[one.pre.population] + one.pre.start
    start = network.first_gid[one.post.population] + one.post.start
    return first, slice(start, start + one.post.size)
