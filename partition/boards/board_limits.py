"""Limits of a board applied to a network: time step, delays, fan-in and weight bits.

The result is an ordinary network description, which the simulation runs like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network import (
    ConnectionFile,
    FixedIndegree,
    Network,
    Normal,
    Projection,
    RateInput,
    SpikeInput,
    TruncatedNormal,
    Uniform,
)
from distsnn.network.base import equal_values
from distsnn.network.distributions import Distribution
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.populations import PopulationView
from distsnn.network.scale_requirements import FINE_BITS, EdgeFileSummary, projection_requirement
from distsnn.network.values import TAIL, Value, magnitude_of, value_bounds
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.resources import check_runnable
from distsnn.partition.boards.sections import PER_PROJECTION
from distsnn.partition.traffic import EdgeReader, explicit_edges
from distsnn.units import format_count

# Weights that share a scale: all weights onto a receptor, or all weights of a projection.
_ReceptorKey = tuple[str, str]
# A projection or stimulus, and the range of its weights.
_WeightRanges = dict[_ReceptorKey, tuple[float, float]]


@dataclass(frozen=True)
class ConstrainedNetwork:
    """A network under the limits of a board.

    Parameters
    ----------
    network : Network
        The network; the original object if nothing changed.
    changes : tuple of str
        Descriptions of the changes.
    unknown_parameters : tuple of str
        Unknown board parameters, whose limits are not applied.
    """

    network: Network
    changes: tuple[str, ...]
    unknown_parameters: tuple[str, ...]


@dataclass(frozen=True)
class _EdgeFileInfo:
    """Content of an edge file: summary, maximum delay, greatest common divisor of delays, steps."""

    summary: EdgeFileSummary
    max_delay: int
    delay_divisor: int


def apply_board_limits(
    network: Network, board: Board, edges: EdgeReader | None = None
) -> ConstrainedNetwork:
    """Apply the limits of a board to a network.

    - The time step is the board's, if it is longer.
    - Explicit and constant delays are rounded to steps and limited to the maximum. Distributions
      are truncated.
    - If neurons have too many synapses, fixed indegrees shrink in proportion.
    - Weights are rounded to multiples of 2^k. Of weights that share a scale, k is the smallest
      exponent for which the largest weight fits the board's bits (one bit less if weights have
      both signs). Plastic weights are rounded at the start only; their bound counts as a weight.

    Parameters
    ----------
    network : Network
        The network.
    board : Board
        The board.
    edges : callable, optional
        Reads the edges of a projection from its file; required if a limit applies to edge files.

    Raises
    ------
    DescriptionError
        If a limit cannot be applied: an error of `check_network`, delays in a file that would
        change, a distribution that cannot be truncated, weights that would all become 0, times
        that are not multiples of the board's time step.
    """
    check_network(network, board)
    core, changes = board.core, list[str]()
    # the number of bits does not limit weights with unknown scaling
    bits = None if core.weight_scale.value is None else core.weight_bits.value
    weight_field = "weight_bits" if core.weight_bits.value is None else "weight_scale"
    limit_names = weight_field, "delay_steps", "fan_in", "plastic"
    parameters = {f"core.{projection}": getattr(core, projection) for projection in limit_names} | {
        "time.step": board.time.step
    }
    unknown_names = [name for name, parameter in parameters.items() if parameter.value is None]
    dt = max(network.dt, board.time.step.value or 0.0)
    if dt != network.dt:
        changes.append(f"steps of {dt:g} ms, not {network.dt:g}")
    projections = list(network.projections)
    # a file is read only if a limit of the board applies to it
    limits_synapses = core.fan_in.value is not None or bits is not None
    limits_delays = core.delay_steps.value is not None or dt != network.dt
    files = {
        index: _read_edge_file(projection, network.dt, edges)
        for index, projection in enumerate(projections)
        if isinstance(projection.rule, ConnectionFile)
        and (limits_synapses or (limits_delays and projection.delay is None))
    }
    # delays first, so that errors name the user's values
    for index, projection in enumerate(projections):
        projections[index] = _with_board_delays(projection, dt, network.dt, board, files.get(index))
    changes += _describe_change(
        network.projections, projections, "delay", f"delays in steps of {dt:g} ms"
    )
    if core.fan_in.value is not None:
        projections = _with_limited_fan_in(network, projections, core.fan_in.value, board, files)
        changes += _describe_change(
            network.projections,
            projections,
            "rule",
            f"at most {format_count(core.fan_in.value, 'synapse')}",
        )
    stimuli = list(network.stimuli)
    if bits is not None:
        by_projection = core.weight_scale.value == PER_PROJECTION
        _round_all_weights(network, projections, stimuli, bits, board, by_projection, files)
        change = f"weights of {format_count(bits, 'bit')}"
        changes += _describe_change(network.projections, projections, "weight_bits", change)
        changes += _describe_change(network.stimuli, stimuli, "weight", change)
        n_plastic = sum(projection.plasticity_rule is not None for projection in projections)
        if n_plastic:
            change = "plastic weights have these bits at the start only"
            changes.append(f"{change}: {n_plastic} of {len(projections)} projections")
    if not changes:
        return ConstrainedNetwork(network, (), tuple(unknown_names))
    try:
        limited = replace(network, projections=tuple(projections), stimuli=tuple(stimuli), dt=dt)
    except DescriptionError as error:  # a time, other than a delay, that is not on the grid
        raise DescriptionError(
            f"the time step of the board is {dt:g} ms; {error}", where=f"board {board.name!r}"
        ) from error
    return ConstrainedNetwork(limited, tuple(changes), tuple(unknown_names))


def _describe_change(before: Any, after: Any, field: str, change: str) -> list[str]:
    pairs = zip(before, after, strict=True)
    n_changed = sum(
        not equal_values(getattr(old, field, None), getattr(new, field, None)) for old, new in pairs
    )
    kind = "projections" if after and isinstance(after[0], Projection) else "stimuli"
    return [f"{change}: {n_changed} of {len(after)} {kind}"] if n_changed else []


def _unsupported_error(
    board: Board, parameter: str, problem: str, projection: Projection, field: str
) -> DescriptionError:
    section, name = parameter.split(".")
    limit = getattr(getattr(board, section), name).value
    return DescriptionError(
        problem,
        where=f"projection {projection.name!r}, field {field}",
        allowed=f"board {board.name!r} has {parameter} = {limit}",
    )


def check_network(network: Network, board: Board) -> None:
    """Check that a board supports the models, recurrence and plasticity of a network.

    Raises
    ------
    DescriptionError
        If a neuron model, a recurrent network or a plastic projection is not supported.
    """
    index = {population.name: i for i, population in enumerate(network.populations)}
    connected = (
        (index[projection.pre.population], index[projection.post.population])
        for projection in network.projections
        if projection.rule.expected_synapses(
            projection.pre.size, projection.post.size, projection.is_recurrent
        )
        > 0.0
    )
    check_runnable(board, [population.model.name for population in network.populations], connected)
    for projection in network.projections:
        if projection.plasticity_rule is not None and board.core.plastic.value is False:
            raise _unsupported_error(
                board, "core.plastic", "the board's synapses do not learn", projection, "synapse"
            )


def _read_edge_file(projection: Projection, dt: float, edges: EdgeReader | None) -> _EdgeFileInfo:
    """Read a projection's edge file in chunks."""
    indegree, low, high = np.zeros(projection.post.size, np.int64), np.inf, -np.inf
    max_delay = divisor = 0
    magnitudes = []
    for chunk in explicit_edges(projection, dt, edges) or []:
        indegree += np.bincount(chunk["target"], minlength=indegree.size)
        if not chunk.size:
            continue
        names = chunk.dtype.names or ()
        if "weight" in names:
            low, high = min(low, chunk["weight"].min()), max(high, chunk["weight"].max())
            magnitudes.append(GivenMagnitudes.of(chunk["weight"]))
        if "delay" in names:
            max_delay = max(max_delay, int(chunk["delay"].max()))
            divisor = math.gcd(divisor, int(np.gcd.reduce(chunk["delay"])))
    if low > high:  # no weight
        low = high = 0.0
    merged = GivenMagnitudes.merged(magnitudes)
    summary = EdgeFileSummary(int(indegree.max(initial=0)), float(low), float(high), merged)
    return _EdgeFileInfo(summary, max_delay, divisor)


