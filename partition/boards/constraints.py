"""What a board makes of a network: the description of what its cores would run.

Nothing is simulated here, and who simulates need not know of boards: a constrained network is a
network like any other, with another step, other delays, precisions of weights and rules.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network import (
    ExplicitFile,
    FixedIndegree,
    Network,
    Normal,
    Projection,
    RateInput,
    SpikeInput,
    TruncatedNormal,
    Uniform,
)
from distsnn.network.base import same
from distsnn.network.claims import FINE_BITS, EdgeSummary, projection_claim
from distsnn.network.distributions import Distribution
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.populations import View
from distsnn.network.values import TAIL, Value, bounds, scale_of
from distsnn.partition.boards.board import Board
from distsnn.partition.boards.demand import check_runnable
from distsnn.partition.boards.sections import PER_PROJECTION
from distsnn.partition.traffic import EdgeReader, explicit_edges
from distsnn.units import counted

# Weights that share a scale: those onto a receptor of a population, or those of one projection.
_Key = tuple[str, str]
# A projection or stimulus, and the range of its weights.
_Weighted = dict[_Key, tuple[float, float]]


@dataclass(frozen=True)
class Constrained:
    """A network as a board would run it.

    Parameters
    ----------
    network : Network
        The network; the very one that was given where the board changes nothing.
    changes : tuple of str
        What was changed, in sentences.
    unknown : tuple of str
        Figures that nobody published, so that what they would limit is as it was.
    """

    network: Network
    changes: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """What an edge file holds: its summary, longest delay, and largest step that all lie on."""

    summary: EdgeSummary
    longest: int
    step: int


def constrained(network: Network, board: Board, edges: EdgeReader | None = None) -> Constrained:
    """Return a network under the limits of a board.

    - The step is the board's, if that is longer.
    - Given delays are rounded to steps and cut to the longest; drawn ones that are longer are
      drawn again.
    - Where neurons have more synapses than a neuron may have, indegrees shrink in proportion.
    - Weights are the nearest multiples of 2^k. The k of weights that share a scale is the smallest
      with which the largest of them has no more bits than the board gives it (one less, for the
      sign, if they have both signs). Those that are learnt start so, and count with the bound to
      which they may grow; from there on they are real numbers.

    Parameters
    ----------
    network : Network
        The network.
    board : Board
        The board.
    edges : callable, optional
        Reads the edges of a projection from its file; needed where there is one that a limit
        concerns.

    Raises
    ------
    DescriptionError
        If a limit cannot be applied, naming limit and place: what `check_network` refuses, delays
        in a file that would have to be changed, a distribution that cannot be cut, weights that
        would all become 0, times that are not on the board's grid.
    """
    check_network(network, board)
    core, changes = board.core, list[str]()
    # bits say nothing where nobody published which weights share a scale
    bits = None if core.weight_scale.value is None else core.weight_bits.value
    of_weights = "weight_bits" if core.weight_bits.value is None else "weight_scale"
    named = of_weights, "delay_steps", "fan_in", "plastic"
    figures = {f"core.{one}": getattr(core, one) for one in named} | {"time.step": board.time.step}
    unknown = [name for name, figure in figures.items() if figure.value is None]
    dt = max(network.dt, board.time.step.value or 0.0)
    if dt != network.dt:
        changes.append(f"steps of {dt:g} ms, not {network.dt:g}")
    made = list(network.projections)
    # a file is read only where the board limits something about it
    of_all = core.fan_in.value is not None or bits is not None
    of_delays = core.delay_steps.value is not None or dt != network.dt
    files = {
        at: _read(one, network.dt, edges)
        for at, one in enumerate(made)
        if isinstance(one.rule, ExplicitFile) and (of_all or (of_delays and one.delay is None))
    }
    # delays first: an error then names what the user wrote
    for at, one in enumerate(made):
        made[at] = _delayed(one, dt, network.dt, board, files.get(at))
    changes += _told(network.projections, made, "delay", f"delays in steps of {dt:g} ms")
    if core.fan_in.value is not None:
        made = _thinned(network, made, core.fan_in.value, board, files)
        changes += _told(
            network.projections, made, "rule", f"at most {counted(core.fan_in.value, 'synapse')}"
        )
    stimuli = list(network.stimuli)
    if bits is not None:
        own = core.weight_scale.value == PER_PROJECTION
        _quantise(network, made, stimuli, bits, board, own, files)
        what = f"weights of {counted(bits, 'bit')}"
        changes += _told(network.projections, made, "weight_bits", what)
        changes += _told(network.stimuli, stimuli, "weight", what)
        learnt = sum(one.plasticity is not None for one in made)
        if learnt:
            what = "learnt weights start with these bits and are real numbers from there on"
            changes.append(f"{what}: {learnt} of {len(made)} projections")
    if not changes:
        return Constrained(network, (), tuple(unknown))
    try:
        other = replace(network, projections=tuple(made), stimuli=tuple(stimuli), dt=dt)
    except DescriptionError as error:  # what is off the board's grid, and is no delay
        raise DescriptionError(
            f"steps are of {dt:g} ms there; {error}", where=f"board {board.name!r}"
        ) from error
    return Constrained(other, tuple(changes), tuple(unknown))


def _told(before: Any, after: Any, field: str, what: str) -> list[str]:
    pairs = zip(before, after, strict=True)
    n = sum(
        not same(getattr(one, field, None), getattr(other, field, None)) for one, other in pairs
    )
    kind = "projections" if after and isinstance(after[0], Projection) else "stimuli"
    return [f"{what}: {n} of {len(after)} {kind}"] if n else []


def _refused(board: Board, figure: str, what: str, one: Projection, field: str) -> DescriptionError:
    section, name = figure.split(".")
    limit = getattr(getattr(board, section), name).value
    return DescriptionError(
        what,
        where=f"projection {one.name!r}, field {field}",
        allowed=f"board {board.name!r} has {figure} = {limit}",
    )


def check_network(network: Network, board: Board) -> None:
    """Refuse what a board cannot run whatever its size, before anything is sliced or simulated.

    Raises
    ------
    DescriptionError
        If a neuron model is not among the board's, the network is recurrent and must not be, or
        synapses learn, by their projection, and the board's do not.
    """
    index = {one.name: at for at, one in enumerate(network.populations)}
    links = (
        (index[one.pre.population], index[one.post.population])
        for one in network.projections
        if one.rule.expected_synapses(one.pre.size, one.post.size, one.same) > 0.0
    )
    check_runnable(board, [one.model.name for one in network.populations], links)
    for one in network.projections:
        if one.plasticity is not None and board.core.plastic.value is False:
            raise _refused(
                board, "core.plastic", "the board's synapses do not learn", one, "synapse"
            )


def _read(one: Projection, dt: float, edges: EdgeReader | None) -> _File:
    """Read a projection's file, slice by slice."""
    degree, low, high = np.zeros(one.post.size, np.int64), np.inf, -np.inf
    longest = step = 0
    magnitudes = []
    for piece in explicit_edges(one, dt, edges) or []:
        degree += np.bincount(piece["target"], minlength=degree.size)
        if not piece.size:
            continue
        names = piece.dtype.names or ()
        if "weight" in names:
            low, high = min(low, piece["weight"].min()), max(high, piece["weight"].max())
            magnitudes.append(GivenMagnitudes.of(piece["weight"]))
        if "delay" in names:
            longest = max(longest, int(piece["delay"].max()))
            step = math.gcd(step, int(np.gcd.reduce(piece["delay"])))
    if low > high:  # no weight
        low = high = 0.0
    found = GivenMagnitudes.merged(magnitudes)
    summary = EdgeSummary(int(degree.max(initial=0)), float(low), float(high), found)
    return _File(summary, longest, step)


