"""A projection's weights and delays as the wiring kernels take them: codes, steps, quanta."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.storage import receptor_planes
from distsnn.kernels import sampling
from distsnn.kernels.functions import log_array
from distsnn.kernels.wiring_tables import PROJECTION
from distsnn.network import Projection, delay_bounds, delay_steps, distribution_code
from distsnn.network.distributions import Distribution
from distsnn.network.quanta import WeightQuanta, to_integers

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def projection_record(
    layout: LocalLayout, quanta: WeightQuanta, index: int, key: np.uint64
) -> np.void:
    """Return a projection's record, with its stream and the fields of its values filled.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    index : int
        The projection.
    key : uint64
        Its stream.

    Returns
    -------
    record of kernels.wiring_tables.PROJECTION
    """
    projection, dt = layout.network.projections[index], layout.network.dt
    record: np.void = np.zeros(1, PROJECTION)[0]
    record["key"], record["weight_shift"] = key, quanta.shift[index]
    record["weight_start"] = record["delay_start"] = -1
    if isinstance(projection.weight, float | Distribution):
        record["weight_kind"], values = distribution_code(projection.weight)
        _set_values(record, "weight", values)
    if isinstance(projection.delay, float):
        record["delay_a"] = int(delay_steps(projection.delay, dt))
    elif isinstance(projection.delay, Distribution):
        record["delay_kind"], values = distribution_code(projection.delay)
        _set_values(record, "delay", _in_steps(record["delay_kind"], values, dt))
        record["max_delay"] = delay_bounds(projection.delay, dt)[1]
    scales = ("scale_positive", "scale_negative")
    for name, exponent in zip(scales, _exponents(layout, quanta, projection), strict=True):
        record[name] = 2.0 ** -(exponent + quanta.shift[index])
    record["receptor_positive"], record["receptor_negative"] = receptor_planes(layout, projection)
    return record


def _set_values(record: np.void, name: str, values: tuple[float, float, float, float]) -> None:
    for suffix, value in zip(("a", "b", "low", "high"), values, strict=True):
        record[f"{name}_{suffix}"] = value


def integer_weights(layout: LocalLayout, quanta: WeightQuanta, index: int, weights: Floats) -> Ints:
    """Return weights of a projection in quanta."""
    shift = quanta.shift[index]
    positive, negative = _exponents(layout, quanta, layout.network.projections[index])
    return np.where(
        weights >= 0, to_integers(weights, positive, shift), to_integers(weights, negative, shift)
    )


def _exponents(
    layout: LocalLayout, quanta: WeightQuanta, projection: Projection
) -> tuple[int, int]:
    receptors = layout.network.population(projection.post.population).model.receptors
    positive, negative = receptor_planes(layout, projection)
    name = projection.post.population
    return quanta.exponent[name, receptors[positive]], quanta.exponent[name, receptors[negative]]


def _in_steps(
    kind: int, values: tuple[float, float, float, float], dt: float
) -> tuple[float, float, float, float]:
    a, b, low, high = values
    if kind == sampling.LOGNORMAL:
        return a - float(log_array(dt)), b, low, high
    return a / dt, b / dt, low / dt, high / dt
