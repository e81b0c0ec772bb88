"""Resource demand of a network's slices, limits of cores, and slices that fit the limits."""

import math
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.board_parameters import BoardParameter
from distsnn.partition.boards.core_targets import Floats, Ints, find_core_targets, sum_by_index
from distsnn.partition.boards.geometry import build_machine
from distsnn.partition.boards.sections import ANY_MODEL, MULTICAST, ONE_AXON, UNICAST
from distsnn.partition.connectivity import BuiltConnectivity
from distsnn.partition.traffic import TrafficGraph
from distsnn.units import format_count

# Limits of a single neuron, which smaller slices cannot meet.
PER_NEURON = ("fan_in", "fan_out")
# Minimum memory of an edge of the traffic graph while the graph is built and mapped.
_BYTES_PER_EDGE = 64


@dataclass(frozen=True, eq=False)
class SliceResources:
    """Resource demand of each slice on its core.

    Parameters
    ----------
    neurons : ndarray of int64, shape (n,)
        Number of neurons.
    fan_in : ndarray of float64, shape (n,)
        Synapses onto a neuron: expected mean, or maximum of the built network.
    fan_out : ndarray of float64, shape (n,)
        Synapses from a neuron: expected mean, or maximum of the built network.
    memory : ndarray of float64, shape (n,)
        Synapse memory, bytes; all 0 if the bytes per row or synapse of the board are unknown.
    """

    neurons: Ints
    fan_in: Floats
    fan_out: Floats
    memory: Floats


def slice_resources(graph: TrafficGraph, board: Board) -> SliceResources:
    """Compute the resource demand of a network's slices on a board's cores."""
    size, synapses = graph.neurons, graph.incoming_synapses
    row_bytes, synapse_bytes = board.core.bytes_per_row.value, board.core.bytes_per_synapse.value
    memory = np.zeros(graph.n)
    if row_bytes is not None and synapse_bytes is not None:
        if board.router.scheme.value == MULTICAST:
            # a key block covers a slice: each neuron of a sending slice has a row, even if empty
            rows = sum_by_index(graph.target, size[graph.source], graph.n)
        else:
            rows = find_core_targets(graph, np.arange(graph.n)).in_axons()
        memory = row_bytes * rows + synapse_bytes * synapses
    fan_in, fan_out = synapses / size, sum_by_index(graph.source, graph.synapses, graph.n) / size
    if isinstance(graph.connectivity, BuiltConnectivity):
        first_neuron = np.cumsum(size) - size
        fan_in, fan_out = (
            np.maximum.reduceat(synapse_bytes, first_neuron).astype(np.float64)
            for synapse_bytes in (graph.connectivity.fan_in, graph.connectivity.fan_out)
        )
    return SliceResources(size, fan_in, fan_out, memory)


