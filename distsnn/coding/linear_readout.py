"""A linear readout of spikes, fitted by ridge regression."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from distsnn.coding.checks import as_samples, check_columns
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    FloatArray,
    as_floats,
    as_number,
    check_range,
    check_shape,
)


@dataclass(frozen=True, eq=False)
class LinearReadout(Description):
    """Outputs that are weighted sums of features, such as counts or filtered spikes.

    Make one with ``fit``.

    Parameters
    ----------
    weights : array_like, shape (n_features, n_outputs)
        Weights.
    intercept : array_like, shape (n_outputs,)
        Outputs where all features are 0.

    Raises
    ------
    DescriptionError
        If a number is not finite or shapes do not fit.
    """

    weights: FloatArray
    intercept: FloatArray

    def __post_init__(self) -> None:
        where = "LinearReadout, field"
        weights = as_samples(self.weights, where=f"{where} weights", axes=("features", "outputs"))
        intercept = as_floats(self.intercept, where=f"{where} intercept")
        check_shape(
            intercept, weights.shape[1:], where=f"{where} intercept", meaning="one per output"
        )
        check_range(intercept, ANY, where=f"{where} intercept")
        self._fill(weights=weights, intercept=intercept)

    @classmethod
    def fit(cls, features: object, targets: object, ridge: float = 0.0) -> Self:
        """Return the readout of least squared error plus ridge times the squared weights.

        Parameters
        ----------
        features : array_like, shape (n_samples, n_features)
            Training data, at least one sample.
        targets : array_like, shape (n_samples, n_outputs)
            What the outputs should be: ``np.eye(n_classes)[labels]`` for classes.
        ridge : float
            Penalty of weights, >= 0; the intercept has none. With 0, the solution
            with the smallest weights is used if it is not unique.

        Raises
        ------
        DescriptionError
            If a number is not finite, the penalty is negative, there are no samples, or the numbers
            of samples and targets differ.

        Notes
        -----
        In closed form: Hoerl & Kennard (1970), Technometrics 12:55, as the least-squares solution
        of the centred data with sqrt(ridge) times the identity below them, which is better
        conditioned than the normal equations.
        """
        where = "LinearReadout.fit"
        x = as_samples(features, where=f"{where}, features", axes=("samples", "features"))
        y = as_samples(targets, where=f"{where}, targets", axes=("samples", "outputs"))
        check_shape(
            y, (x.shape[0], y.shape[1]), where=f"{where}, targets", meaning="(samples, outputs)"
        )
        if x.shape[0] == 0:
            raise DescriptionError("no samples", where=where)
        penalty = as_number(ridge, where=f"{where}, ridge")
        check_range(penalty, NOT_NEGATIVE, where=f"{where}, ridge")
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        left, right = x - x_mean, y - y_mean
        if penalty > 0.0:
            left = np.vstack([left, np.sqrt(penalty) * np.eye(x.shape[1])])
            right = np.vstack([right, np.zeros((x.shape[1], y.shape[1]))])
        weights = np.linalg.lstsq(left, right)[0]
        return cls(weights, y_mean - x_mean @ weights)

    def predict(self, features: object) -> FloatArray:
        """Return outputs; ``.argmax(axis=1)`` of them are classes.

        Parameters
        ----------
        features : array_like, shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_outputs)

        Raises
        ------
        DescriptionError
            If a number is not finite, or there are other features than in training.
        """
        where = "LinearReadout.predict, features"
        x = as_samples(features, where=where, axes=("samples", "features"))
        check_columns(x, self.weights.shape[0], where=where, meaning="features")
        return x @ self.weights + self.intercept
