"""What a network asks of a board, and which cores hold it: the capacity split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.figures import Figure
from distsnn.partition.boards.sections import ANY_MODEL, ONE_AXON, UNICAST
from distsnn.partition.traffic import TrafficGraph

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Demand:
    """What each slice takes of the core that hosts it.

    Parameters
    ----------
    neurons : ndarray of int64, shape (n,)
        Neurons.
    in_axons : ndarray of int64, shape (n,)
        Neurons whose spikes it may receive.
    fan_in : ndarray of float64, shape (n,)
        Expected synapses onto one of its neurons.
    memory : ndarray of float64, shape (n,)
        Bytes for its synapses; all 0 where the board's figures do not tell.
    """

    neurons: Ints
    in_axons: Ints
    fan_in: Floats
    memory: Floats


def demand(graph: TrafficGraph, board: Board) -> Demand:
    """Return what the slices of a network take of a board's cores."""
    size, synapses = graph.neurons, graph.incoming
    rows = np.bincount(graph.target, size[graph.source], minlength=graph.n)
    row, one = board.core.bytes_per_row.value, board.core.bytes_per_synapse.value
    memory = np.zeros(graph.n) if row is None or one is None else row * rows + one * synapses
    return Demand(size, rows.astype(np.int64), synapses / size, memory.astype(np.float64))


def limits(board: Board) -> tuple[dict[str, float], list[str]]:
    """Return the limits of one core that are known, and the names of those that are not.

    Returns
    -------
    known : dict of str to float
        By field of `Demand`.
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
    add("in_axons", core.in_axons, "core.in_axons")
    add("fan_in", core.fan_in, "core.fan_in")
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


def check_models(board: Board, models: Sequence[str]) -> None:
    """Refuse neuron models, by name, that a board's cores cannot run.

    Raises
    ------
    DescriptionError
        If one is not among the board's.
    """
    allowed = board.core.models
    if allowed.value is None or ANY_MODEL in allowed.value:
        return
    for model in models:
        if model not in allowed.value:
            why = f": {allowed.note}" if allowed.note else ""
            raise DescriptionError(
                f"cannot run neurons of this model{why}",
                where=f"board {board.name!r}, core.models",
                value=model,
                allowed=", ".join(allowed.value) or "none of distsnn's models",
            )


def check_runnable(graph: TrafficGraph, board: Board, models: Sequence[str]) -> None:
    """Refuse a network that the board's cores cannot run whatever its size.

    Parameters
    ----------
    graph : TrafficGraph
        The network's slices.
    board : Board
        The board.
    models : sequence of str
        The neuron model of each population, by name; empty if not to be checked.

    Raises
    ------
    DescriptionError
        If a model is not among the board's, or the network is recurrent and must not be.
    """
    check_models(board, models)
    recurrent = board.core.recurrent
    if recurrent.value is False and _has_cycle(graph):
        why = f": {recurrent.note}" if recurrent.note else ""
        raise DescriptionError(
            f"cannot run a recurrent network{why}", where=f"board {board.name!r}, core.recurrent"
        )


def _has_cycle(graph: TrafficGraph) -> bool:
    # populations are peeled off as long as one has no source left
    n = int(graph.population.max(initial=-1)) + 1
    links = np.zeros((n, n), bool)
    links[graph.population[graph.source], graph.population[graph.target]] = True
    left = np.ones(n, bool)
    while left.any():
        free = left & ~links[left].any(axis=0)
        if not free.any():
            return True
        left &= ~free
    return False


def fitting_slices(
    graph_of: Callable[[int], TrafficGraph], board: Board, neurons: int | None = None
) -> tuple[TrafficGraph, int]:
    """Return a network's slices, small enough for each to fit a core.

    Parameters
    ----------
    graph_of : callable
        Returns the traffic graph for a number of neurons per slice.
    board : Board
        The board.
    neurons : int, optional
        Neurons per slice to start from; by default as many as a core holds.

    Returns
    -------
    graph : TrafficGraph
        The slices.
    neurons : int
        Neurons per slice.

    Raises
    ------
    DescriptionError
        If not even a single neuron fits, or a core's number of neurons is unknown.
    """
    if neurons is None:
        neurons = board.core.max_neurons.need("how many neurons a core takes")
    while True:
        graph = graph_of(neurons)
        needs = demand(graph, board)
        over = overfull(needs, board)
        if over is None:
            return graph, neurons
        name, worst, limit = over
        if name == "fan_in" or neurons == 1:
            raise DescriptionError(
                f"a core cannot take it: its limit of {name} is exceeded by slices of one neuron",
                where=f"board {board.name!r}",
                value=worst,
                allowed=f"at most {limit:g}",
            )
        # in-axons and rows do not shrink with the slice, so a step may be too short
        neurons = max(1, min(neurons - 1, int(neurons * limit / worst)))


def overfull(needs: Demand, board: Board) -> tuple[str, float, float] | None:
    """Return the first limit that a slice exceeds: its name, the largest value, the limit."""
    for name, limit in limits(board)[0].items():
        worst = float(getattr(needs, name).max(initial=0))
        if worst > limit:
            return name, worst, limit
    return None


def pack(graph: TrafficGraph, board: Board) -> Ints:
    """Return which core holds each slice: consecutive slices share one while they fit.

    Returns
    -------
    ndarray of int64, shape (n,)
        Index of the core, counted from 0 in the order of slices.
    """
    needs, (known, _) = demand(graph, board), limits(board)
    together = board.core.populations.value or 1
    core = np.arange(graph.neurons.size, dtype=np.int64)
    if together == 1:
        return core
    sources = [set[int]() for _ in core]
    for one in range(core.size):
        for to in graph.target[graph.start[one] : graph.start[one + 1]]:
            sources[to].add(one)
    number, held, inputs, memory = -1, 0, set[int](), 0.0
    for one in range(core.size):
        joined = inputs | sources[one]
        fits = (
            number >= 0
            and held + needs.neurons[one] <= known.get("neurons", np.inf)
            and sum(int(needs.neurons[at]) for at in joined) <= known.get("in_axons", np.inf)
            and memory + needs.memory[one] <= known.get("memory", np.inf)
            and board.router.scheme.value in (UNICAST, ONE_AXON)
        )
        if not fits:
            number, held, joined, memory = number + 1, 0, sources[one], 0.0
        held, inputs, memory = held + int(needs.neurons[one]), joined, memory + needs.memory[one]
        core[one] = number
    return core
