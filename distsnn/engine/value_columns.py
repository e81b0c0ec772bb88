"""A projection's weights and delays as the wiring kernels take them: codes, steps, quanta."""

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import Layout
from distsnn.engine.storage import planes
from distsnn.kernels import sampling
from distsnn.kernels import wiring_columns as columns
from distsnn.kernels.functions import log_array
from distsnn.network import Projection, delay_bounds, delay_steps, distribution_code
from distsnn.network.distributions import Distribution
from distsnn.network.quanta import WeightQuanta, to_integers

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def value_columns(layout: Layout, quanta: WeightQuanta, index: int) -> tuple[Ints, Floats]:
    """Return a projection's integer and float columns, with the columns of its values filled.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    index : int
        The projection.
    """
    projection, dt = layout.network.projections[index], layout.network.dt
    ints, floats = np.zeros(columns.N_INT, np.int64), np.zeros(columns.N_FLOAT)
    ints[columns.WEIGHT_START] = ints[columns.DELAY_START] = -1
    ints[columns.WEIGHT_SHIFT] = quanta.shift[index]
    if isinstance(projection.weight, float | Distribution):
        ints[columns.WEIGHT_KIND], values = distribution_code(projection.weight)
        floats[columns.WEIGHT_A : columns.WEIGHT_HIGH + 1] = values
    if isinstance(projection.delay, float):
        floats[columns.DELAY_A] = int(delay_steps(projection.delay, dt))
    elif isinstance(projection.delay, Distribution):
        kind, values = distribution_code(projection.delay)
        ints[columns.DELAY_KIND] = kind
        floats[columns.DELAY_A : columns.DELAY_HIGH + 1] = _in_steps(kind, values, dt)
        ints[columns.MAX_DELAY] = delay_bounds(projection.delay, dt)[1]
    scales = (columns.SCALE_POSITIVE, columns.SCALE_NEGATIVE)
    for column, exponent in zip(scales, _exponents(layout, quanta, projection), strict=True):
        floats[column] = 2.0 ** -(exponent + quanta.shift[index])
    ints[columns.RECEPTOR_POSITIVE], ints[columns.RECEPTOR_NEGATIVE] = planes(layout, projection)
    return ints, floats


def integer_weights(layout: Layout, quanta: WeightQuanta, index: int, weights: Floats) -> Ints:
    """Return weights of a projection in quanta."""
    shift = quanta.shift[index]
    positive, negative = _exponents(layout, quanta, layout.network.projections[index])
    return np.where(
        weights >= 0, to_integers(weights, positive, shift), to_integers(weights, negative, shift)
    )


def _exponents(layout: Layout, quanta: WeightQuanta, projection: Projection) -> tuple[int, int]:
    receptors = layout.network.population(projection.post.population).model.receptors
    positive, negative = planes(layout, projection)
    name = projection.post.population
    return quanta.exponent[name, receptors[positive]], quanta.exponent[name, receptors[negative]]


def _in_steps(
    kind: int, values: tuple[float, float, float, float], dt: float
) -> tuple[float, float, float, float]:
    a, b, low, high = values
    if kind == sampling.LOGNORMAL:
        return a - float(log_array(dt)), b, low, high
    return a / dt, b / dt, low / dt, high / dt
