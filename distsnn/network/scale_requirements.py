"""Requirements of projections and stimuli for the fixed-point scales of their receptors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import FloatArray, steps_array
from distsnn.network.description import Network
from distsnn.network.distributions import Distribution
from distsnn.network.edges import ConnectionFile, ConnectionList
from distsnn.network.magnitudes import (
    RELATIVE_BITS,
    GivenMagnitudes,
    Magnitudes,
    magnitudes_of,
)
from distsnn.network.projections import Projection
from distsnn.network.rules import AllToAll, ConnectionRule, OneToOne
from distsnn.network.stimuli import RateInput, SpikeInput
from distsnn.network.values import TAIL, Value, magnitude_of, value_bounds

# A given weight has a rounding error of at most 2^-FINE_BITS of the largest.
FINE_BITS = 20
# A synapse model may scale a weight down to 2^-6; the scaled weight still has RELATIVE_BITS.
_FACTOR_BITS = 6
# How often its first scale a plastic weight without a bound is taken for.
_GROWTH = 16.0

Receptor = tuple[str, str]


@dataclass(frozen=True)
class EdgeFileSummary:
    """Properties of an edge file whose weights are used.

    Parameters
    ----------
    max_indegree : int
        Largest number of edges onto a target.
    low, high : float
        Smallest and largest weight.
    magnitudes : GivenMagnitudes
        Magnitudes of the weights.
    """

    max_indegree: int
    low: float
    high: float
    magnitudes: GivenMagnitudes


@dataclass(frozen=True)
class ScaleRequirement:
    """One projection's or stimulus' claim.

    Parameters
    ----------
    receptors : tuple of (population, receptor)
        Receptors that it may reach.
    max_input_sums : mapping of (population, receptor) to float
        Estimated largest sum of \\|weights\\| onto a neuron in one step, by receptor.
    magnitudes : Magnitudes
        Magnitudes of the weights; of the initial weights, for a plastic projection.
    finest : int
        k of the quantum 2^k that gives the precision sought.
    coarsest : int
        k of the largest quantum that gives the precision kept in any case.
    stored : int
        Weights that words hold may be multiples of 2^stored.
    """

    receptors: tuple[Receptor, ...]
    max_input_sums: Mapping[Receptor, float]
    magnitudes: Magnitudes
    finest: int = 0
    coarsest: int = 0
    stored: int = 0

    @property
    def scale(self) -> float:
        """Magnitude to which the user's `weight_bits` refer; 0 if all weights are 0."""
        return self.magnitudes.scale


def projection_requirement(
    network: Network, projection: Projection, summary: EdgeFileSummary | None
) -> ScaleRequirement:
    """Return a projection's claim.

    Raises
    ------
    DescriptionError
        If its weights are in a file without a summary, or the receptor does not accept them.
    """
    model, name = network.population(projection.post.population).model, projection.post.population
    degree = projection.rule.max_indegree_bound(projection.pre.size, projection.post.size)
    weight: Value
    if projection.weight is not None:
        weight = projection.weight
    elif summary is None:
        raise DescriptionError(
            "the scale of weights in a file needs the file's summary",
            where=f"projection {projection.name!r}",
        )
    else:
        weight = np.array([summary.low, summary.high])
        for end in (summary.low, summary.high):
            model.check_weight(
                projection.receptor, end, where=f"projection {projection.name!r}, field weight"
            )
    if summary is not None:
        degree = summary.max_indegree
    magnitudes = (
        summary.magnitudes if projection.weight is None and summary else magnitudes_of(weight)
    )
    if projection.plasticity_rule is not None:
        # any weight may grow to its bound; without one, far beyond where it started
        bound = projection.plasticity_rule.max_magnitude
        if not magnitudes.scale:
            magnitudes = magnitudes_of(bound if math.isfinite(bound) else 1.0)
        scale = magnitudes.scale
        weight = projection.plasticity_rule.sign * (
            bound if math.isfinite(bound) else _GROWTH * scale
        )
    max_factor = (
        projection.scaling_model.max_factor() if projection.scaling_model is not None else 1.0
    )
    sums = {}
    likely = model.target_receptors(projection.receptor, *value_bounds(weight, TAIL))
    for receptor in likely:
        side = weight
        if len(likely) > 1 and isinstance(weight, np.ndarray):
            positive = receptor == likely[0]
            side = np.maximum(weight, 0.0) if positive else np.minimum(weight, 0.0)
        sums[name, receptor] = max_factor * _largest_sum(projection.rule, side, degree)
    keys = tuple(
        (name, receptor)
        for receptor in model.target_receptors(projection.receptor, *value_bounds(weight))
    )
    return _precise(ScaleRequirement(keys, sums, magnitudes), projection)


