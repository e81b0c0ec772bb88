"""From a description to this rank's engine: blocks, assignment, synapses, compiled kernels."""

import hashlib
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from distsnn.comm import Communicator, collective_phase, first_on_node
from distsnn.comm.exchange import Exchange
from distsnn.comm.group_exchange import GroupExchange
from distsnn.engine import wiring
from distsnn.engine.connections import SourceRankCounts, count_by_source_rank, remote_sources
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.storage import check_choices
from distsnn.engine.wiring import LocalSynapses, plastic_as_described
from distsnn.errors import DescriptionError, UsageError
from distsnn.jit import collection_paused
from distsnn.network import (
    AllToAll,
    ConnectionFile,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    IafPscExp,
    Network,
    Normal,
    OneToOne,
    PairwiseBernoulli,
    Population,
    Projection,
)
from distsnn.network.blocks import BlockTable, make_blocks
from distsnn.network.magnitudes import FEW
from distsnn.network.quanta import WeightQuanta, choose_quanta
from distsnn.partition.assignment import Assignment, check_strategy, make_assignment
from distsnn.partition.delays import (
    MAX_EPOCH_STEPS,
    EpochLengths,
    max_epoch_steps,
    min_delays,
    modulation_delays,
)
from distsnn.partition.graph import Graph
from distsnn.partition.traffic import build_traffic_graph
from distsnn.simulation.edge_routing import read_and_route_edges, read_edges
from distsnn.simulation.phase_timer import available_bytes
from distsnn.simulation.synapse_selection import select_recorded_synapses
from distsnn.units import format_count

_MOST_SPIKES = 2**30
LARGEST_SEED = 2**64 - 1
# What may be filled with synapses of the memory that is free before the build.
_MEMORY_SHARE = 0.8