def _with_board_delays(
    projection: Projection, dt: float, network_dt: float, board: Board, file: _EdgeFileInfo | None
) -> Projection:
    """Return a projection with the delays of a board, multiples of `dt` instead of `network_dt`."""
    max_steps = board.core.delay_steps.value
    if max_steps is None and dt == network_dt:
        return projection
    delay, parameter = projection.delay, "time.step" if max_steps is None else "core.delay_steps"
    if delay is None:
        assert file is not None
        divisor_steps, max_in_file = (
            file.delay_divisor * network_dt / dt,
            file.max_delay * network_dt / dt,
        )
        if abs(divisor_steps - round(divisor_steps)) > 1e-9 * divisor_steps or max_in_file > (
            max_steps or np.inf
        ):
            problem = (
                f"delays in an edge file cannot be changed: they are multiples of "
                f"{file.delay_divisor * network_dt:g} ms, up to {file.max_delay * network_dt:g} ms"
            )
            raise _unsupported_error(board, parameter, problem, projection, "rule.delays")
        return projection
    if not isinstance(delay, Distribution):
        steps = np.clip(np.floor(np.asarray(delay) / dt + 0.5), 1.0, max_steps or np.inf)
        if np.allclose(steps * dt, delay, rtol=1e-9, atol=0.0):
            return projection
        return replace(projection, delay=float(steps * dt) if steps.ndim == 0 else steps * dt)
    if max_steps is None or value_bounds(delay, TAIL)[1] < (max_steps + 0.5) * dt:
        return projection
    # delays up to this bound are rounded to the maximum
    bound = (max_steps + 0.5 - 1e-9) * dt
    bounded: Value
    if isinstance(delay, Normal):
        bounded = TruncatedNormal(delay.mean, delay.sd, high=bound)
    elif isinstance(delay, TruncatedNormal | Uniform) and delay.low < bound:
        bounded = replace(delay, high=bound)
    else:
        problem = (
            "delays may exceed the maximum of the board, and the distribution cannot be truncated"
        )
        raise _unsupported_error(board, parameter, problem, projection, "delay")
    return replace(projection, delay=bounded)


