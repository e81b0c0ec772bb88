"""What a network asks of a board, and which cores hold it: the capacity split."""

import math
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.figures import Figure
from distsnn.partition.boards.geometry import machine
from distsnn.partition.boards.reach import Floats, Ints, reach, sums
from distsnn.partition.boards.sections import ANY_MODEL, MULTICAST, ONE_AXON, UNICAST
from distsnn.partition.connectivity import BuiltConnectivity
from distsnn.partition.traffic import TrafficGraph
from distsnn.units import counted

# Limits of one neuron, which smaller slices do not help to keep.
PER_NEURON = ("fan_in", "fan_out")
# At least so much is held for two slices with a synapse while a graph is made and put on cores.
_EDGE_BYTES = 64


@dataclass(frozen=True, eq=False)
class Demand:
    """What each slice takes of the core that hosts it.

    Parameters
    ----------
    neurons : ndarray of int64, shape (n,)
        Neurons.
    fan_in : ndarray of float64, shape (n,)
        Synapses onto one of its neurons: expected, or the most that were counted.
    fan_out : ndarray of float64, shape (n,)
        Synapses of one of its neurons, likewise.
    memory : ndarray of float64, shape (n,)
        Bytes for its synapses; all 0 where the board's figures do not tell.
    """

    neurons: Ints
    fan_in: Floats
    fan_out: Floats
    memory: Floats


def demand(graph: TrafficGraph, board: Board) -> Demand:
    """Return what the slices of a network take of a board's cores."""
    size, synapses = graph.neurons, graph.incoming_synapses
    row, one = board.core.bytes_per_row.value, board.core.bytes_per_synapse.value
    memory = np.zeros(graph.n)
    if row is not None and one is not None:
        if board.router.scheme.value == MULTICAST:
            # keys are of whole slices: each neuron of one that sends here has a row, be it empty
            rows = sums(graph.target, size[graph.source], graph.n)
        else:
            rows = reach(graph, np.arange(graph.n)).in_axons()
        memory = row * rows + one * synapses
    fan_in, fan_out = synapses / size, sums(graph.source, graph.synapses, graph.n) / size
    if isinstance(graph.connectivity, BuiltConnectivity):
        first = np.cumsum(size) - size
        fan_in, fan_out = (
            np.maximum.reduceat(one, first).astype(np.float64)
            for one in (graph.connectivity.fan_in, graph.connectivity.fan_out)
        )
    return Demand(size, fan_in, fan_out, memory)