def core_limits(board: Board) -> tuple[dict[str, float], list[str]]:
    """Return the known limits of a core, and the names of the unknown limits.

    Returns
    -------
    limits : dict of str to float
        By field of `SliceResources`, and ``in_axons`` and ``out_axons``.
    unknown_limits : list of str
        Unknown board parameters, without which a limit cannot be checked.
    """
    core = board.core
    limits: dict[str, float] = {}
    unknown_limits: list[str] = []

    def add(name: str, parameter: BoardParameter[int], label: str) -> None:
        if parameter.value is None:
            unknown_limits.append(label)
        else:
            limits[name] = float(parameter.value)

    add("neurons", core.max_neurons, "core.max_neurons")
    neuron_bytes, memory = core.bytes_per_neuron.value, core.neuron_memory.value
    if neuron_bytes and memory is not None:
        limits["neurons"] = min(limits.get("neurons", np.inf), float(memory // neuron_bytes))
    elif memory is not None:
        unknown_limits.append("core.bytes_per_neuron")
    add("in_axons", core.in_axons, "core.in_axons")
    add("out_axons", core.out_axons, "core.out_axons")
    add("fan_in", core.fan_in, "core.fan_in")
    add("fan_out", core.fan_out, "core.fan_out")
    if core.bytes_per_row.value is None or core.bytes_per_synapse.value is None:
        unknown_limits.append("core.bytes_per_synapse")
    elif core.synapse_memory.value is not None:
        limits["memory"] = float(core.synapse_memory.value)
    elif board.chip.shared_memory.value is not None:
        limits["memory"] = float(board.chip.shared_memory.value)
    else:
        unknown_limits.append("core.synapse_memory")
    if core.models.value is None:
        unknown_limits.append("core.models")
    return limits, unknown_limits


def check_runnable(board: Board, models: Sequence[str], links: Iterable[tuple[int, int]]) -> None:
    """Check that the board's cores support the neuron models and the recurrence of a network.

    Parameters
    ----------
    board : Board
        The board.
    models : sequence of str
        The neuron model of each population, by name; empty if not to be checked.
    links : iterable of pair of int
        Connected populations (indices): source, target. Read only if recurrence is not supported.

    Raises
    ------
    DescriptionError
        If a model or a recurrent network is not supported; the message names all reasons.
    """
    allowed, recurrent = board.core.models, board.core.recurrent
    parameters, reasons, details = list[str](), list[str](), dict[str, Any]()
    supported = (ANY_MODEL,) if allowed.value is None else allowed.value
    unsupported = (
        [] if ANY_MODEL in supported else [model for model in models if model not in supported]
    )
    if unsupported:
        parameters.append("core.models")
        reasons.append(_with_note("neurons of this model", allowed))
        details = {
            "value": unsupported[0],
            "allowed": ", ".join(supported) or "none of distsnn's models",
        }
    if recurrent.value is False and _has_cycle(links):
        parameters.append("core.recurrent")
        reasons.append(_with_note("a recurrent network", recurrent))
    if reasons:
        where = f"board {board.name!r}, {' and '.join(parameters)}"
        raise DescriptionError(f"cannot run {'; nor '.join(reasons)}", where=where, **details)


def _with_note(problem: str, parameter: BoardParameter[Any]) -> str:
    return f"{problem}: {parameter.note}" if parameter.note else problem


def _has_cycle(links: Iterable[tuple[int, int]]) -> bool:
    order = TopologicalSorter[int]()
    for source, target in links:
        order.add(target, source)
    try:
        order.prepare()
    except CycleError:
        return True
    return False


class SlicedNetwork(NamedTuple):
    """Slices of a network, and the number of neurons per core.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    neurons_per_core : int
        Maximum number of neurons of a core, and of a slice.
    limit : str or None
        The limit that reduced this number, such as ``in_axons``; None if none did.
    """

    graph: TrafficGraph
    neurons_per_core: int
    limit: str | None


@dataclass(frozen=True, eq=False)
class NetworkSize:
    """Size of a network, to estimate slices and memory before the traffic graph is built.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n_populations,)
        Number of neurons of each population.
    pairs : set of pair of int, optional
        Connected populations (indices): source, target.
    memory : float
        Memory limit of a traffic graph, bytes.
    """

    sizes: Ints
    pairs: Set[tuple[int, int]] = frozenset()
    memory: float = math.inf

    def slices_of_population(self, neurons: int) -> Ints:
        """Return the number of slices of each population, given the neurons per slice."""
        return -(-self.sizes // neurons)

    def graph_bytes(self, neurons: int) -> int:
        """Return a lower bound of the memory of the traffic graph, bytes."""
        n_slices = self.slices_of_population(neurons).tolist()
        edges: int = sum(n_slices[a] * n_slices[b] for a, b in self.pairs)
        return _BYTES_PER_EDGE * edges


def slice_to_fit(
    graph_of: Callable[[int], TrafficGraph],
    board: Board,
    neurons: int | None = None,
    *,
    estimate: bool = False,
    network_size: NetworkSize | None = None,
) -> SlicedNetwork:
    """Cut a network into slices that fit a core.

    Parameters
    ----------
    graph_of : callable
        Returns the traffic graph for a number of neurons per slice.
    board : Board
        The board.
    neurons : int, optional
        Number of neurons per core to start with; by default the limit of the board.
    estimate : bool
        Whether to return slices of a single neuron that exceed a limit, instead of an error. The
        built connectivity may show that they fit.
    network_size : NetworkSize, optional
        Size of the network, to reject a graph that is too large before it is built; by default
        the size of the first graph.

    Raises
    ------
    DescriptionError
        If a single neuron exceeds a limit, the number of neurons per core is unknown, or there
        are too few cores or too little memory for the slices.
    """
    if neurons is None:
        neurons = board.core.max_neurons.require("the number of neurons per core")
    n_cores, limit_name = _usable_cores(board), None
    while True:
        if network_size is not None:
            _check_size(network_size, board, neurons, limit_name, n_cores)
        graph = graph_of(neurons)
        if network_size is None:
            sizes = np.zeros(int(graph.population.max(initial=-1)) + 1, np.int64)
            np.add.at(sizes, graph.population, graph.neurons)
            network_size = NetworkSize(sizes)
        exceeded = first_exceeded_limit(graph, board, pack_slices(graph, board, neurons))
        if exceeded is None or (estimate and (neurons == 1 or exceeded[0] in PER_NEURON)):
            return SlicedNetwork(graph, neurons, limit_name)
        limit_name, max_value, limit = exceeded
        if limit_name in PER_NEURON or neurons == 1:
            raise DescriptionError(
                f"a single neuron exceeds the {limit_name} limit of a core",
                where=f"board {board.name!r}",
                value=round(max_value, 1),
                allowed=f"at most {limit:g}",
            )
        # axons and rows do not shrink in proportion to the slice: several steps may be needed
        neurons = max(1, min(neurons - 1, int(neurons * limit / max_value)))


def _usable_cores(board: Board) -> float:
    if board.chip.cores.value is None or board.chip.reserved.value is None:
        return math.inf
    return build_machine(board).core.size


def _check_size(
    network_size: NetworkSize, board: Board, neurons: int, limit_name: str | None, n_cores: float
) -> None:
    """Check that there are enough cores and memory for the slices."""
    cores_needed = int(network_size.slices_of_population(neurons).sum())
    if _shares_cores(board):
        cores_needed = -(-int(network_size.sizes.sum()) // max(1, neurons))
    condition = f"with slices of {format_count(neurons, 'neuron')}"
    if limit_name is not None:
        condition += f" (to meet the {limit_name} limit of a core)"
    if cores_needed > n_cores:
        raise DescriptionError(
            f"the network does not fit the board: {condition} it needs at least "
            f"{cores_needed:,} cores",
            where=f"board {board.name!r}",
            allowed=f"at most {n_cores:,}",
        )
    bytes_needed = network_size.graph_bytes(neurons)
    if bytes_needed > network_size.memory:
        raise DescriptionError(
            f"{condition} the connectivity of "
            f"{int(network_size.slices_of_population(neurons).sum()):,} slices for {n_cores:,} "
            f"cores needs at least {bytes_needed / 2**30:,.1f} GiB of memory",
            where=f"board {board.name!r}",
            allowed=f"{network_size.memory / 2**30:,.1f} GiB of free memory",
        )


def _shares_cores(board: Board) -> bool:
    """Return whether a core can host several slices."""
    is_unshared = (board.core.populations.value or 1) == 1
    return not is_unshared and board.router.scheme.value in (UNICAST, ONE_AXON)


def first_exceeded_limit(
    graph: TrafficGraph, board: Board, core: Ints
) -> tuple[str, float, float] | None:
    """Return the first limit that a core exceeds: name, maximum value, limit; None if all are met.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    board : Board
        The board.
    core : ndarray of int64, shape (n,)
        Core of each slice.
    """
    resources, limits = slice_resources(graph, board), core_limits(board)[0]
    targets = find_core_targets(graph, core) if limits.keys() & {"in_axons", "out_axons"} else None
    for name, limit in limits.items():
        if targets is not None and name in ("in_axons", "out_axons"):
            max_value = (targets.in_axons() if name == "in_axons" else targets.out_axons()).max(
                initial=0.0
            )
        else:
            max_value = getattr(resources, name).max(initial=0)
        if max_value > limit:
            return name, float(max_value), limit
    return None


def pack_slices(graph: TrafficGraph, board: Board, max_neurons: int | None = None) -> Ints:
    """Compute the logical core of each slice: consecutive slices share a core while they fit.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    board : Board
        The board.
    max_neurons : int, optional
        Maximum number of neurons of a core; by default the limit of the board.

    Returns
    -------
    ndarray of int64, shape (n,)
        Logical core of each slice, from 0 in the order of slices.
    """
    resources, (limits, _) = slice_resources(graph, board), core_limits(board)
    neurons_per_core = min(
        limits.get("neurons", np.inf), np.inf if max_neurons is None else max_neurons
    )
    core = np.arange(graph.n, dtype=np.int64)
    if not _shares_cores(board):
        return core
    # upper bound: the neurons that send to several slices of a core count as different neurons
    slice_targets = find_core_targets(graph, core)
    n_senders = (
        graph.neurons[slice_targets.source]
        if slice_targets.n_sending_neurons is None
        else slice_targets.n_sending_neurons
    )
    pair_variance = (
        np.zeros(n_senders.size) if slice_targets.variance is None else slice_targets.variance
    )
    order = np.argsort(slice_targets.target, kind="stable")
    ends = np.searchsorted(slice_targets.target[order], np.arange(graph.n + 1))
    core_index, n_neurons, memory = -1, 0, 0.0
    inputs, variance = np.zeros(graph.n), 0.0
    for slice_index in range(graph.n):
        pairs = order[ends[slice_index] : ends[slice_index + 1]]
        slice_inputs = np.zeros(graph.n)
        slice_inputs[slice_targets.source[pairs]] = n_senders[pairs]
        all_inputs = np.minimum(inputs + slice_inputs, graph.neurons)
        all_variance = variance + float(pair_variance[pairs].sum())
        fits = (
            core_index >= 0
            and n_neurons + resources.neurons[slice_index] <= neurons_per_core
            and all_inputs.sum() + 3.0 * np.sqrt(all_variance) <= limits.get("in_axons", np.inf)
            and memory + resources.memory[slice_index] <= limits.get("memory", np.inf)
        )
        if not fits:
            core_index, n_neurons, all_inputs, memory = core_index + 1, 0, slice_inputs, 0.0
            all_variance = float(pair_variance[pairs].sum())
        n_neurons, memory = (
            n_neurons + int(resources.neurons[slice_index]),
            memory + resources.memory[slice_index],
        )
        inputs, variance = all_inputs, all_variance
        core[slice_index] = core_index
    return core
