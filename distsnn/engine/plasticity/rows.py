"""Rows of plastic synapses: words without weights, and weights as real numbers beside them.

They are built as 8-byte words with weights as integers, by the same kernels as all other rows, but
in units of their own, 2^-30 or less of the largest weight there may be (or what `weight_bits` asks
for). A value that rounding moves beyond a bound is set to the bound, and is then not a multiple of
the unit.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine import edges
from distsnn.engine.layout import LocalLayout
from distsnn.engine.row_builder import NO_EDGES, RowBuilder
from distsnn.engine.row_sets import RowSet
from distsnn.engine.storage import plan_explicit_row_set, receptor_planes
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, Projection, delay_bounds, value_bounds
from distsnn.network.checks import Interval
from distsnn.network.quanta import WeightQuanta
from distsnn.network.values import TAIL

Ints = npt.NDArray[np.int64]

_UNIT_BITS = 30
_PIECE = 1 << 22  # synapses that are converted at a time
# Quanta of a weight without a bound: more than 32 bits.
_UNBOUNDED = 1 << 32


@dataclass(eq=False)
class PlasticRows:
    """A rank's synapses of one plastic projection.

    Attributes
    ----------
    projection : int
        The projection.
    row_set : RowSet
        Words ``delay | target``, row by row.
    weights : ndarray of float32 or float64, shape (n_synapses,)
        Magnitudes of the weights.
    min_delay, max_delay : int
        Minimum and maximum delay, steps; (0, 0) without synapses.
    changed : dict of str to ndarray of float64, shape () or (n_synapses,)
        Parameters of the rule that a script has set; bounds are magnitudes.
    """

    projection: int
    row_set: RowSet
    weights: npt.NDArray[Any]
    min_delay: int
    max_delay: int
    changed: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.weights.size

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.row_set.nbytes + self.weights.nbytes

    def source(self, synapse: int) -> int:
        """Return the gid of a synapse's source."""
        row = int(np.searchsorted(self.row_set.row_starts, synapse, side="right")) - 1
        return int(self.row_set.sources[row])

    def targets(self, part: slice | Ints = slice(None)) -> Ints:
        """Return the local targets of some synapses."""
        mask = (1 << self.row_set.plan.target_bits) - 1
        return self.row_set.words[part].astype(np.int64) & mask

    def has_synapses(self, n_local: int) -> npt.NDArray[np.bool_]:
        """Return which of the rank's neurons have synapses."""
        has_synapses = np.zeros(n_local, np.bool_)
        for part in _parts(self.synapses):
            has_synapses[self.targets(part)] = True
        return has_synapses

    def delays(self, part: slice | Ints = slice(None)) -> Ints:
        """Return the delays of some synapses, steps."""
        return self.row_set.words[part].astype(np.int64) >> self.row_set.plan.target_bits


def build_plastic_rows(
    layout: LocalLayout,
    quanta: WeightQuanta,
    keys: npt.NDArray[np.uint64],
    load: Ints,
    index: int,
    pieces: Iterable[edges.Records] | None,
) -> PlasticRows:
    """Build the synapses of a plastic projection onto a rank's neurons.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    keys : ndarray of uint64, shape (n_projections,)
        Streams of the projections.
    load : ndarray of int64, shape (n_planes, n_local)
        Sum of \\|weights\\| onto each local neuron, quanta; their bounds are added to it.
    index : int
        The projection.
    pieces : iterable of ndarray, optional
        Records of its edges, if these are given.

    Raises
    ------
    DescriptionError
        If a given weight is beyond its bound, or a delay not longer than the axonal one.
    """
    projection, dt = layout.network.projections[index], layout.network.dt
    plastic, plane = projection.plasticity_rule, receptor_planes(layout, projection)[0]
    assert plastic is not None
    receptor = layout.network.population(projection.post.population).model.receptors[plane]
    key = (projection.post.population, receptor)
    unit = _unit(projection, quanta.exponent[key])
    if projection.weight_bits is not None:
        unit = quanta.exponent[key] + quanta.shift[index]
    scales = replace(
        quanta, exponent=dict.fromkeys(quanta.exponent, unit), shift=(0,) * len(quanta.shift)
    )
    builder = RowBuilder(layout, scales, keys, np.zeros_like(load))
    prepared = NO_EDGES
    if pieces is not None:
        # those in arrays were compared with their bounds when they were described
        in_file = (
            isinstance(projection.rule, ConnectionFile) and projection.rule.weights is not None
        )
        builder.add_explicit_edges(
            index,
            projection,
            _check_weight_bounds(layout, projection, pieces) if in_file else pieces,
        )
        prepared = np.concatenate([NO_EDGES, *builder.overflow_synapses.pop(None, [])])
    longest = delay_bounds(projection.delay, dt)[1] if projection.delay is not None else 1
    longest = max(longest, int(prepared[:, 3].max(initial=1)))
    plan = plan_explicit_row_set(layout, plane, longest, "push", None)
    row_set = builder.add(
        replace(plan, projections=() if pieces is not None else (index,)), prepared
    )
    assert not builder.overflow_synapses
    rows = _converted(row_set, index, math.ldexp(1.0, unit), np.dtype(projection.weight_type))
    if projection.weight_bits is None and isinstance(projection.weight, float):
        rows.weights[:] = abs(projection.weight)
    if rows.synapses:
        plastic.check_synapses(None, rows.min_delay, dt, where=f"projection {projection.name!r}")
    max_magnitude = _UNBOUNDED
    if math.isfinite(plastic.max_magnitude):
        max_magnitude = math.ceil(plastic.max_magnitude / quanta.quantum(*key))
    for part in _parts(rows.synapses):
        load[plane] += max_magnitude * np.bincount(rows.targets(part), minlength=layout.n_local)
    return rows