def limits(board: Board) -> tuple[dict[str, float], list[str]]:
    """Return the limits of one core that are known, and the names of those that are not.

    Returns
    -------
    known : dict of str to float
        By field of `Demand`, and ``in_axons`` and ``out_axons``.
    unchecked : list of str
        Figures without which a limit cannot be checked.
    """
    core = board.core
    known: dict[str, float] = {}
    unchecked: list[str] = []

    def add(name: str, figure: Figure[int], label: str) -> None:
        if figure.value is None:
            unchecked.append(label)
        else:
            known[name] = float(figure.value)

    add("neurons", core.max_neurons, "core.max_neurons")
    each, memory = core.bytes_per_neuron.value, core.neuron_memory.value
    if each and memory is not None:
        known["neurons"] = min(known.get("neurons", np.inf), float(memory // each))
    elif memory is not None:
        unchecked.append("core.bytes_per_neuron")
    add("in_axons", core.in_axons, "core.in_axons")
    add("out_axons", core.out_axons, "core.out_axons")
    add("fan_in", core.fan_in, "core.fan_in")
    add("fan_out", core.fan_out, "core.fan_out")
    if core.bytes_per_row.value is None or core.bytes_per_synapse.value is None:
        unchecked.append("core.bytes_per_synapse")
    elif core.synapse_memory.value is not None:
        known["memory"] = float(core.synapse_memory.value)
    elif board.chip.shared_memory.value is not None:
        known["memory"] = float(board.chip.shared_memory.value)
    else:
        unchecked.append("core.synapse_memory")
    if core.models.value is None:
        unchecked.append("core.models")
    return known, unchecked


def check_runnable(board: Board, models: Sequence[str], links: Iterable[tuple[int, int]]) -> None:
    """Refuse a network that the board's cores cannot run whatever its size, telling all reasons.

    Parameters
    ----------
    board : Board
        The board.
    models : sequence of str
        The neuron model of each population, by name; empty if not to be checked.
    links : iterable of pair of int
        Populations (indices) of which the first has synapses onto the second; only asked for where
        it matters.

    Raises
    ------
    DescriptionError
        If a model is not among the board's, or the network is recurrent and must not be.
    """
    allowed, recurrent = board.core.models, board.core.recurrent
    figures, reasons, more = list[str](), list[str](), dict[str, Any]()
    able = (ANY_MODEL,) if allowed.value is None else allowed.value
    other = [] if ANY_MODEL in able else [one for one in models if one not in able]
    if other:
        figures.append("core.models")
        reasons.append(_with_note("neurons of this model", allowed))
        more = {"value": other[0], "allowed": ", ".join(able) or "none of distsnn's models"}
    if recurrent.value is False and _has_cycle(links):
        figures.append("core.recurrent")
        reasons.append(_with_note("a recurrent network", recurrent))
    if reasons:
        where = f"board {board.name!r}, {' and '.join(figures)}"
        raise DescriptionError(f"cannot run {'; nor '.join(reasons)}", where=where, **more)


def _with_note(what: str, figure: Figure[Any]) -> str:
    return f"{what}: {figure.note}" if figure.note else what


def _has_cycle(links: Iterable[tuple[int, int]]) -> bool:
    order = TopologicalSorter[int]()
    for source, target in links:
        order.add(target, source)
    try:
        order.prepare()
    except CycleError:
        return True
    return False


class Slices(NamedTuple):
    """A network's slices, and how many neurons a core takes of them.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    neurons : int
        The most neurons of a core, and of a slice.
    limit : str or None
        The limit for which these are fewer than a core could hold, such as ``in_axons``.
    """

    graph: TrafficGraph
    neurons: int
    limit: str | None


@dataclass(frozen=True, eq=False)
class Extent:
    """How large a network is, for what can be told before a graph of its slices is made.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n_populations,)
        Neurons of each population.
    pairs : set of pair of int, optional
        Populations (indices) of which the first has projections onto the second.
    memory : float
        What a graph may take, bytes.
    """

    sizes: Ints
    pairs: Set[tuple[int, int]] = frozenset()
    memory: float = math.inf

    def slices(self, neurons: int) -> Ints:
        """Return the number of slices of each population, for a number of neurons per slice."""
        return -(-self.sizes // neurons)

    def graph_bytes(self, neurons: int) -> int:
        """Return at least how much a graph takes, for a number of neurons per slice."""
        number = self.slices(neurons).tolist()
        edges: int = sum(number[a] * number[b] for a, b in self.pairs)
        return _EDGE_BYTES * edges


def fitting_slices(
    graph_of: Callable[[int], TrafficGraph],
    board: Board,
    neurons: int | None = None,
    *,
    estimate: bool = False,
    extent: Extent | None = None,
) -> Slices:
    """Return a network's slices, small enough for each to fit a core.

    Parameters
    ----------
    graph_of : callable
        Returns the traffic graph for a number of neurons per slice.
    board : Board
        The board.
    neurons : int, optional
        Neurons per core to start from; by default as many as a core holds.
    estimate : bool
        Whether slices of one neuron are returned also where a limit is exceeded, for others to
        find out who know more.
    extent : Extent, optional
        The network's extent, so that a graph that is too large is not even begun; by default that
        of the first graph.

    Raises
    ------
    DescriptionError
        If not even a single neuron fits, or a core's number of neurons is unknown; or slices
        would have to be so small that there are too few cores for them, or too little memory.
    """
    if neurons is None:
        neurons = board.core.max_neurons.need("how many neurons a core takes")
    there, reason = _usable_cores(board), None
    while True:
        if extent is not None:
            _check_extent(extent, board, neurons, reason, there)
        graph = graph_of(neurons)
        if extent is None:
            sizes = np.zeros(int(graph.population.max(initial=-1)) + 1, np.int64)
            np.add.at(sizes, graph.population, graph.neurons)
            extent = Extent(sizes)
        over = overfull(graph, board, pack(graph, board, neurons))
        if over is None or (estimate and (neurons == 1 or over[0] in PER_NEURON)):
            return Slices(graph, neurons, reason)
        reason, worst, limit = over
        if reason in PER_NEURON or neurons == 1:
            raise DescriptionError(
                f"a core cannot take it: its limit of {reason} is exceeded by one neuron",
                where=f"board {board.name!r}",
                value=round(worst, 1),
                allowed=f"at most {limit:g}",
            )
        # axons and rows do not shrink with the slice, so a step may be too short
        neurons = max(1, min(neurons - 1, int(neurons * limit / worst)))


def _usable_cores(board: Board) -> float:
    if board.chip.cores.value is None or board.chip.reserved.value is None:
        return math.inf
    return machine(board).core.size


def _check_extent(
    extent: Extent, board: Board, neurons: int, reason: str | None, there: float
) -> None:
    """Refuse slices of so few neurons that they cannot all be held, or reckoned with."""
    wanted = int(extent.slices(neurons).sum())
    if _shares_cores(board):
        wanted = -(-int(extent.sizes.sum()) // max(1, neurons))
    why = f"with slices of {counted(neurons, 'neuron')}"
    if reason is not None:
        why += f", so that a core keeps its limit of {reason},"
    if wanted > there:
        raise DescriptionError(
            f"the network does not fit: {why} it needs at least {wanted:,} cores",
            where=f"board {board.name!r}",
            allowed=f"at most {there:,}",
        )
    needed = extent.graph_bytes(neurons)
    if needed > extent.memory:
        raise DescriptionError(
            f"{why} there are {int(extent.slices(neurons).sum()):,} slices for {there:,} cores, "
            f"and to reckon with who sends to whom takes {needed / 2**30:,.1f} GiB or more",
            where=f"board {board.name!r}",
            allowed=f"{extent.memory / 2**30:,.1f} GiB of free memory",
        )


def _shares_cores(board: Board) -> bool:
    """Return whether a core may hold several slices."""
    unshared = (board.core.populations.value or 1) == 1
    return not unshared and board.router.scheme.value in (UNICAST, ONE_AXON)


def overfull(graph: TrafficGraph, board: Board, core: Ints) -> tuple[str, float, float] | None:
    """Return the first limit that a core exceeds: its name, the largest value, the limit.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    board : Board
        The board.
    core : ndarray of int64, shape (n,)
        Core of each slice.
    """
    needs, known = demand(graph, board), limits(board)[0]
    to = reach(graph, core) if known.keys() & {"in_axons", "out_axons"} else None
    for name, limit in known.items():
        if to is not None and name in ("in_axons", "out_axons"):
            worst = (to.in_axons() if name == "in_axons" else to.out_axons()).max(initial=0.0)
        else:
            worst = getattr(needs, name).max(initial=0)
        if worst > limit:
            return name, float(worst), limit
    return None


def pack(graph: TrafficGraph, board: Board, most: int | None = None) -> Ints:
    """Return which core holds each slice: consecutive slices share one while they fit.

    Parameters
    ----------
    graph : TrafficGraph
        The slices.
    board : Board
        The board.
    most : int, optional
        Neurons of a core, at most; by default as many as it holds.

    Returns
    -------
    ndarray of int64, shape (n,)
        Index of the core, counted from 0 in the order of slices.
    """
    needs, (known, _) = demand(graph, board), limits(board)
    room = min(known.get("neurons", np.inf), np.inf if most is None else most)
    core = np.arange(graph.n, dtype=np.int64)
    if not _shares_cores(board):
        return core
    # from each slice onto each: of what sends to several of a core's slices, all may be different
    alone = reach(graph, core)
    sent = graph.neurons[alone.source] if alone.reached is None else alone.reached
    spread = np.zeros(sent.size) if alone.variance is None else alone.variance
    order = np.argsort(alone.target, kind="stable")
    ends = np.searchsorted(alone.target[order], np.arange(graph.n + 1))
    number, held, memory = -1, 0, 0.0
    inputs, variance = np.zeros(graph.n), 0.0
    for one in range(graph.n):
        pairs = order[ends[one] : ends[one + 1]]
        own = np.zeros(graph.n)
        own[alone.source[pairs]] = sent[pairs]
        joined = np.minimum(inputs + own, graph.neurons)
        more = variance + float(spread[pairs].sum())
        fits = (
            number >= 0
            and held + needs.neurons[one] <= room
            and joined.sum() + 3.0 * np.sqrt(more) <= known.get("in_axons", np.inf)
            and memory + needs.memory[one] <= known.get("memory", np.inf)
        )
        if not fits:
            number, held, joined, memory = number + 1, 0, own, 0.0
            more = float(spread[pairs].sum())
        held, memory = held + int(needs.neurons[one]), memory + needs.memory[one]
        inputs, variance = joined, more
        core[one] = number
    return core