def _delayed(
    one: Projection, dt: float, before: float, board: Board, file: _File | None
) -> Projection:
    """Return a projection with the delays that a board has, in steps of `dt`, not `before`."""
    longest = board.core.delay_steps.value
    if longest is None and dt == before:
        return one
    delay, figure = one.delay, "time.step" if longest is None else "core.delay_steps"
    if delay is None:
        assert file is not None
        steps_each, largest = file.step * before / dt, file.longest * before / dt
        if abs(steps_each - round(steps_each)) > 1e-9 * steps_each or largest > (longest or np.inf):
            what = (
                f"delays in a file cannot be changed: they are multiples of "
                f"{file.step * before:g} ms, up to {file.longest * before:g} ms"
            )
            raise _refused(board, figure, what, one, "rule.delays")
        return one
    if not isinstance(delay, Distribution):
        steps = np.clip(np.floor(np.asarray(delay) / dt + 0.5), 1.0, longest or np.inf)
        if np.allclose(steps * dt, delay, rtol=1e-9, atol=0.0):
            return one
        return replace(one, delay=float(steps * dt) if steps.ndim == 0 else steps * dt)
    if longest is None or bounds(delay, TAIL)[1] < (longest + 0.5) * dt:
        return one
    # what is drawn up to here is rounded to the longest
    cut = (longest + 0.5 - 1e-9) * dt
    shorter: Value
    if isinstance(delay, Normal):
        shorter = TruncatedNormal(delay.mean, delay.sd, high=cut)
    elif isinstance(delay, TruncatedNormal | Uniform) and delay.low < cut:
        shorter = replace(delay, high=cut)
    else:
        what = "draws may be longer than the board's longest delay, and cannot be cut"
        raise _refused(board, figure, what, one, "delay")
    return replace(one, delay=shorter)


