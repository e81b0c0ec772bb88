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
from distsnn.partition.graph import CostModel
from distsnn.partition.traffic import (
    NO_DELAY,
    EdgeReader,
    Rates,
    TrafficGraph,
    explicit_edges,
    neuron_rates,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AssignmentMetrics:
    """What an assignment comes to. Matrices are from rank (first index) to rank.

    Parameters
    ----------
    strategy : str
        Its name.
    kind : {"expected", "measured"}
        Whether figures are expectations from the description and rates, or were counted in a run.
    neurons : ndarray of int64, shape (ranks,)
        Neurons of each rank.
    cost : ndarray of float64, shape (ranks,)
        What simulating them for 1 s costs, ns, as `distsnn.partition.graph.CostModel` has it.
    sources : ndarray of float64, shape (ranks, ranks)
        Neurons that have a synapse on another rank; 0 in the diagonal.
    spike_rate_between : ndarray of float64, shape (ranks, ranks)
        Their spikes, per s.
    synapses : ndarray of float64, shape (ranks, ranks)
        Synapses.
    min_delay : ndarray of int32, shape (ranks, ranks)
        Their smallest delay in steps, 0 where there is no synapse.
    epoch_steps : int
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
    rank_speeds : ndarray of float64, shape (ranks,), optional
        Speed of each rank, of which only ratios count; None: all are alike.
    groups : tuple of int
        Ranks of each group, where there are exchanges inside groups.
    group_epoch_steps : int
        Most steps between two exchanges inside a group; 0 where there are none.
    group_exchanges : float
        Exchanges inside each group per s.
    """

    strategy: str
    kind: str
    neurons: npt.NDArray[np.int64]
    cost: Floats
    sources: Floats
    spike_rate_between: Floats
    synapses: Floats
    min_delay: npt.NDArray[np.int32]
    epoch_steps: int
    exchanges: float
    bytes: float
    spikes: float
    dt: float
    memory: Floats | None = None
    rank_speeds: Floats | None = None
    groups: tuple[int, ...] = ()
    group_epoch_steps: int = 0
    group_exchanges: float = 0.0

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.neurons.size

    @property
    def source_rank_pairs(self) -> float:
        """Pairs of a source and another rank that it has a synapse on."""
        return float(self.sources.sum())

    @property
    def remote_spike_rate(self) -> float:
        """The same, each source counted with its spikes: pairs of a spike and a rank, per s."""
        return float(self.spike_rate_between.sum())

    @property
    def cut_synapses(self) -> float:
        """Synapses whose source is on another rank."""
        return float(self.synapses.sum() - self.synapses.trace())

    @property
    def imbalance(self) -> float:
        """How much more than its share of all cost the most loaded rank has, relative to it."""
        balanced = self.balanced_cost
        return float((self.cost / balanced).max()) - 1.0 if balanced.any() else 0.0

    @property
    def balanced_cost(self) -> Floats:
        """What each rank would cost in balance, ns, shape (ranks,)."""
        speeds = np.ones(self.ranks) if self.rank_speeds is None else self.rank_speeds
        return np.asarray(float(self.cost.sum()) * speeds / speeds.sum())

    @property
    def connected_rank_pairs(self) -> int:
        """Ordered pairs of ranks with a synapse from one to the other."""
        return int(np.count_nonzero(self.min_delay)) - int(
            np.count_nonzero(self.min_delay.diagonal())
        )

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
            "balanced_cost_ns_per_s": self.balanced_cost.tolist(),
            "source_rank_pairs": self.source_rank_pairs,
            "remote_spikes_per_s": self.remote_spike_rate,
            "spikes_between_per_s": self.spike_rate_between.tolist(),
            "cut_synapses": self.cut_synapses,
            "connected_rank_pairs": self.connected_rank_pairs,
            "min_delay_ms": (self.min_delay * self.dt).round(9).tolist(),
            "epoch_ms": round(self.epoch_steps * self.dt, 9),
            "exchanges_per_s": self.exchanges,
            "groups": list(self.groups),
            "group_epoch_ms": round(self.group_epoch_steps * self.dt, 9),
            "group_exchanges_per_s": self.group_exchanges,
            "bytes_per_s": self.bytes,
            "spikes_per_s": self.spikes,
            "memory_bytes": None if self.memory is None else self.memory.tolist(),
        }


