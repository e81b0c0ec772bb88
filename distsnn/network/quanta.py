"""Fixed-point scales of weights: a function of the description only, and part of its meaning.

Every (population, receptor) has a quantum q = 2^k, every projection a shift s >= 0. A weight w is
the integer ``rint(w / (q·2^s))·2^s`` in every storage, so that sums of weights are exact and do
not depend on their order. The smaller q is, the smaller is the rounding error, the larger the sum:

1. Start with the q that gives every weight a relative error of at most 2^-20 of its projection's
   scale (drawn weights, which may be packed: 2^-10, unless a synapse model scales them;
   `weight_bits`: 2^-weight_bits).
2. While twice the estimated sum of one step's input exceeds 2^31 quanta, double q, but for no
   weight beyond an error of 2^-10 (given arrays: 2^-20; `weight_bits`: 2^-weight_bits). What is
   left over needs 64-bit rows.
3. Drawn and given arrays of weights get the largest s that keeps to their error.

A plastic weight w is a real number, and the integer ``rint(w / q)`` whenever it acts. Its scale is
that of the first weights, its sum that of the bounds. With `weight_bits` the first weights are
multiples of q·2^s, as others are, or at a bound that the nearest one is beyond; q is no larger than
without.

A synapse model's spike adds ``rint(weight · factor)`` quanta, 0 <= factor <= 1, whatever s is.

Receptors that one projection may reach by its weights' sign share q.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.claims import (
    Claim,
    EdgeSummary,
    Receptor,
    projection_claim,
    stimulus_claim,
)
from distsnn.network.description import Network
from distsnn.network.projections import Projection
from distsnn.network.stimuli import PoissonInput, SpikeInput
from distsnn.network.values import bounds

# A packed field should hold all but this much of a distribution on either side; what does not fit
# is stored explicitly.
PACKED_TAIL = 2.0**-20
LARGEST_SUM = 2.0**62


@dataclass(frozen=True)
class Quanta:
    """Fixed-point scales of a network.

    Parameters
    ----------
    exponent : mapping of (population, receptor) to int
        k of the quantum 2^k, in the receptor's weight unit; 0 where nothing arrives.
    bound : mapping of (population, receptor) to float
        Estimated largest sum of \\|weights\\| onto a neuron in one step, quanta.
    shift : tuple of int
        s of each projection.
    weight_bits : tuple of int
        Relative error 2^-bits, of its scale, that was sought for each projection's weights.
    field_bits : tuple of int
        Signed bits that hold ``weight / (q·2^s)`` of all but 2^-20 of each projection's weights.
    """

    exponent: Mapping[Receptor, int]
    bound: Mapping[Receptor, float]
    shift: tuple[int, ...]
    weight_bits: tuple[int, ...]
    field_bits: tuple[int, ...]

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
            "weight_bits": list(self.weight_bits),
            "field_bits": list(self.field_bits),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Quanta":
        """Return the quanta that `to_dict` was called on."""
        rows = [((row["population"], row["receptor"]), row) for row in data["receptors"]]
        return cls(
            {key: int(row["exponent"]) for key, row in rows},
            {key: float(row["bound"]) for key, row in rows},
            tuple(data["shift"]),
            tuple(data["weight_bits"]),
            tuple(data["field_bits"]),
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


def quanta(network: Network, files: Mapping[int, EdgeSummary] | None = None) -> Quanta:
    """Return the fixed-point scales of a network.

    Parameters
    ----------
    network : Network
        The network.
    files : mapping of int to EdgeSummary, optional
        By index of the projection, what its edge file holds; needed where weights are in the file.

    Raises
    ------
    DescriptionError
        If a summary is missing, or weights onto a receptor differ so much that no quantum fits.
    """
    files = files or {}
    projected = [
        projection_claim(network, one, files.get(index))
        for index, one in enumerate(network.projections)
    ]
    given = [one for one in network.stimuli if isinstance(one, PoissonInput | SpikeInput)]
    claims = projected + [stimulus_claim(network, one) for one in given]
    exponent: dict[Receptor, int] = {}
    bound: dict[Receptor, float] = {}
    for group in _groups(network, claims):
        ours = [claim for claim in claims if claim.scale and claim.receptors[0] in group]
        totals = {key: sum(claim.sums.get(key, 0.0) for claim in ours) for key in group}
        k = _choose(ours, max(totals.values()))
        for key in group:
            exponent[key], bound[key] = k, math.ldexp(totals[key], -k)
            _check_sum(key, k, bound[key])
    shift, fields = [], []
    for index, (one, claim) in enumerate(zip(network.projections, projected, strict=True)):
        k = exponent[claim.receptors[0]]
        bits = claim.least_bits if one.weight_bits is None else one.weight_bits
        s = 0 if _is_plain(one) or not claim.scale else _exponent(claim.scale, bits) - k
        shift.append(s)
        fields.append(_field_bits(one, files.get(index), k + s))
    return Quanta(
        exponent, bound, tuple(shift), tuple(claim.bits for claim in projected), tuple(fields)
    )


def _is_plain(one: Projection) -> bool:
    if one.weight_bits is not None:
        return False
    return isinstance(one.weight, float) or one.plasticity is not None


def _exponent(scale: float, bits: int) -> int:
    # floor(log2(2 · scale · 2^-bits)), exactly.
    return math.frexp(scale)[1] - bits


def _needed(total: float) -> int:
    # The smallest k with 2 · total / 2^k <= 2^31.
    mantissa, exponent = math.frexp(total)
    return exponent - 30 - (mantissa == 0.5)


def _choose(claims: list[Claim], total: float) -> int:
    if not claims:
        return 0
    finest = min(_exponent(claim.scale, claim.bits) for claim in claims)
    coarsest = min(_exponent(claim.scale, claim.least_bits) for claim in claims)
    return max(finest, min(coarsest, _needed(total)))


def _groups(network: Network, claims: list[Claim]) -> list[tuple[Receptor, ...]]:
    """Return receptors in groups that share a quantum."""
    groups: list[tuple[Receptor, ...]] = [
        ((population.name, receptor),)
        for population in network.populations
        for receptor in population.model.receptors
    ]
    for claim in claims:
        if len(claim.receptors) > 1:
            tied = [group for group in groups if set(group) & set(claim.receptors)]
            rest = [group for group in groups if group not in tied]
            groups = [*rest, tuple(key for group in tied for key in group)]
    return groups


def _check_sum(key: Receptor, k: int, bound: float) -> None:
    if bound > LARGEST_SUM:
        raise DescriptionError(
            "weights differ too much for one fixed-point scale",
            where=f"population {key[0]!r}, receptor {key[1]!r}",
            value=f"a sum of {bound:.2g} quanta of 2^{k}",
            allowed="at most 2^62 quanta; drop the tiny weights",
        )


def _field_bits(one: Projection, summary: EdgeSummary | None, exponent: int) -> int:
    if one.weight is not None:
        ends = bounds(one.weight, PACKED_TAIL)
    else:
        ends = (summary.low, summary.high) if summary is not None else (0.0, 0.0)
    return 1 + max(abs(int(end)) for end in to_integers(ends, exponent)).bit_length()