def exponent_of(magnitude: float, bits: int) -> int:
    """Return the largest k such that rounding to 2^k changes a magnitude by at most 2^-bits."""
    # floor(log2(2 · magnitude · 2^-bits)), exactly
    return math.frexp(magnitude)[1] - bits


def is_listed(projection: Projection) -> bool:
    """Return whether each weight of a projection is given and stored with all its bits."""
    is_array = projection.weight is None or isinstance(projection.weight, np.ndarray)
    return is_array and isinstance(projection.rule, ConnectionList | ConnectionFile | OneToOne)


def _precise(
    claim: ScaleRequirement, source: Projection | RateInput | SpikeInput
) -> ScaleRequirement:
    """Return the claim with its exponents, whose rules `choose_quanta` states."""
    magnitudes = claim.magnitudes
    if not magnitudes.scale:
        return claim
    min_bit = magnitudes.least + 1 - RELATIVE_BITS
    fine = min(min_bit, exponent_of(magnitudes.scale, FINE_BITS))
    if not isinstance(source, Projection):
        listed = min(fine, exponent_of(magnitudes.smallest, RELATIVE_BITS))
        return replace(claim, finest=listed, coarsest=min_bit, stored=fine)
    drawn, constant = isinstance(source.weight, Distribution), isinstance(source.weight, float)
    stored = min_bit if drawn else fine
    if source.plasticity_rule is not None or constant:
        finest, coarsest = fine, min_bit
    elif is_listed(source):
        finest, coarsest = min(fine, exponent_of(magnitudes.smallest, RELATIVE_BITS)), fine
    else:
        finest, coarsest = stored, stored
    if source.scaling_model is not None:
        coarsest = min(coarsest, min_bit - _FACTOR_BITS)
        finest = min(finest, fine, coarsest)
    if source.weight_bits is not None:
        stored = exponent_of(magnitudes.scale, source.weight_bits)
        if source.plasticity_rule is None:
            finest = coarsest = stored
        # learnt weights act no less finely than without weight_bits
        finest, coarsest = min(finest, stored), min(coarsest, stored)
    return replace(claim, finest=finest, coarsest=coarsest, stored=stored)


def _largest_sum(rule: ConnectionRule, weight: Value, degree: int) -> float:
    if isinstance(weight, Distribution):
        # Sum of `degree` draws: mean (at most the root mean square) + 8 standard deviations, and
        # one far draw, for heavy tails.
        sd = weight.deviation()
        typical = degree * math.hypot(weight.expectation(), sd) + 8.0 * sd * math.sqrt(degree)
        return typical + max(map(abs, value_bounds(weight, TAIL))) * (degree > 0)
    if isinstance(weight, np.ndarray) and not isinstance(rule, ConnectionFile):
        return _array_sum(rule, np.abs(weight))
    return degree * magnitude_of(weight)


def _array_sum(rule: ConnectionRule, magnitude: FloatArray) -> float:
    if magnitude.size == 0:
        return 0.0
    if isinstance(rule, ConnectionList):
        return float(np.bincount(rule.targets, weights=magnitude).max())
    if isinstance(rule, AllToAll):
        return float(magnitude.sum(axis=0).max())
    return float(magnitude.max())


def stimulus_requirement(network: Network, stimulus: RateInput | SpikeInput) -> ScaleRequirement:
    """Return the claim of a stimulus that adds weights."""
    model, name = network.population(stimulus.target.population).model, stimulus.target.population
    reached = model.target_receptors(stimulus.receptor, *value_bounds(stimulus.weight))
    keys = tuple((name, receptor) for receptor in reached)
    if isinstance(stimulus, RateInput):
        total = _rate_sum(stimulus, network.dt)
    else:
        total = _event_sum(stimulus, network.dt)
    sums = dict.fromkeys(keys, total)
    return _precise(ScaleRequirement(keys, sums, magnitudes_of(stimulus.weight)), stimulus)


def _rate_sum(stimulus: RateInput, dt: float) -> float:
    # No count exceeds mean + 8 standard deviations + 16; the last term covers small means.
    mean = stimulus.max_rate() * dt * 1e-3
    return (mean + 8.0 * math.sqrt(mean) + 16.0) * abs(stimulus.weight)


def _event_sum(stimulus: SpikeInput, dt: float) -> float:
    if stimulus.times.size == 0:
        return 0.0
    slot = steps_array(stimulus.times, dt, where="times") * stimulus.target.size + stimulus.neurons
    _, inverse = np.unique(slot, return_inverse=True)
    magnitude = np.broadcast_to(np.abs(stimulus.weight), inverse.shape)
    return float(np.bincount(inverse, weights=magnitude).max())