def _unit(projection: Projection, exponent: int) -> int:
    """Return k of the unit 2^k in which weights are drawn, for a quantum of 2^exponent."""
    assert projection.plasticity_rule is not None
    largest = projection.plasticity_rule.max_magnitude
    if math.isinf(largest):
        if projection.weight is None:  # weights in a file have at most 21 bits in quanta
            return exponent + 21 - _UNIT_BITS
        largest = max(map(abs, value_bounds(projection.weight, TAIL)))
    return math.frexp(largest)[1] - _UNIT_BITS


def _parts(synapses: int) -> Iterator[slice]:
    for first in range(0, synapses, _PIECE):
        yield slice(first, min(first + _PIECE, synapses))


def _check_weight_bounds(
    layout: LocalLayout, projection: Projection, pieces: Iterable[edges.Records]
) -> Iterator[edges.Records]:
    """Yield records; raise DescriptionError for the first weight that is not within its bounds."""
    model = projection.plasticity_rule
    assert model is not None
    allowed = model.weight_range
    # or as they are stored: learnt weights that were read may be given again
    stored = np.array([allowed.low, allowed.high]).astype(projection.weight_type).astype(np.float64)
    for piece in pieces:
        bad = allowed.is_outside(piece["weight"]) & Interval(*stored).is_outside(piece["weight"])
        if bad.any():
            first_bad = piece[np.argmax(bad)]
            source, target = (
                int(layout.network.gids(end, first_bad[name]))
                for end, name in ((projection.pre, "source"), (projection.post, "target"))
            )
            raise DescriptionError(
                "out of range",
                where=f"projection {projection.name!r}, weight of the synapse from gid {source} "
                f"to gid {target}",
                value=float(first_bad["weight"]),
                allowed=str(allowed),
            )
        yield piece


def _converted(row_set: RowSet, index: int, unit: float, precision: np.dtype[Any]) -> PlasticRows:
    """Return rows with their words cut into `delay | target` and weights."""
    plan, n = row_set.plan, row_set.words.size
    bits = np.uint64(plan.field_bits)
    left = np.uint64(64 - plan.field_bits)
    largest = max((int((row_set.words[part] >> bits).max()) for part in _parts(n)), default=0)
    kind = np.uint32 if largest < 2**32 else np.uint64
    words: npt.NDArray[np.unsignedinteger] = np.empty(n, kind)
    weights = np.empty(n, precision)
    smallest = 1 << 40
    for part in _parts(n):
        piece = row_set.words[part]
        words[part] = piece >> bits
        weights[part] = np.abs((piece << left).view(np.int64) >> np.int64(left)) * unit
        smallest = min(smallest, int((piece >> bits).min()) >> plan.target_bits)
    narrow = replace(
        plan,
        word_bits=8 * words.itemsize,
        field_bits=0,
        delay_bits=8 * words.itemsize - plan.target_bits,
    )
    rows = RowSet(
        narrow, words, row_set.row_starts, row_set.run_starts, row_set.runs, row_set.bitmap
    )
    return PlasticRows(index, rows, weights, smallest if n else 0, largest >> plan.target_bits)
