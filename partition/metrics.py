"""Metrics of an assignment: balance, remote spikes, epochs, bytes; expected or measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.kernels.partitioning import set_bits
from distsnn.network import Network, PopulationView
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
    """Metrics of an assignment. Matrices are from source rank (first index) to target rank.

    Rates are per second of biological time.

    Parameters
    ----------
    strategy : str
        Name of the partition strategy.
    kind : {"expected", "measured"}
        Whether the values are expected from the description and rates, or measured in a run.
    neurons : ndarray of int64, shape (ranks,)
        Neurons of each rank.
    cost : ndarray of float64, shape (ranks,)
        Computational cost of each rank by `distsnn.partition.graph.CostModel`, ns per s.
    sources : ndarray of float64, shape (ranks, ranks)
        Neurons that have a synapse on another rank; 0 on the diagonal.
    spike_rate_between : ndarray of float64, shape (ranks, ranks)
        Spikes of these neurons, 1/s.
    synapses : ndarray of float64, shape (ranks, ranks)
        Synapses from rank to rank.
    min_delay : ndarray of int32, shape (ranks, ranks)
        Minimum delay of these synapses, steps; 0 without synapses.
    epoch_steps : int
        Maximum number of steps between two exchanges of all ranks; 0 on a single rank.
    exchanges : float
        Exchanges of all ranks, 1/s.
    bytes : float
        Bytes that a rank receives, mean of ranks, 1/s: 4 for each spike (twice for spikes of its
        group), and for each exchange and other rank 4 for each step and 4 for the total. Padding
        of messages is not included.
    spikes : float
        Spikes of all neurons, 1/s.
    dt : float
        Time step, ms.
    memory : ndarray of float64, shape (ranks,), optional
        Peak resident memory of each rank, bytes.
    rank_speeds : ndarray of float64, shape (ranks,), optional
        Relative speed of each rank; None: all ranks are equally fast.
    groups : tuple of int
        Number of ranks of each rank group; empty without exchanges inside groups.
    group_epoch_steps : int
        Maximum number of steps between two exchanges inside a group; 0 without such exchanges.
    group_exchanges : float
        Exchanges inside each group, 1/s.
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
        """Number of pairs of a neuron and a remote rank on which it has a synapse."""
        return float(self.sources.sum())

    @property
    def remote_spike_rate(self) -> float:
        """Number of pairs of a spike and a remote rank on which its source has a synapse, 1/s."""
        return float(self.spike_rate_between.sum())

    @property
    def cut_synapses(self) -> float:
        """Number of synapses whose source is on another rank."""
        return float(self.synapses.sum() - self.synapses.trace())

    @property
    def imbalance(self) -> float:
        """Maximum over ranks of cost divided by balanced cost, minus 1."""
        balanced = self.balanced_cost
        return float((self.cost / balanced).max()) - 1.0 if balanced.any() else 0.0

    @property
    def balanced_cost(self) -> Floats:
        """Cost of each rank in perfect balance, ns per s, shape (ranks,)."""
        speeds = np.ones(self.ranks) if self.rank_speeds is None else self.rank_speeds
        return np.asarray(float(self.cost.sum()) * speeds / speeds.sum())

    @property
    def connected_rank_pairs(self) -> int:
        """Number of ordered pairs of different ranks with a synapse from one to the other."""
        return int(np.count_nonzero(self.min_delay)) - int(
            np.count_nonzero(self.min_delay.diagonal())
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON-able data."""
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
    """Compute the expected metrics of an assignment.

    Parameters
    ----------
    network : Network
        The network.
    graph : TrafficGraph
        The traffic between its blocks, by the same rates.
    assignment : Assignment
        Owners of the blocks.
    rates : mapping of str to array_like, or float
        As for `distsnn.partition.traffic.build_traffic_graph`.
    edges : callable, optional
        Reads the edges of a projection from its file; required if the network has edge files.
    cost : CostModel, optional
        Cost of neurons and events.

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
    """Return the metrics measured in a run, or None if its ranks did not record the counters.

    Parameters
    ----------
    counters : sequence of mapping
        Counters of each rank from the run store (`distsnn.io.schema`).
    assignment : Assignment
        Owners of the blocks in the run.
    dt : float
        Time step, ms.
    cost : CostModel, optional
        Cost of neurons and events.
    """
    if not counters or not all(
        rank_counters.get("steps") and "spikes_from_rank" in rank_counters
        for rank_counters in counters
    ):
        return None
    ranks = len(counters)
    seconds = 1e-3 * dt * counters[0]["steps"]
    neurons = np.array([rank_counters["neurons"] for rank_counters in counters])
    events = np.array([rank_counters["synaptic_events"] for rank_counters in counters]) / seconds
    # a rank counts incoming spikes and synapses: its counters are a column of each matrix
    sources, spikes_between, synapses, min_delay = (
        np.array([rank_counters[name] for rank_counters in counters]).reshape(ranks, ranks).T
        for name in ("sources", "spikes_from_rank", "synapses", "min_delay")
    )
    epoch_steps, exchanges = counters[0]["epoch_steps"], counters[0]["exchanges"] / seconds
    received = sum(rank_counters["received_spikes"] for rank_counters in counters) / ranks / seconds
    # the counters of groups are absent if the run had no rank groups
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
        # the exchange of all ranks sends the spikes of a rank's own group again
        bytes=_received_bytes(received, ranks - 1, exchanges, epoch_steps)
        + _received_bytes(
            float(group_received.mean()) / seconds,
            _n_group_peers(groups, ranks).mean(),
            group_exchange_rate,
            group_epoch_steps,
        ),
        spikes=sum(rank_counters["own_spikes"] for rank_counters in counters) / seconds,
        dt=dt,
        groups=groups,
        group_epoch_steps=group_epoch_steps,
        group_exchanges=group_exchange_rate,
    )