def expected_metrics(
    network: Network,
    graph: TrafficGraph,
    assignment: Assignment,
    rates: Rates = 1.0,
    edges: EdgeReader | None = None,
    cost: CostModel | None = None,
) -> AssignmentMetrics:
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
        As for `distsnn.partition.traffic.build_traffic_graph`.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one.
    cost : CostModel, optional
        What neurons and events take.

    Raises
    ------
    DescriptionError
        If rates are not valid or a file cannot be read.
    """
    ranks, owner = assignment.ranks, assignment.owner
    rank_pair = owner[graph.source] * ranks + owner[graph.target]
    synapses = np.bincount(rank_pair, graph.synapses, minlength=ranks * ranks).astype(np.float64)
    min_delay = np.full(ranks * ranks, NO_DELAY)
    np.minimum.at(min_delay, rank_pair, graph.min_delay)
    min_delay[min_delay == NO_DELAY] = 0
    epochs = expected_epochs(network, graph, assignment)
    epoch_steps = epochs.global_steps if ranks > 1 else 0
    group_epoch_steps = epochs.group_steps if epochs.in_groups else 0
    exchanges, group_exchanges = (
        1e3 / (steps * network.dt) if steps else 0.0 for steps in (epoch_steps, group_epoch_steps)
    )
    groups = tuple(assignment.groups) if epochs.in_groups else ()
    spike_rate = np.bincount(owner, graph.spike_rate, minlength=ranks).astype(np.float64)
    n_peers = _n_group_peers(groups, ranks)
    slice_cost = (cost or CostModel()).of_slices(graph, network)
    sources, spike_rate_between = _remote_sources(
        network, graph, assignment, neuron_rates(network, rates), edges
    )
    return AssignmentMetrics(
        strategy=assignment.strategy,
        kind="expected",
        neurons=np.bincount(owner, graph.neurons, minlength=ranks).astype(np.int64),
        cost=np.bincount(owner, slice_cost, minlength=ranks).astype(np.float64),
        sources=sources,
        spike_rate_between=spike_rate_between,
        synapses=synapses.reshape(ranks, ranks),
        min_delay=min_delay.reshape(ranks, ranks),
        epoch_steps=epoch_steps,
        exchanges=exchanges,
        bytes=_received_bytes(
            float(spike_rate.sum() - spike_rate.mean()), ranks - 1, exchanges, epoch_steps
        )
        + _received_bytes(
            float((spike_rate * n_peers).mean()), n_peers.mean(), group_exchanges, group_epoch_steps
        ),
        spikes=float(spike_rate.sum()),
        dt=network.dt,
        groups=groups,
        group_epoch_steps=group_epoch_steps,
        group_exchanges=group_exchanges,
    )


def measured_metrics(
    counters: Sequence[Mapping[str, Any]],
    assignment: Assignment,
    dt: float,
    cost: CostModel | None = None,
) -> AssignmentMetrics | None:
    """Return what was counted in a run, or None where its ranks did not note it.

    Parameters
    ----------
    counters : sequence of mapping
        What each rank counted, as a run's store has it (`distsnn.io.schema`: `counted`).
    assignment : Assignment
        Who owned which block.
    dt : float
        Step, ms.
    cost : CostModel, optional
        What neurons and events take.
    """
    if not counters or not all(
        rank_counters.get("steps") and "heard" in rank_counters for rank_counters in counters
    ):
        return None
    ranks = len(counters)
    seconds = 1e-3 * dt * counters[0]["steps"]
    neurons = np.array([rank_counters["neurons"] for rank_counters in counters])
    events = np.array([rank_counters["events"] for rank_counters in counters]) / seconds
    # each rank has counted what comes to it: a column
    sources, spikes_between, synapses, min_delay = (
        np.array([rank_counters[name] for rank_counters in counters]).reshape(ranks, ranks).T
        for name in ("sources", "heard", "synapses", "smallest_delay")
    )
    epoch_steps, exchanges = counters[0]["epoch_steps"], counters[0]["exchanges"] / seconds
    received = sum(rank_counters["received_spikes"] for rank_counters in counters) / ranks / seconds
    # earlier versions knew no groups
    group_epochs, group_exchanges, group_received = (
        np.array([rank_counters.get(name, 0) for rank_counters in counters])
        for name in ("group_epoch_steps", "group_exchanges", "group_received_spikes")
    )
    groups = tuple(assignment.groups) if group_epochs.any() else ()
    group_epoch_steps, group_exchange_rate = (
        int(group_epochs[0]),
        float(group_exchanges[0] / seconds),
    )
    return AssignmentMetrics(
        strategy=assignment.strategy,
        kind="measured",
        neurons=neurons,
        cost=(cost or CostModel()).total(neurons, events, dt),
        sources=sources * (1.0 - np.eye(ranks)),
        spike_rate_between=spikes_between / seconds,
        synapses=synapses.astype(np.float64),
        min_delay=min_delay.astype(np.int32),
        epoch_steps=epoch_steps if ranks > 1 else 0,
        exchanges=exchanges,
        # spikes of the own group come with those of all ranks once more
        bytes=_received_bytes(received, ranks - 1, exchanges, epoch_steps)
        + _received_bytes(
            float(group_received.mean()) / seconds,
            _n_group_peers(groups, ranks).mean(),
            group_exchange_rate,
            group_epoch_steps,
        ),
        spikes=sum(rank_counters["spikes"] for rank_counters in counters) / seconds,
        dt=dt,
        groups=groups,
        group_epoch_steps=group_epoch_steps,
        group_exchanges=group_exchange_rate,
    )


def _n_group_peers(groups: Sequence[int], ranks: int) -> npt.NDArray[np.int64]:
    """Return how many others are in each rank's group, shape (ranks,)."""
    return np.repeat(groups, groups) - 1 if groups else np.zeros(ranks, np.int64)


