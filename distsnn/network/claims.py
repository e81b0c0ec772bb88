"""What each projection and stimulus asks of the fixed-point scales of the receptors it reaches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import FloatArray, steps_array
from distsnn.network.description import Network
from distsnn.network.distributions import Distribution
from distsnn.network.edges import Explicit, ExplicitFile
from distsnn.network.projections import Projection
from distsnn.network.rules import AllToAll, Rule
from distsnn.network.stimuli import PoissonInput, SpikeInput
from distsnn.network.values import TAIL, Value, bounds, scale_of

FINE_BITS, PACKED_BITS = 20, 10
# How often its first scale a plastic weight without a bound is taken for.
_GROWTH = 16.0

Receptor = tuple[str, str]


@dataclass(frozen=True)
class EdgeSummary:
    """What must be known of an edge file whose weights are used.

    Parameters
    ----------
    max_indegree : int
        Largest number of edges onto a target.
    low, high : float
        Smallest and largest weight.
    """

    max_indegree: int
    low: float
    high: float


@dataclass(frozen=True)
class Claim:
    """One projection's or stimulus' claim.

    Parameters
    ----------
    receptors : tuple of (population, receptor)
        Receptors that it may reach.
    sums : mapping of (population, receptor) to float
        Estimated largest sum of \\|weights\\| onto a neuron in one step, by receptor.
    scale : float
        Magnitude to which errors are relative.
    bits : int
        A relative error of 2^-bits is sought.
    least_bits : int
        A relative error of 2^-least_bits is kept in any case.
    """

    receptors: tuple[Receptor, ...]
    sums: Mapping[Receptor, float]
    scale: float
    bits: int
    least_bits: int


def projection_claim(network: Network, one: Projection, summary: EdgeSummary | None) -> Claim:
    """Return a projection's claim.

    Raises
    ------
    DescriptionError
        If its weights are in a file and there is no summary of it, or they are not such as the
        receptor takes.
    """
    model, name = network.population(one.post.population).model, one.post.population
    degree = one.rule.max_indegree_bound(one.pre.size, one.post.size)
    weight: Value
    if one.weight is not None:
        weight = one.weight
    elif summary is None:
        raise DescriptionError(
            "the scale of weights in a file needs the file's summary",
            where=f"projection {one.name!r}",
        )
    else:
        weight = np.array([summary.low, summary.high])
        for end in (summary.low, summary.high):
            model.check_weight(one.receptor, end, where=f"projection {one.name!r}, field weight")
    if summary is not None:
        degree = summary.max_indegree
    scale = scale_of(weight)
    if one.plasticity is not None:
        # any weight may grow to its bound; without one, far beyond where it started
        bound = one.plasticity.largest
        scale = scale or (bound if math.isfinite(bound) else 1.0)
        weight = one.plasticity.sign * (bound if math.isfinite(bound) else _GROWTH * scale)
    sums = {}
    likely = model.reached(one.receptor, *bounds(weight, TAIL))
    for receptor in likely:
        side = weight
        if len(likely) > 1 and isinstance(weight, np.ndarray):
            positive = receptor == likely[0]
            side = np.maximum(weight, 0.0) if positive else np.minimum(weight, 0.0)
        sums[name, receptor] = _largest_sum(one.rule, side, degree)
    keys = tuple((name, receptor) for receptor in model.reached(one.receptor, *bounds(weight)))
    bits, least = _bits(weight)
    if one.synapse is not None:
        bits = FINE_BITS  # a scaled or plastic weight is rounded to the quantum itself
    if one.weight_bits is not None and one.plasticity is None:
        bits = least = one.weight_bits
    elif one.weight_bits is not None:
        # they are those of the first weights: what is learnt acts no less finely than without them
        bits, least = max(bits, one.weight_bits), max(least, one.weight_bits)
    return Claim(keys, sums, scale, bits, least)


def _bits(weight: Value) -> tuple[int, int]:
    if isinstance(weight, Distribution):
        return PACKED_BITS, PACKED_BITS
    return FINE_BITS, (FINE_BITS if isinstance(weight, np.ndarray) else PACKED_BITS)


def _largest_sum(rule: Rule, weight: Value, degree: int) -> float:
    if isinstance(weight, Distribution):
        # Sum of `degree` draws: mean (at most the root mean square) + 8 standard deviations, and
        # one far draw, for heavy tails.
        sd = weight.deviation()
        typical = degree * math.hypot(weight.expectation(), sd) + 8.0 * sd * math.sqrt(degree)
        return typical + max(map(abs, bounds(weight, TAIL))) * (degree > 0)
    if isinstance(weight, np.ndarray) and not isinstance(rule, ExplicitFile):
        return _array_sum(rule, np.abs(weight))
    return degree * scale_of(weight)


def _array_sum(rule: Rule, magnitude: FloatArray) -> float:
    if magnitude.size == 0:
        return 0.0
    if isinstance(rule, Explicit):
        return float(np.bincount(rule.targets, weights=magnitude).max())
    if isinstance(rule, AllToAll):
        return float(magnitude.sum(axis=0).max())
    return float(magnitude.max())


def stimulus_claim(network: Network, one: PoissonInput | SpikeInput) -> Claim:
    """Return the claim of a stimulus that adds weights."""
    model, name = network.population(one.target.population).model, one.target.population
    reached = model.reached(one.receptor, *bounds(one.weight))
    keys = tuple((name, receptor) for receptor in reached)
    if isinstance(one, PoissonInput):
        total = _poisson_sum(one, network.dt)
    else:
        total = _event_sum(one, network.dt)
    sums = dict.fromkeys(keys, total)
    return Claim(keys, sums, scale_of(one.weight), FINE_BITS, PACKED_BITS)


def _poisson_sum(one: PoissonInput, dt: float) -> float:
    # No count exceeds mean + 8 standard deviations + 16; the last term covers small means.
    mean = one.max_rate() * dt * 1e-3
    return (mean + 8.0 * math.sqrt(mean) + 16.0) * abs(one.weight)


def _event_sum(one: SpikeInput, dt: float) -> float:
    if one.times.size == 0:
        return 0.0
    slot = steps_array(one.times, dt, where="times") * one.target.size + one.neurons
    _, inverse = np.unique(slot, return_inverse=True)
    magnitude = np.broadcast_to(np.abs(one.weight), inverse.shape)
    return float(np.bincount(inverse, weights=magnitude).max())