def _with_limited_fan_in(
    network: Network,
    projections: list[Projection],
    max_synapses: int,
    board: Board,
    files: dict[int, _EdgeFileInfo],
) -> list[Projection]:
    """Return projections that give no neuron more than `max_synapses` synapses."""
    limited = list(projections)
    for population in network.populations:
        incoming = [
            index
            for index, projection in enumerate(limited)
            if projection.post.population == population.name
        ]
        for targeting in _common_targets([projections[index].post for index in incoming]):
            onto_neuron = [incoming[position] for position in targeting]
            degree = {
                index: _max_indegree(projections[index], files.get(index)) for index in onto_neuron
            }
            drawn = [
                index for index in onto_neuron if isinstance(projections[index].rule, FixedIndegree)
            ]
            n_fixed = sum(degree[index] for index in onto_neuron if index not in drawn)
            n_drawn = sum(degree[index] for index in drawn)
            if n_fixed + n_drawn <= max_synapses:
                continue
            if n_fixed > max_synapses or not drawn:
                largest = limited[max(onto_neuron, key=lambda index: degree[index])]
                problem = f"up to {n_fixed + n_drawn} synapses onto a neuron"
                raise _unsupported_error(board, "core.fan_in", problem, largest, "rule")
            for index in drawn:
                rule = limited[index].rule
                assert isinstance(rule, FixedIndegree)
                indegree = min(rule.indegree, degree[index] * (max_synapses - n_fixed) // n_drawn)
                if indegree < min(rule.indegree, 1):
                    problem = (
                        f"of {n_fixed + n_drawn} synapses onto a neuron, "
                        "none of this projection would remain"
                    )
                    raise _unsupported_error(board, "core.fan_in", problem, limited[index], "rule")
                limited[index] = replace(limited[index], rule=replace(rule, indegree=indegree))
    return limited


def _common_targets(views: list[PopulationView]) -> list[list[int]]:
    """Return which views of a population have neurons in common: positions, for some neurons.

    Every neuron is in the same views as one of these neurons.
    """
    if not views:
        return []
    ends = [np.array([view.start, view.stop]) for view in views]
    ends += [view.neurons for view in views if view.neurons is not None]
    ends += [view.neurons + 1 for view in views if view.neurons is not None]
    neurons = np.unique(np.concatenate(ends))
    is_member = np.array([view.positions(neurons) >= 0 for view in views])
    _, first = np.unique(is_member, axis=1, return_index=True)
    return [np.flatnonzero(is_member[:, column]).tolist() for column in np.sort(first)]


def _max_indegree(projection: Projection, file: _EdgeFileInfo | None) -> int:
    if file is not None:
        return file.summary.max_indegree
    return projection.rule.max_indegree_bound(projection.pre.size, projection.post.size)


def _round_all_weights(
    network: Network,
    projections: list[Projection],
    stimuli: list[Any],
    bits: int,
    board: Board,
    by_projection: bool,
    files: dict[int, _EdgeFileInfo],
) -> None:
    """Round the weights of projections and stimuli to the bits of the board, in place."""
    parts: list[tuple[int, bool, list[_ReceptorKey], _WeightRanges]] = []
    ranges: _WeightRanges = {}
    for index, part in enumerate([*projections, *stimuli]):
        if not isinstance(part, Projection | RateInput | SpikeInput):
            continue
        summary = files[index].summary if index in files else None
        ranges_of_part = _weight_ranges(network, part, summary)
        keys = [("", str(index))] if by_projection else list(ranges_of_part)
        parts.append((index, isinstance(part, Projection), keys, ranges_of_part))
        for key, (low, high) in ranges_of_part.items():
            shared = keys[0] if by_projection else key
            range_so_far = ranges.get(shared, (0.0, 0.0))
            ranges[shared] = min(range_so_far[0], low), max(range_so_far[1], high)
    for index, is_projection, keys, _ in parts:
        exponents = [_exponent(*ranges[key], bits) for key in keys if any(ranges[key])]
        if not exponents:  # all weights are 0
            continue
        if is_projection:
            summary = files[index].summary if index in files else None
            projections[index] = _with_rounded_weights(
                network, projections[index], max(exponents), board, summary
            )
        else:
            stimulus = index - len(projections)
            stimuli[stimulus] = _stimulus_with_rounded_weights(
                stimuli[stimulus], max(exponents), board
            )


def _weight_ranges(
    network: Network, part: Projection | RateInput | SpikeInput, summary: EdgeFileSummary | None
) -> _WeightRanges:
    """Return the range of weights onto each target receptor."""
    view = part.post if isinstance(part, Projection) else part.target
    model = network.population(view.population).model
    if part.weight is not None:
        low, high = value_bounds(part.weight, TAIL)
    else:
        assert summary is not None
        low, high = summary.low, summary.high
    plastic = part.plasticity_rule if isinstance(part, Projection) else None
    if plastic is not None and math.isfinite(plastic.max_magnitude):
        grown = plastic.sign * plastic.max_magnitude
        low, high = min(low, grown), max(high, grown)
    receptors = model.target_receptors(part.receptor, low, high)
    # with two receptors, positive weights act on one, negative weights on the other
    sides: Sequence[tuple[float, float]] = [(low, high)]
    if len(receptors) == 2:
        sides = [(0.0, high), (low, 0.0)]
    return {
        (view.population, receptor): side for receptor, side in zip(receptors, sides, strict=True)
    }


def _exponent(low: float, high: float, bits: int) -> int:
    """Return the smallest k for which all multiples of 2^k in the range fit the bits."""
    bits -= low < 0.0 < high
    max_magnitude = max(-low, high)
    k = math.frexp(max_magnitude)[1] - bits
    return k + int(round(math.ldexp(max_magnitude, -k)) >= 1 << bits)


def _with_rounded_weights(
    network: Network, projection: Projection, k: int, board: Board, summary: EdgeFileSummary | None
) -> Projection:
    requirement = projection_requirement(network, projection, summary)
    if (
        requirement.scale == 0.0 or k <= requirement.stored
    ):  # the network's own precision is coarser
        return projection
    if round(math.ldexp(requirement.scale, -k)) == 0:
        raise _zero_weights_error(board, f"projection {projection.name!r}", requirement.scale, k)
    return replace(projection, weight_bits=math.frexp(requirement.scale)[1] - k)


def _stimulus_with_rounded_weights(stimulus: RateInput | SpikeInput, k: int, board: Board) -> Any:
    scale = magnitude_of(stimulus.weight)
    if scale == 0.0 or math.frexp(scale)[1] - k >= FINE_BITS:
        return stimulus
    if round(math.ldexp(scale, -k)) == 0:
        raise _zero_weights_error(board, f"stimulus onto {stimulus.target.population!r}", scale, k)
    weight = np.ldexp(np.rint(np.ldexp(stimulus.weight, -k)), k)
    if np.array_equal(weight, stimulus.weight):
        return stimulus
    rounded: Any = float(weight) if np.ndim(weight) == 0 else weight
    return replace(stimulus, weight=rounded)


def _zero_weights_error(board: Board, label: str, scale: float, k: int) -> DescriptionError:
    bits = format_count(board.core.weight_bits.require("weights"), "bit")
    return DescriptionError(
        f"all weights would become 0: the largest weight of their scale has {bits}",
        where=f"{label}, field weight",
        value=scale,
        allowed=f"more than {math.ldexp(0.5, k):g} on board {board.name!r}",
    )