def _received_bytes(
    spike_rate: float, n_senders: float, exchanges: float, epoch_steps: int
) -> float:
    """Return the bytes per s of so many spikes, and exchanges with others, 4 a number."""
    return 4.0 * (spike_rate + n_senders * (1 + epoch_steps) * exchanges)


def _remote_sources(
    network: Network,
    graph: TrafficGraph,
    assignment: Assignment,
    neuron_rate: Floats,
    edges: EdgeReader | None,
) -> tuple[Floats, Floats]:
    """Return how many neurons of each rank have a synapse on each other, and their spikes/s."""
    ranks = assignment.ranks
    owner = np.repeat(assignment.owner, graph.neurons)
    # a bit for each rank and neuron that has a given synapse there: pieces of files are let go
    explicit_bits = np.zeros((ranks, -(-network.n_neurons // 8)), np.uint8)
    drawn_projections = []
    for projection in network.projections:
        chunks = explicit_edges(projection, network.dt, edges)
        if chunks is None:
            drawn_projections.append(projection)
            continue
        first_source, post = _gid_ranges(network, projection)
        for chunk in chunks:
            mark(
                explicit_bits,
                owner[post][chunk["target"]],
                first_source + chunk["source"].astype(np.int64),
            )
    sources, spike_rate = np.zeros((ranks, ranks)), np.zeros((ranks, ranks))
    for rank in range(ranks):
        miss_probability = 1.0 - np.unpackbits(
            explicit_bits[rank], count=network.n_neurons, bitorder="little"
        )
        is_local = owner == rank
        for projection in drawn_projections:
            first_source, post = _gid_ranges(network, projection)
            sources_of_view = slice(first_source, first_source + projection.pre.size)
            # Without autapses a source is none of its own candidates.
            targets = np.full(projection.pre.size, float(np.count_nonzero(is_local[post])))
            if projection.same and projection.rule.skips_autapses:
                targets -= is_local[sources_of_view]
            miss_probability[sources_of_view] *= 1.0 - projection.rule.reach(
                targets, projection.pre.size, projection.post.size, projection.same
            )
        miss_probability[is_local] = 1.0
        sources[:, rank] = np.bincount(owner, 1.0 - miss_probability, minlength=ranks)
        spike_rate[:, rank] = np.bincount(
            owner, neuron_rate * (1.0 - miss_probability), minlength=ranks
        )
    return sources, spike_rate


def _gid_ranges(network: Network, projection: Projection) -> tuple[int, slice]:
    first_source = network.first_gid[projection.pre.population] + projection.pre.start
    first_target = network.first_gid[projection.post.population] + projection.post.start
    return first_source, slice(first_target, first_target + projection.post.size)
