"""Fixed-point scales of weights: a function of the description only, and part of its meaning.

Every (population, receptor) has a quantum q = 2^k, every projection a shift s >= 0. A weight w is
the integer ``rint(w / (q·2^s))·2^s`` in every storage, so that sums of weights are exact and do
not depend on their order. The smaller q is, the smaller is the rounding error, the larger the sum:

1. Weights below 2^e *do not matter* if they are at most 2^-8 of the total of all |w| of their
   projection, and at most 2^-8 of the given or 2^-3 of the drawn weights. (The last limit ends
   where draws differ by more than 2^44.) e is the largest such integer.
   Every weight that matters keeps a relative error of at most 2^-10 (`weight_bits`: an
   error of at most 2^-weight_bits of the projection's scale). Given arrays and files also keep
   2^-20 of the largest weight; an event that a synapse model scales keeps 2^-10 down to 2^-6 of the
   weight.
2. More is sought: 2^-20 of the scale for constants, scaled and plastic weights, 2^-10 for every
   weight listed by `ConnectionList`, `ConnectionFile`, `OneToOne` and `SpikeInput`. While twice the
   estimated sum of one step's input exceeds 2^31 quanta, double q, but not beyond rule 1. Sums
   that are still larger need 64-bit rows.
3. Drawn weights and arrays of `AllToAll` get the largest s that keeps to rule 1.

A plastic weight w is a real number, which acts as the integer ``rint(w / q)``. Its scale is the
scale of the initial weights, its sum follows from the bounds. With `weight_bits` the initial
weights are multiples of q·2^s, like other weights, or at a bound if the nearest multiple is beyond
the bound; q is at most the q without `weight_bits`.

A synapse model's spike adds ``rint(weight · factor)`` quanta, factor >= 0, whatever s is.

Receptors that one projection may reach by its weights' sign share q.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.description import Network
from distsnn.network.magnitudes import Magnitudes, RoundingError, magnitudes_of
from distsnn.network.projections import Projection
from distsnn.network.scale_requirements import (
    EdgeFileSummary,
    Receptor,
    ScaleRequirement,
    is_listed,
    projection_requirement,
    stimulus_requirement,
)
from distsnn.network.stimuli import RateInput, SpikeInput
from distsnn.network.values import value_bounds

# A packed field must hold all but this much of a distribution on either side. What does not fit is
# stored explicitly: 8 bytes and a delay run each, so more would be slower than 8 bytes for all.
PACKED_TAIL = 2.0**-5
LARGEST_SUM_BITS = 62


@dataclass(frozen=True)
class WeightQuanta:
    """Fixed-point scales of a network.

    Parameters
    ----------
    exponent : mapping of (population, receptor) to int
        k of the quantum 2^k, in the receptor's weight unit; 0 where nothing arrives.
    bound : mapping of (population, receptor) to float
        Estimated largest sum of \\|weights\\| onto a neuron in one step, quanta.
    shift : tuple of int
        s of each projection.
    field_bits : tuple of int
        Signed bits that hold ``weight / (q·2^s)`` of each projection's weights, of drawn ones all
        but 2^-5 on either side.
    errors : mapping of str to RoundingError
        By projection, rounding errors of its weights.
    """

    exponent: Mapping[Receptor, int]
    bound: Mapping[Receptor, float]
    shift: tuple[int, ...]
    field_bits: tuple[int, ...]
    errors: Mapping[str, RoundingError]

    def quantum(self, population: str, receptor: str) -> float:
        """Return q of a receptor, in its weight unit."""
        return math.ldexp(1.0, self.exponent[population, receptor])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "receptors": [
                {"population": key[0], "receptor": key[1], "exponent": k, "bound": self.bound[key]}
                for key, k in self.exponent.items()
            ],
            "shift": list(self.shift),
            "field_bits": list(self.field_bits),
            "errors": [{"projection": name} | vars(error) for name, error in self.errors.items()],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "WeightQuanta":
        """Return the quanta that `to_dict` was called on."""
        rows = [((row["population"], row["receptor"]), row) for row in data["receptors"]]
        return cls(
            {key: int(row["exponent"]) for key, row in rows},
            {key: float(row["bound"]) for key, row in rows},
            tuple(data["shift"]),
            tuple(data["field_bits"]),
            {row["projection"]: RoundingError.from_dict(row) for row in data["errors"]},
        )


def to_integers(weight: npt.ArrayLike, exponent: int, shift: int = 0) -> npt.NDArray[np.int64]:
    """Return weights as integers in units of 2^exponent: ``rint(w / (q·2^s))·2^s``.

    Parameters
    ----------
    weight : array_like
        Weights.
    exponent, shift : int
        k of the receptor, s of the projection.
    """
    scaled = np.rint(np.ldexp(np.asarray(weight, np.float64), -(exponent + shift)))
    return np.asarray(scaled.astype(np.int64) << shift)


def choose_quanta(
    network: Network, files: Mapping[int, EdgeFileSummary] | None = None
) -> WeightQuanta:
    """Return the fixed-point scales of a network.

    Parameters
    ----------
    network : Network
        The network.
    files : mapping of int to EdgeFileSummary, optional
        By index of the projection, what its edge file holds; needed where weights are in the file.

    Raises
    ------
    DescriptionError
        If a summary is missing, or the range of weights onto a receptor is too large for any
        quantum.
    """
    files = files or {}
    projected = [
        projection_requirement(network, described, files.get(index))
        for index, described in enumerate(network.projections)
    ]
    stimuli = [
        described for described in network.stimuli if isinstance(described, RateInput | SpikeInput)
    ]
    claims = projected + [stimulus_requirement(network, described) for described in stimuli]
    exponent: dict[Receptor, int] = {}
    bound: dict[Receptor, float] = {}
    for group in _groups(network, claims):
        group_claims = [claim for claim in claims if claim.scale and claim.receptors[0] in group]
        totals = {
            key: sum(claim.max_input_sums.get(key, 0.0) for claim in group_claims) for key in group
        }
        k = _choose_exponent(group_claims, max(totals.values()))
        for key, total in totals.items():
            if _least_exponent(total, LARGEST_SUM_BITS) > k:
                raise _too_wide(network, projected, key, k, total)
            exponent[key], bound[key] = k, math.ldexp(total, -k)
    shift, fields, errors = [], [], {}
    for index, (described, claim) in enumerate(zip(network.projections, projected, strict=True)):
        k = exponent[claim.receptors[0]]
        s = 0 if _is_plain(described) or not claim.scale else claim.stored - k
        shift.append(s)
        fields.append(_field_bits(described, files.get(index), k + s))
        errors[described.name or ""] = claim.magnitudes.rounded(k + s)
    return WeightQuanta(exponent, bound, tuple(shift), tuple(fields), errors)


def _is_plain(projection: Projection) -> bool:
    if projection.weight_bits is not None:
        return False
    return (
        isinstance(projection.weight, float)
        or projection.plasticity_rule is not None
        or is_listed(projection)
    )


def _least_exponent(total: float, bits: int) -> int:
    # The smallest k with total / 2^k <= 2^bits; of 0 any will do.
    mantissa, exponent = math.frexp(min(total, sys.float_info.max)) if total else (0.5, -1100)
    return exponent - bits - (mantissa == 0.5)


def _choose_exponent(claims: list[ScaleRequirement], total: float) -> int:
    if not claims:
        return 0
    finest = min(claim.finest for claim in claims)
    coarsest = min(claim.coarsest for claim in claims)
    return max(finest, min(coarsest, _least_exponent(total, 30)))


def _groups(network: Network, claims: list[ScaleRequirement]) -> list[tuple[Receptor, ...]]:
    """Return receptors in groups that share a quantum."""
    groups: list[tuple[Receptor, ...]] = [
        ((population.name, receptor),)
        for population in network.populations
        for receptor in population.model.receptors
    ]
    for claim in claims:
        if len(claim.receptors) > 1:
            tied = [group for group in groups if set(group) & set(claim.receptors)]
            remaining = [group for group in groups if group not in tied]
            groups = [*remaining, tuple(key for group in tied for key in group)]
    return groups


def _too_wide(
    network: Network, claims: list[ScaleRequirement], key: Receptor, k: int, total: float
) -> DescriptionError:
    """Return the error of weights whose sum has too many quanta, with what 2^62 would change."""
    named = {
        projection.name: claim.magnitudes
        for projection, claim in zip(network.projections, claims, strict=True)
        if key in claim.receptors
    }
    held = _least_exponent(total, LARGEST_SUM_BITS)
    return DescriptionError(
        "the weights differ too much for one fixed-point scale",
        where=f"population {key[0]!r}, receptor {key[1]!r}",
        value=f"a sum of up to 2^{held + LARGEST_SUM_BITS - k} quanta of 2^{k}{_lost(named, held)}",
        allowed=f"at most 2^{LARGEST_SUM_BITS} quanta",
        hint="use no such tiny weights, or set weight_bits",
    )


def too_wide_for_a_word(
    network: Network, population: str, weight: int, receptor: str, k: int, bits: int
) -> DescriptionError:
    """Return the error of a weight that no word can hold.

    Parameters
    ----------
    network : Network
        The network.
    population, receptor : str
        The target.
    weight : int
        The weight, quanta.
    k : int
        Exponent of the quantum.
    bits : int
        Signed bits that a word has for a weight.
    """
    named = {
        projection.name: magnitudes_of(projection.weight)
        for projection in network.projections
        if projection.post.population == population and projection.weight is not None
    }
    held = k + abs(weight).bit_length() - (bits - 1)
    return DescriptionError(
        "the weights differ too much for the words of synapses",
        where=f"population {population!r}, receptor {receptor!r}",
        value=f"a weight of {weight} quanta of 2^{k}{_lost(named, held)}",
        allowed=f"below 2^{bits - 1} quanta",
        hint="leave out such tiny weights, or set weight_bits",
    )


def _lost(named: Mapping[str | None, Magnitudes], exponent: int) -> str:
    """Return how a larger quantum would change the projection that it changes most."""
    errors = {name: magnitudes.rounded(exponent) for name, magnitudes in named.items()}
    if not errors:
        return ""
    worst = max(errors, key=lambda name: errors[name].share)
    return f"; rounded to 2^{exponent}, {errors[worst]} in projection {worst!r}"


def _field_bits(projection: Projection, summary: EdgeFileSummary | None, exponent: int) -> int:
    if projection.weight is not None:
        ends = value_bounds(projection.weight, PACKED_TAIL)
    else:
        ends = (summary.low, summary.high) if summary is not None else (0.0, 0.0)
    return 1 + max(abs(int(end)) for end in to_integers(ends, exponent)).bit_length()
