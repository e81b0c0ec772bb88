"""Neurons labelled by what they respond to: the readout of unsupervised learning."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from distsnn.coding.checks import Integers, as_samples, check_columns
from distsnn.network.base import Description
from distsnn.network.checks import (
    NOT_NEGATIVE,
    FloatArray,
    IntArray,
    as_indices,
    as_integer,
    check_indices,
    check_shape,
)


@dataclass(frozen=True, eq=False)
class ResponseLabels(Description):
    """Each neuron stands for the class that it responds to most; its class's neurons vote.

    Make one with ``fit``.

    Parameters
    ----------
    labels : array_like of int, shape (n_neurons,)
        Each neuron's class; `n_classes` for a neuron that never responded and has no vote.
    n_classes : int
        Number of classes.

    Raises
    ------
    DescriptionError
        If a label is out of range.

    Notes
    -----
    Source: Diehl & Cook (2015), Front. Comput. Neurosci. 9:99: a neuron's class is the class of
    its highest mean response to the training set, a sample's class is the class of the neurons with
    the highest mean response.
    """

    labels: IntArray
    n_classes: int

    def __post_init__(self) -> None:
        where = "ResponseLabels, field"
        as_integer(self.n_classes, where=f"{where} n_classes", low=1)
        labels = as_indices(self.labels, where=f"{where} labels")
        check_indices(labels, self.n_classes + 1, where=f"{where} labels")
        self._fill(labels=labels)

    @classmethod
    def fit(cls, responses: object, classes: object, n_classes: int) -> Self:
        """Return the labels that training data give.

        Parameters
        ----------
        responses : array_like, shape (n_samples, n_neurons)
            Counts or rates, not negative.
        classes : array_like of int, shape (n_samples,)
            Each sample's class, 0 to n_classes - 1.
        n_classes : int
            Number of classes.

        Raises
        ------
        DescriptionError
            If a response is negative or not finite, or there is not one class for each sample.
        """
        where = "ResponseLabels.fit"
        array = _responses(responses, where=where)
        class_indices = as_indices(classes, where=f"{where}, classes")
        check_shape(
            class_indices, array.shape[:1], where=f"{where}, classes", meaning="one per sample"
        )
        n_classes = as_integer(n_classes, where=f"{where}, n_classes", low=1)
        check_indices(class_indices, n_classes, where=f"{where}, classes")
        mean = _mean_by_class(array.T, class_indices, n_classes)
        return cls(_highest(mean, n_classes).astype(np.int32), n_classes)

    def scores(self, responses: object) -> FloatArray:
        """Return the mean response of each class's neurons.

        Parameters
        ----------
        responses : array_like, shape (n_samples, n_neurons)
            Counts or rates, not negative.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_classes)
            0 for a class without neurons.

        Raises
        ------
        DescriptionError
            If a response is negative or not finite, or there are other neurons than in training.
        """
        array = _responses(responses, where="ResponseLabels")
        check_columns(array, self.labels.size, where="ResponseLabels, responses", meaning="neurons")
        return _mean_by_class(array, self.labels, self.n_classes)

    def predict(self, responses: object) -> Integers:
        """Return the class of the highest score.

        Parameters
        ----------
        responses : array_like, shape (n_samples, n_neurons)
            As in `scores`.

        Returns
        -------
        ndarray of int64, shape (n_samples,)
            The lowest of the classes with the highest score; -1 if no labelled neuron responded.
        """
        return _highest(self.scores(responses), -1)


def _responses(value: object, *, where: str) -> FloatArray:
    return as_samples(
        value, where=f"{where}, responses", allowed=NOT_NEGATIVE, axes=("samples", "neurons")
    )


def _mean_by_class(rows: FloatArray, classes: IntArray, n_classes: int) -> FloatArray:
    """Return the mean of each row's columns of each class, 0 for a class without columns."""
    members = classes[:, np.newaxis] == np.arange(n_classes)
    mean: FloatArray = (rows @ members) / np.maximum(members.sum(axis=0), 1)
    return mean


def _highest(scores: FloatArray, none: int) -> Integers:
    """Return each row's first column of the highest score, `none` where all are 0."""
    return np.where(scores.max(axis=1) > 0.0, scores.argmax(axis=1), none)
