"""Estimates the memory of a rank from the description, before anything is built."""

import math
from collections.abc import Iterator
from itertools import groupby

from distsnn.engine import local_neurons, source_states, spike_trains
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity import weight_scaling
from distsnn.engine.plasticity.rule_constants import trace_fields
from distsnn.engine.row_builder import EDGE_BYTES
from distsnn.engine.state_fields import StateField
from distsnn.engine.storage import RowSetPlan, bytes_per_synapse, distinct_delays, plan_row_sets
from distsnn.network import (
    ConnectionFile,
    ConnectionList,
    FixedIndegree,
    GammaInput,
    Network,
    Projection,
)
from distsnn.network.plastic_synapse import StateDrivenSynapse
from distsnn.network.quanta import WeightQuanta

# What a process has before any network is built: Python, its libraries (numba's compiler is most
# of it, with SciPy where it is installed), MPI, compiled kernels. Measured: peak of one neuron
# without synapses on two ranks (Python 3.11, numpy 2.4, numba 0.68, MPICH 4.3; Linux on x86-64).
# Where Python may not keep compiled modules (PYTHONDONTWRITEBYTECODE) it is 30 MiB more.
BASELINE_BYTES = 212 * 2**20
# Of an edge that is given, as a word; and of one while rows are made of them: two copies of five
# numbers, a third when they are sorted, and their order.
_GIVEN_WORD, _GIVEN_BYTES = 8.0, 128.0
# Of a row: where its words and its runs begin, and its states if it is scaled.
_ROW_BYTES, _SCALED_BYTES = 16.0, 56.0


def estimate_memory_bytes(
    layout: LocalLayout, quanta: WeightQuanta, *, delivery: str = "auto", storage: str = "auto"
) -> float:
    """Return the largest resident memory that is expected of a rank, bytes.

    The estimate includes the process without a network (`BASELINE_BYTES`), stored synapses, memory
    during the build (sorted edges of fixed indegrees, explicit edges), states
    and parameters, and the rings of input. Not included: recordings of states on their way to the
    store, buffers of bursts, and kernels that have to be compiled first.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    delivery, storage : str
        See `distsnn.engine.storage.plan_row_sets`.
    """
    plans = plan_row_sets(layout, quanta, delivery=delivery, storage=storage)
    built, peak = 0.0, 0.0
    for plan in plans:
        for stored, beside in _stages(layout, plan):
            # edges are gathered, twice for a moment, before the words that are made of them
            peak = max(peak, built + 2.0 * beside, built + stored + beside)
            built += stored
    for projection in layout.network.projections:
        if (
            isinstance(projection.rule, ConnectionList | ConnectionFile)
            or projection.plasticity_rule is not None
        ):
            synapses = _synapses(layout, projection)
            stored = synapses * bytes_per_synapse(projection, _GIVEN_WORD)
            is_explicit = isinstance(projection.rule, ConnectionList | ConnectionFile)
            peak = max(peak, built + stored + (_GIVEN_BYTES * synapses if is_explicit else 0.0))
            built += stored
    return BASELINE_BYTES + _neurons(layout) + max(peak, built + _rings(layout, plans))


def _stages(layout: LocalLayout, plan: RowSetPlan) -> Iterator[tuple[float, float]]:
    """Yield the bytes of a row set, piece by piece as it is built, and of the edges beside."""
    projections = [layout.network.projections[index] for index in plan.projections]
    yield layout.network.n_neurons / 8 * 1.5, 0.0  # which sources have rows, and their numbers
    for _, group in groupby(sorted(projections, key=_source), key=_source):
        members = list(group)
        synapses = [_synapses(layout, projection) for projection in members]
        words = 0.0 if plan.procedural else sum(synapses) * plan.word_bits / 8
        sources = max(projection.pre.size for projection in members)
        mean = sum(synapses) / sources
        rows = sources * -math.expm1(-mean)
        words += rows * (_ROW_BYTES + (_SCALED_BYTES if plan.scaled_by is not None else 0.0))
        if plan.pull:
            delays = max(distinct_delays(projection, layout.network.dt) for projection in members)
            words += 4.0 * sources * delays * -math.expm1(-mean / delays)
        edges = 8.0 * sum(
            n
            for projection, n in zip(members, synapses, strict=True)
            if isinstance(projection.rule, FixedIndegree)
        )
        pieces = max(1, math.ceil(edges / EDGE_BYTES))
        for _ in range(pieces):
            yield words / pieces, edges / pieces


def _source(projection: Projection) -> str:
    return projection.pre.population


def _synapses(layout: LocalLayout, projection: Projection) -> float:
    """Return the expected synapses of a projection onto the rank's neurons."""
    population = layout.population_index(projection.post.population)
    blocks = layout.owned_blocks[layout.blocks.population[layout.owned_blocks] == population]
    start, count_below = layout.blocks.start[blocks], projection.post.count_below
    n_targets = count_below(start + layout.blocks.size[blocks]) - count_below(start)
    share = float(n_targets.sum()) / projection.post.size
    return share * projection.rule.expected_synapses(
        projection.pre.size, projection.post.size, projection.is_recurrent
    )


def declared_fields(network: Network) -> Iterator[StateField]:
    """Yield the state variables that have values for each neuron of a population.

    Those whose number of values is not known before the build are missing: pending input, spikes in
    flight, states of synapses, and states of targets that a `StateDrivenSynapse` follows.
    """
    for population in network.populations:
        yield from local_neurons.state_fields(population, network.dt)
    for rule in network.homeostasis:
        yield from weight_scaling.state_fields(network, rule)
    for number, stimulus in enumerate(network.stimuli):
        if isinstance(stimulus, GammaInput):
            yield from spike_trains.state_fields(stimulus, number)
    for projection in network.projections:
        yield from source_states.state_fields(projection)
        if projection.plasticity_rule is not None:
            yield from trace_fields(projection, "source")
            if not isinstance(projection.plasticity_rule, StateDrivenSynapse):
                yield from trace_fields(projection, "target")


def _neurons(layout: LocalLayout) -> float:
    """Return the bytes of state variables, of parameters that differ, and of numbers."""
    total, fields = 0.0, [*declared_fields(layout.network)]
    for index, population in enumerate(layout.network.populations):
        real = 8 if population.state_type(layout.network.dt) == "float64" else 4
        values = [population.model.value(name) for name in population.model.parameters()]
        different = sum(not isinstance(value, float) for value in values)
        states = sum(field.nbytes for field in fields if field.population == population.name)
        slots = int(layout.last[index] - layout.first[index])
        total += slots * (8 + states + (8 + real) * different)
    return total


def _rings(layout: LocalLayout, plans: list[RowSetPlan]) -> float:
    """Return the bytes of input that is still to come, and of the sums of weights."""
    ahead = max((plan.max_delay for plan in plans if not plan.pull), default=0)
    slots = 1 << ahead.bit_length() + layout.target_bits
    return layout.n_planes * (4.0 * slots + 8.0 * layout.n_local)