def check_ranks(ranks: int | None, size: int) -> None:
    """Check the number of ranks that a `Simulation` must have.

    Parameters
    ----------
    ranks : int or None
        The number; None: any.
    size : int
        Number of ranks of the job.

    Raises
    ------
    UsageError
        If the job has another number of ranks.
    """
    if ranks not in (None, size):
        raise UsageError(
            f"a Simulation uses the ranks of its job, which has {format_count(size, 'rank')}",
            where="Simulation, ranks",
            value=ranks,
            hint=f"call simulate(network, time, ranks={ranks!r}), which starts ranks, or run "
            f"`mpiexec -n {ranks!r} python SCRIPT`",
        )


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a simulation; only the seed changes spikes.

    Parameters
    ----------
    seed : int
        Seed of all random numbers, 0 to 2^64 - 1.
    partition : str, Assignment or Graph
        Strategy that assigns blocks to ranks, or an assignment.
    delivery : {"auto", "pull", "push"}
        Method of spike delivery.
    storage : {"auto", "packed", "explicit", "procedural"}
        Storage format of synapses.
    """

    seed: int = 1
    partition: str | Assignment | Graph = "round_robin"
    delivery: str = "auto"
    storage: str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise DescriptionError("must be an integer", where="seed", value=self.seed)
        if not 0 <= self.seed <= LARGEST_SEED:
            raise DescriptionError(
                "out of range", where="seed", value=self.seed, allowed="0 to 2^64 - 1"
            )
        if not isinstance(self.partition, Assignment | Graph):
            check_strategy(self.partition)
        check_choices(self.delivery, self.storage)

    def to_dict(self) -> dict[str, object]:
        """Return the settings as JSON-able data."""
        partition = self.partition
        if not isinstance(partition, str):
            partition = "graph" if isinstance(partition, Graph) else partition.strategy
        return {
            "seed": self.seed,
            "partition": partition,
            "delivery": self.delivery,
            "storage": self.storage,
        }


@dataclass(frozen=True, eq=False)
class BuildResult:
    """Objects that a build created on this rank.

    Attributes
    ----------
    engine : RankEngine
        The engine, connected to the other ranks.
    assignment : Assignment
        Who owns which block.
    quanta : WeightQuanta
        Fixed-point scales.
    epochs : Epochs
        Largest numbers of iterations between two exchanges.
    max_delay_steps : int
        The longest delay of all ranks, steps.
    synapses : int
        Of all ranks.
    exchange : SpikeExchange, GroupExchange or None
        The exchange of spikes; None on a single rank.
    source_rank_counts : SourceRankCounts or None
        Counts of synapses by the rank of their sources; None if some are not stored.
    """

    engine: RankEngine
    assignment: Assignment
    quanta: WeightQuanta
    epochs: EpochLengths
    max_delay_steps: int
    synapses: int
    exchange: Exchange | GroupExchange | None
    source_rank_counts: SourceRankCounts | None

    def epoch_steps(self) -> dict[str, int]:
        """Return the maximum steps between exchanges of all ranks, and in groups (0: no groups)."""
        group_steps = self.epochs.group_steps if self.epochs.in_groups else 0
        return {"epoch_steps": self.epochs.global_steps, "group_epoch_steps": group_steps}

    def exchange_counts(self) -> dict[str, int]:
        """Return the numbers of spike exchanges so far, among all ranks and inside groups."""
        exchange = self.exchange
        in_group = None if exchange is None else exchange.group_counters
        return {
            "exchanges": 0 if exchange is None else exchange.counters.exchanges,
            "group_exchanges": 0 if in_group is None else in_group.exchanges,
        }

    def rank_counters(self, start_step: int, spikes: int) -> dict[str, Any]:
        """Return what this rank has counted, as JSON-able data (`distsnn.io.schema`: `counters`).

        Parameters
        ----------
        start_step : int
            The step at which the rank began to run.
        spikes : int
            Spikes of its neurons since then.
        """
        engine, exchange = self.engine, self.exchange
        counters: dict[str, Any] = {
            "steps": engine.step - start_step,
            "neurons": engine.layout.n_neurons,
            "synaptic_events": engine.events,
            "own_spikes": spikes,
            **self.epoch_steps(),
            **self.exchange_counts(),
            "received_spikes": 0,
            "received_bytes": 0,
            "group_received_spikes": 0,
        }
        if exchange is not None:
            in_group = exchange.group_counters
            for level in (exchange.counters, *([] if in_group is None else [in_group])):
                counters["received_spikes"] += level.received_spikes
                counters["received_bytes"] += level.received_bytes
            counters["group_received_spikes"] = 0 if in_group is None else in_group.received_spikes
        sources = self.source_rank_counts
        if sources is not None:
            counters["sources"] = sources.sources.tolist()
            counters["synapses"] = sources.synapses.tolist()
            counters["min_delay"] = sources.smallest_delay.tolist()
            counters["spikes_from_rank"] = (
                [0] * self.assignment.ranks
                if exchange is None
                else exchange.spikes_from_rank.tolist()
            )
        return counters


@collection_paused()
def build(
    network: Network, settings: SimulationSettings, communicator: Communicator
) -> BuildResult:
    """Build a network on all ranks. Collective.

    Parameters
    ----------
    network : Network
        The network, the same on all ranks.
    settings : SimulationSettings
        Settings of the simulation.
    communicator : Communicator
        The ranks.

    Raises
    ------
    DescriptionError, UsageError
        If the network cannot be built, or is not the same on all ranks.
    RankError
        If another rank failed.
    """
    check_same_on_all_ranks(network, settings, communicator)
    if communicator.rank == 0:
        _warn(network)
    with collective_phase(communicator, "compiling"), first_on_node(communicator):
        compile_wiring_kernels()
    with collective_phase(communicator, "describing the network"):
        table = make_blocks(network)
    assignment = _make_assignment(network, table, settings.partition, communicator)
    with collective_phase(communicator, "describing the network"):
        layout = LocalLayout(network, table, assignment, communicator.rank)
    explicit_edges, files = read_and_route_edges(layout, communicator)
    with collective_phase(communicator, "describing the network"):
        scales = choose_quanta(network, files)
    # Quantiles come from the C library, whose last bits may differ between nodes: rank 0's count.
    scales = WeightQuanta.from_dict(communicator.bcast(scales.to_dict()))
    if communicator.rank == 0:
        _warn_of_rounding(network, scales)
    with collective_phase(communicator, "building the network"):
        wired = wiring.build_local_synapses(
            layout,
            scales,
            settings.seed,
            delivery=settings.delivery,
            storage=settings.storage,
            memory_bytes=_MEMORY_SHARE * available_bytes() / communicator.node_size,
            explicit_edges=explicit_edges,
        )
        counts = count_by_source_rank(layout, wired)
    # All ranks need input rows of one type: what may be set must not depend on their number.
    weight_sums = communicator.allreduce_max(wired.max_weight_sums)
    with collective_phase(communicator, "building the network"):
        engine = RankEngine(layout, scales, wired, settings.seed, weight_sums)
    # Only delays between ranks bound an epoch: a rank's own spikes are delivered step by step.
    local_minima = np.array(_min_delays_to_other_ranks(layout, wired, counts))
    nearest, between = (-communicator.allreduce_max(-local_minima)).tolist()
    reach = communicator.allreduce_max(max([wired.largest_delay, *modulation_delays(network)]))
    # An epoch in which every neuron spikes in every step must fit the exchange's buffers.
    room = _MOST_SPIKES // (sum(communicator.allgather(engine.max_spikes)) + communicator.size)
    epochs = EpochLengths.from_delays(nearest, between, min(max_epoch_steps(network), room))
    synapses = sum(communicator.allgather(wired.synapses))
    built = BuildResult(engine, assignment, scales, epochs, reach, synapses, None, counts)
    return _connected(built, communicator)


@collection_paused()
def restart(built: BuildResult, communicator: Communicator, *, keep_weights: bool) -> BuildResult:
    """Take a network back to before its first step, with the parameters that it has. Collective.

    The engine is the same object.

    Parameters
    ----------
    built : BuildResult
        The network.
    communicator : Communicator
        The ranks.
    keep_weights : bool
        Whether plastic weights stay as they are; else they are drawn or read again.

    Raises
    ------
    DescriptionError
        If the edges in a file have changed.
    """
    engine, layout = built.engine, built.engine.layout
    learns = [plastic.learns for plastic in engine.plastic]
    explicit_edges = (
        {} if keep_weights else read_and_route_edges(layout, communicator, plastic_only=True)[0]
    )
    with collective_phase(communicator, "going back"):
        if keep_weights:
            for plastic in engine.plastic:
                plastic.rows.weights[:] = plastic.read_weights(engine.step)
        else:
            for changed in engine.changed_weights.values():
                changed.forget()
            _renew_weights(
                engine, plastic_as_described(layout, built.quanta, engine.seed, explicit_edges)
            )
        engine.restart(
            {
                name: {parameter: neurons.parameters[parameter] for parameter in neurons.changed}
                for name, neurons in engine.neurons.items()
            }
        )
    rebuilt = _connected(built, communicator)
    for plastic, on in zip(engine.plastic, learns, strict=True):
        plastic.learns = on
    return rebuilt


def _renew_weights(engine: RankEngine, described: Iterable[PlasticRows]) -> None:
    """Reset the plastic weights to newly drawn values."""
    for plastic, rows in zip(engine.plastic, described, strict=True):
        edges = [
            (row_set.words, row_set.row_starts, row_set.bitmap)
            for row_set in (plastic.rows.row_set, rows.row_set)
        ]
        if not all(map(np.array_equal, *edges)):
            raise DescriptionError(
                "the edges in its file have changed since the network was built",
                where=f"projection {plastic.projection.name!r}",
            )
        plastic.rows.weights[:] = rows.weights


def _connected(built: BuildResult, communicator: Communicator) -> BuildResult:
    """Connect an engine, before its first step, with the engines of other ranks. Collective."""
    engine, epochs = built.engine, built.epochs
    most_spikes = communicator.allgather(engine.max_spikes)
    exchange = _exchange(communicator, most_spikes, epochs, built.assignment)
    # each rank chooses its storage, and procedural synapses are not counted
    with collective_phase(communicator, "building the network"):
        if exchange is not None and built.source_rank_counts is not None:
            exchange.count_spikes_of(remote_sources(engine.layout, engine.synapses))
    with collective_phase(communicator, "compiling"), first_on_node(communicator):
        engine.connect(exchange, epochs.group_steps, built.max_delay_steps)
    chosen = select_recorded_synapses(engine, communicator)
    with collective_phase(communicator, "choosing synapses"):
        engine.record_weights(chosen)
    return replace(built, exchange=exchange)


def _warn(network: Network) -> None:
    """Warn of each population whose step is too long for accurate rates."""
    for population in network.populations:
        concern = population.model.concern(network.dt)
        if concern:
            warnings.warn(f"population {population.name!r}: {concern}", stacklevel=2)


def _warn_of_rounding(network: Network, quanta: WeightQuanta) -> None:
    """Warn of each projection of which many weights are rounded coarsely, unless it says so."""
    for projection in network.projections:
        error = quanta.errors[projection.name or ""]
        if error.share > FEW and projection.weight_bits is None:
            warnings.warn(
                f"projection {projection.name!r}: the weights differ by too many orders of "
                f"magnitude: {error}; the smallest act as 0",
                stacklevel=2,
            )


def _make_assignment(
    network: Network,
    table: BlockTable,
    partition: str | Assignment | Graph,
    communicator: Communicator,
) -> Assignment:
    """Return who owns which block, the same on all ranks. Collective."""
    if partition == "graph":
        partition = Graph()
    if isinstance(partition, Graph):
        # Libraries may decide otherwise on another machine: rank 0's word counts.
        assignment = None
        with collective_phase(communicator, "partitioning"):
            if communicator.rank == 0:
                reader = partial(read_edges, dt=network.dt)
                assignment = partition.assign(network, table, communicator.size, reader)
        assignment = communicator.bcast(assignment)
        assert assignment is not None
        return assignment
    with collective_phase(communicator, "describing the network"):
        return make_assignment(table, communicator.size, partition)


def _min_delays_to_other_ranks(
    layout: LocalLayout, wired: LocalSynapses, counts: SourceRankCounts | None
) -> tuple[int, int]:
    """Return the minimum delays from other ranks, and from ranks of other groups.

    They are in steps; where they are not known, bounds of them.
    """
    network, assignment = layout.network, layout.assignment
    if counts is not None and assignment.ranks > 1:
        delay, group = counts.smallest_delay, assignment.group_of_rank
        others = np.arange(assignment.ranks) != layout.rank, group != group[layout.rank]
        near, far = (delay[mask & (delay > 0)].min(initial=MAX_EPOCH_STEPS) for mask in others)
        return int(near), int(far)
    # no other rank, or unknown without reading a file: use the built synapses
    files = any(isinstance(mask.rule, ConnectionFile) for mask in network.projections)
    bound = wired.smallest_delay or MAX_EPOCH_STEPS
    if assignment.ranks == 1 or files:
        return bound, bound
    near, far = min_delays(build_traffic_graph(network, layout.blocks), assignment)
    return max(bound, near), max(bound, far)


def _exchange(
    communicator: Communicator, most_spikes: list[int], epochs: EpochLengths, assignment: Assignment
) -> Exchange | GroupExchange | None:
    """Return the exchange of spikes, in groups where they gain anything. Collective."""
    sizes = most_spikes[communicator.rank], sum(most_spikes)
    if not epochs.in_groups:
        return communicator.exchange(*sizes, epochs.global_steps)
    steps = epochs.group_steps, epochs.global_steps
    return communicator.exchange_in_groups(*sizes, steps, assignment.groups)


def check_same_on_all_ranks(
    network: Network, settings: SimulationSettings, communicator: Communicator
) -> None:
    """Check that all ranks were given the same network and settings. Collective.

    Raises
    ------
    UsageError
        If not, on all ranks: such as where a model draws random numbers without a seed.
    """
    if communicator.size == 1:
        return
    # A file's hash would cost every rank a reading: it must do that it has the same length.
    lengths = [
        projection.rule.n_edges
        for projection in network.projections
        if isinstance(projection.rule, ConnectionFile)
    ]
    chosen = settings.to_dict()
    partition = hashlib.sha256(str(chosen.pop("partition")).encode())
    if isinstance(settings.partition, Assignment):
        partition.update(settings.partition.owner.tobytes())
        partition.update(str(list(settings.partition.groups)).encode())
    lengths_and_settings = json.dumps([lengths, chosen], sort_keys=True)
    digest = hashlib.sha256(
        (network_digest(network, fingerprints=False) + lengths_and_settings).encode()
    )
    digests = communicator.allgather((digest.digest(), partition.digest()))
    for rank, other in enumerate(digests):
        if other[0] != digests[0][0]:
            raise UsageError(
                f"the network or seed of rank {rank} differs from that of rank 0",
                where="network",
                hint="seed the random numbers from which the network is made",
            )
        if other != digests[0]:
            raise UsageError(
                f"the partition of rank {rank} differs from that of rank 0",
                where="partition",
                hint="give all ranks the same partition or assignment file",
            )


def network_digest(network: Network, *, fingerprints: bool = True) -> str:
    """Return the SHA-256 of a network's description, arrays included.

    Parameters
    ----------
    network : Network
        The network.
    fingerprints : bool
        Whether edge files count with their contents, which then are read.
    """
    description, arrays = network.to_dict(fingerprints=fingerprints)
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


@cache
def compile_wiring_kernels() -> None:
    """Compile (or load) the wiring kernels by building a small network with every rule."""
    population = Population("a", 64, IafPscExp())
    rules = (
        OneToOne(),
        AllToAll(autapses=False),
        FixedIndegree(2, multapses=False),
        FixedOutdegree(2, multapses=False),
        FixedTotalNumber(10),
        PairwiseBernoulli(0.1),
    )
    drawn = [
        Projection(population, population, rule, weight=Normal(1.0, 0.1), delay=Normal(1.0, 0.5))
        for rule in rules
    ]
    fixed = [Projection(population, population, rule, weight=1.0, delay=1.0) for rule in rules]
    for network, storage in (
        (Network([population], drawn), "packed"),
        (Network([population], drawn), "explicit"),
        (Network([population], fixed), "auto"),
    ):
        table = make_blocks(network)
        layout = LocalLayout(network, table, make_assignment(table, 1, "contiguous"), 0)
        wired = wiring.build_local_synapses(
            layout, choose_quanta(network), 0, storage=storage, delivery="pull"
        )
        assert np.all(wired.weight_sums >= 0)
