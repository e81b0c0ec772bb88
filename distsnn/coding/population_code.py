"""Population code: each channel is seen by neurons with overlapping Gaussian receptive fields."""

from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import as_samples, check_columns, check_numbers
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    POSITIVE,
    FloatArray,
    Interval,
    as_floats,
    as_integer,
)
from distsnn.public_api import public_function


@dataclass(frozen=True, eq=False, kw_only=True)
class GaussianFields(Description):
    """Fields of equal width, evenly placed over a range of values.

    With m fields over [low, high], field i = 1 ... m has its centre at
    low + (2 i - 3)/2 (high - low)/(m - 2) and the width (standard deviation)
    (high - low)/(beta (m - 2)): the outermost centres lie half a distance beyond the range.

    Parameters
    ----------
    n_fields : int
        Number of fields per channel, >= 3.
    low, high : float
        Range of values, the same for all channels (normalise them).
    beta : float
        Distance of centres over width, > 0.

    Raises
    ------
    DescriptionError
        If a number is out of range.

    Notes
    -----
    Source: Bohte, Kok & La Poutré (2002), Neurocomputing 48:17, who take beta = 1.5 and code the
    responses as latencies: ``LinearLatency(..., least=0.1).encode(fields.encode(values))``. A
    `RateCode` makes them rates.
    """

    n_fields: int
    low: float = 0.0
    high: float = 1.0
    beta: float = 1.5

    def __post_init__(self) -> None:
        as_integer(self.n_fields, where="GaussianFields, field n_fields", low=3)
        check_numbers(self, low=ANY, beta=POSITIVE)
        check_numbers(self, high=Interval(self.low, open_low=True))

    @property
    def _distance(self) -> float:
        return (self.high - self.low) / (self.n_fields - 2)

    @property
    def centres(self) -> FloatArray:
        """Centres of the fields, shape (n_fields,)."""
        return self.low + (np.arange(self.n_fields, dtype=np.float64) - 0.5) * self._distance

    @property
    def width(self) -> float:
        """Standard deviation of each field."""
        return self._distance / self.beta

    def encode(self, values: object) -> FloatArray:
        """Return the fields' responses, 1 at a centre: values of more channels.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Values; beyond the range all responses are small.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels * n_fields)
            Within 0 to 1; column c * n_fields + i is field i of channel c.

        Raises
        ------
        DescriptionError
            If a value is not finite.
        """
        array = as_samples(values, where="GaussianFields, values")
        away = (array[..., np.newaxis] - self.centres) / self.width
        return np.exp(-0.5 * away * away).reshape(array.shape[0], -1)

    def decode(self, activity: object) -> FloatArray:
        """Return the values that activity stands for: its centre of mass over the fields.

        Parameters
        ----------
        activity : array_like, shape (n_samples, n_channels * n_fields)
            Responses, counts or rates, not negative.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)
            NaN where no field of a channel is active. As there are no fields further out, values
            near the range's ends come out too far inside: with beta = 1.5 by less than a tenth
            of the centres' distance.

        Raises
        ------
        DescriptionError
            If the activity is negative, not finite, or its channels are incomplete.
        """
        where = "GaussianFields.decode, activity"
        array = as_samples(activity, where=where, allowed=NOT_NEGATIVE)
        if array.shape[1] % self.n_fields:
            raise DescriptionError(
                "wrong number of fields",
                where=where,
                value=array.shape[1],
                allowed=f"multiples of {self.n_fields}",
            )
        by_field = array.reshape(-1, self.n_fields)
        return population_vector(by_field, self.centres).reshape(array.shape[0], -1)


@public_function
def population_vector(activity: object, preferred: object) -> FloatArray:
    """Return the mean of preferred values (or vectors), weighted by activity.

    Parameters
    ----------
    activity : array_like, shape (n_samples, n_neurons)
        Counts or rates, not negative.
    preferred : array_like, shape (n_neurons,) or (n_neurons, n_dimensions)
        The value that each neuron prefers, or a vector: (cos, sin) for a direction.

    Returns
    -------
    ndarray of float64, shape (n_samples,) or (n_samples, n_dimensions)
        NaN for samples without activity.

    Raises
    ------
    DescriptionError
        If numbers are negative or not finite, or shapes do not fit.

    Notes
    -----
    Source: Georgopoulos, Schwartz & Kettner (1986), Science 233:1416, here divided by the total
    activity.
    """
    where = "population_vector, activity"
    array = as_samples(activity, where=where, allowed=NOT_NEGATIVE)
    preferred_values = as_floats(preferred, where="population_vector, preferred")
    vectors = as_samples(
        preferred_values[:, np.newaxis] if preferred_values.ndim == 1 else preferred_values,
        where="population_vector, preferred",
        axes=("neurons", "dimensions"),
    )
    check_columns(array, vectors.shape[0], where=where, meaning="neurons")
    total = array.sum(axis=1, keepdims=True)
    mean = (array @ vectors) / np.where(total > 0.0, total, np.nan)
    return mean[:, 0] if preferred_values.ndim == 1 else mean