def _thinned(
    network: Network,
    projections: list[Projection],
    most: int,
    board: Board,
    files: dict[int, _File],
) -> list[Projection]:
    """Return projections of which no neuron gets more than `most` synapses."""
    made = list(projections)
    for population in network.populations:
        onto = [at for at, one in enumerate(made) if one.post.population == population.name]
        ends = sorted({end for at in onto for end in (made[at].post.start, made[at].post.stop)})
        for start, stop in pairwise(ends):
            part = View(population.name, start, stop)
            here = [at for at in onto if projections[at].post.overlap(part)]
            degree = {at: _degree(projections[at], files.get(at)) for at in here}
            drawn = [at for at in here if isinstance(projections[at].rule, FixedIndegree)]
            fixed = sum(degree[at] for at in here if at not in drawn)
            wanted = sum(degree[at] for at in drawn)
            if fixed + wanted <= most:
                continue
            if fixed > most or not drawn:
                worst = made[max(here, key=lambda at: degree[at])]
                what = f"up to {fixed + wanted} synapses onto a neuron"
                raise _refused(board, "core.fan_in", what, worst, "rule")
            for at in drawn:
                rule = made[at].rule
                assert isinstance(rule, FixedIndegree)
                fewer = min(rule.indegree, degree[at] * (most - fixed) // wanted)
                if fewer < min(rule.indegree, 1):
                    what = f"of {fixed + wanted} synapses onto a neuron none would be left of these"
                    raise _refused(board, "core.fan_in", what, made[at], "rule")
                made[at] = replace(made[at], rule=replace(rule, indegree=fewer))
    return made


def _degree(one: Projection, file: _File | None) -> int:
    if file is not None:
        return file.summary.max_indegree
    return one.rule.max_indegree_bound(one.pre.size, one.post.size)


def _quantise(
    network: Network,
    projections: list[Projection],
    stimuli: list[Any],
    bits: int,
    board: Board,
    own: bool,
    files: dict[int, _File],
) -> None:
    """Give projections and stimuli the precision of their weights, in place."""
    used: list[tuple[int, bool, list[_Key], _Weighted]] = []
    ranges: _Weighted = {}
    for at, one in enumerate([*projections, *stimuli]):
        if not isinstance(one, Projection | RateInput | SpikeInput):
            continue
        summary = files[at].summary if at in files else None
        found = _ranges(network, one, summary)
        keys = [("", str(at))] if own else list(found)
        used.append((at, isinstance(one, Projection), keys, found))
        for key, (low, high) in found.items():
            shared = keys[0] if own else key
            known = ranges.get(shared, (0.0, 0.0))
            ranges[shared] = min(known[0], low), max(known[1], high)
    for at, is_projection, keys, _ in used:
        exponents = [_exponent(*ranges[key], bits) for key in keys if any(ranges[key])]
        if not exponents:  # all weights are 0
            continue
        if is_projection:
            summary = files[at].summary if at in files else None
            projections[at] = _rounded(network, projections[at], max(exponents), board, summary)
        else:
            stimulus = at - len(projections)
            stimuli[stimulus] = _rounded_stimulus(stimuli[stimulus], max(exponents), board)


def _ranges(
    network: Network, one: Projection | RateInput | SpikeInput, summary: EdgeSummary | None
) -> _Weighted:
    """Return the range of weights onto each receptor that they reach."""
    view = one.post if isinstance(one, Projection) else one.target
    model = network.population(view.population).model
    if one.weight is not None:
        low, high = bounds(one.weight, TAIL)
    else:
        assert summary is not None
        low, high = summary.low, summary.high
    plastic = one.plasticity if isinstance(one, Projection) else None
    if plastic is not None and math.isfinite(plastic.largest):
        grown = plastic.sign * plastic.largest
        low, high = min(low, grown), max(high, grown)
    reached = model.reached(one.receptor, low, high)
    # where there are two, one is reached by positive weights, one by negative
    sides: Sequence[tuple[float, float]] = [(low, high)]
    if len(reached) == 2:
        sides = [(0.0, high), (low, 0.0)]
    return {
        (view.population, receptor): side for receptor, side in zip(reached, sides, strict=True)
    }


def _exponent(low: float, high: float, bits: int) -> int:
    """Return the smallest k with which no multiple of 2^k in the range has more bits."""
    bits -= low < 0.0 < high
    largest = max(-low, high)
    k = math.frexp(largest)[1] - bits
    return k + int(round(math.ldexp(largest, -k)) >= 1 << bits)


def _rounded(
    network: Network, one: Projection, k: int, board: Board, summary: EdgeSummary | None
) -> Projection:
    claim = projection_claim(network, one, summary)
    if claim.scale == 0.0 or k <= claim.stored:  # the network's own precision is coarser
        return one
    if round(math.ldexp(claim.scale, -k)) == 0:
        raise _vanishing(board, f"projection {one.name!r}", claim.scale, k)
    return replace(one, weight_bits=math.frexp(claim.scale)[1] - k)


def _rounded_stimulus(one: RateInput | SpikeInput, k: int, board: Board) -> Any:
    scale = scale_of(one.weight)
    if scale == 0.0 or math.frexp(scale)[1] - k >= FINE_BITS:
        return one
    if round(math.ldexp(scale, -k)) == 0:
        raise _vanishing(board, f"stimulus onto {one.target.population!r}", scale, k)
    weight = np.ldexp(np.rint(np.ldexp(one.weight, -k)), k)
    if np.array_equal(weight, one.weight):
        return one
    rounded: Any = float(weight) if np.ndim(weight) == 0 else weight
    return replace(one, weight=rounded)


def _vanishing(board: Board, place: str, scale: float, k: int) -> DescriptionError:
    bits = counted(board.core.weight_bits.need("weights"), "bit")
    return DescriptionError(
        f"all weights would become 0: with {bits} for the largest that share their scale",
        where=f"{place}, field weight",
        value=scale,
        allowed=f"more than {math.ldexp(0.5, k):g} on board {board.name!r}",
    )