def _n_group_peers(groups: Sequence[int], ranks: int) -> npt.NDArray[np.int64]:
    """Return the number of other ranks in each rank's group, shape (ranks,)."""
    return np.repeat(groups, groups) - 1 if groups else np.zeros(ranks, np.int64)


def _received_bytes(
    spike_rate: float, n_senders: float, exchanges: float, epoch_steps: int
) -> float:
    """Return the bytes that a rank receives per second; each number takes 4 bytes."""
    return 4.0 * (spike_rate + n_senders * (1 + epoch_steps) * exchanges)


def _remote_sources(
    network: Network,
    graph: TrafficGraph,
    assignment: Assignment,
    neuron_rate: Floats,
    edges: EdgeReader | None,
) -> tuple[Floats, Floats]:
    """Return the number of neurons with a synapse from rank to rank, and their spikes, 1/s."""
    ranks = assignment.ranks
    owner = np.repeat(assignment.owner, graph.neurons)
    # a bit for each pair of rank and neuron with an explicit edge, so that file chunks can be freed
    explicit_bits = np.zeros((ranks, -(-network.n_neurons // 8)), np.uint8)
    drawn_projections = []
    for projection in network.projections:
        chunks = explicit_edges(projection, network.dt, edges)
        if chunks is None:
            drawn_projections.append(projection)
            continue
        for chunk in chunks:
            target_gids = network.gids(projection.post, chunk["target"])
            set_bits(
                explicit_bits, owner[target_gids], network.gids(projection.pre, chunk["source"])
            )
    sources, spike_rate = np.zeros((ranks, ranks)), np.zeros((ranks, ranks))
    for rank in range(ranks):
        miss_probability = 1.0 - np.unpackbits(
            explicit_bits[rank], count=network.n_neurons, bitorder="little"
        )
        is_local = owner == rank
        for projection in drawn_projections:
            sources_of_view = _gid_index(network, projection.pre)
            n_local = np.count_nonzero(is_local[_gid_index(network, projection.post)])
            # Without autapses a source is not among its own candidate targets.
            targets = np.full(projection.pre.size, float(n_local))
            if projection.is_recurrent and projection.rule.skips_autapses:
                targets -= is_local[sources_of_view]
            miss_probability[sources_of_view] *= 1.0 - projection.rule.connection_probability(
                targets, projection.pre.size, projection.post.size, projection.is_recurrent
            )
        miss_probability[is_local] = 1.0
        sources[:, rank] = np.bincount(owner, 1.0 - miss_probability, minlength=ranks)
        spike_rate[:, rank] = np.bincount(
            owner, neuron_rate * (1.0 - miss_probability), minlength=ranks
        )
    return sources, spike_rate


def _gid_index(network: Network, view: PopulationView) -> slice | npt.NDArray[np.int64]:
    """Return the index of a view's neurons in an array of all neurons; a slice makes no copy."""
    first = network.first_gid[view.population]
    if view.neurons is None:
        return slice(first + view.start, first + view.stop)
    return first + view.neurons.astype(np.int64)
