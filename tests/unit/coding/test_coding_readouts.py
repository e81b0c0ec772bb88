"""Fitted readouts: planted linear maps, ridge in closed form, labels by response."""

import numpy as np
import pytest

from distsnn.coding import LinearReadout, ResponseLabels
from distsnn.errors import DescriptionError

RANDOM = np.random.default_rng(11)
FEATURES = RANDOM.poisson(6.0, (60, 5)).astype(np.float64)
WEIGHTS, INTERCEPT = RANDOM.normal(size=(5, 3)), np.array([1.0, -2.0, 0.5])
TARGETS = FEATURES @ WEIGHTS + INTERCEPT


def test_a_planted_map_is_found():
    found = LinearReadout.fit(FEATURES, TARGETS)
    np.testing.assert_allclose(found.weights, WEIGHTS, rtol=1e-9)
    np.testing.assert_allclose(found.intercept, INTERCEPT, rtol=1e-9)
    np.testing.assert_allclose(found.predict(np.eye(5)), WEIGHTS + INTERCEPT, rtol=1e-9)


@pytest.mark.parametrize("ridge", [0.1, 100.0])
def test_ridge_solves_its_normal_equations(ridge):
    noisy = TARGETS + RANDOM.normal(size=TARGETS.shape)
    found = LinearReadout.fit(FEATURES, noisy, ridge)
    x, y = FEATURES - FEATURES.mean(axis=0), noisy - noisy.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + ridge * np.eye(5), x.T @ y)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9)
    # the intercept is not penalised: residuals have mean 0
    np.testing.assert_allclose((found.predict(FEATURES) - noisy).mean(axis=0), 0.0, atol=1e-12)


def test_more_features_than_samples():
    found = LinearReadout.fit(FEATURES[:3], TARGETS[:3])
    np.testing.assert_allclose(found.predict(FEATURES[:3]), TARGETS[:3], rtol=1e-9)
    # of all that fit the smallest: a combination of the samples
    assert np.linalg.norm(found.weights) < np.linalg.norm(WEIGHTS)


def test_neurons_are_labelled_by_their_mean_response():
    # class 1 has three samples and class 0 one: the mean decides, not the sum
    responses = [
        [5.0, 0.0, 0.0, 2.0],
        [3.0, 1.0, 0.0, 2.0],
        [3.0, 1.0, 0.0, 2.0],
        [3.0, 4.0, 0.0, 2.0],
    ]
    fitted = ResponseLabels.fit(responses, [0, 1, 1, 1], 3)
    # the third never responded, the fourth responds to both alike
    assert fitted == ResponseLabels(np.array([0, 1, 3, 0]), 3)
    tested = [[4.0, 3.0, 9.0, 0.0], [5.0, 1.0, 0.0, 3.0], [0.0, 0.0, 7.0, 0.0]]
    np.testing.assert_allclose(fitted.scores(tested), [[2, 3, 0], [4, 1, 0], [0, 0, 0]])
    assert fitted.predict(tested).tolist() == [1, 0, -1]


def test_labels_separate_tuned_neurons():
    classes = np.arange(100) % 4
    tuning = np.arange(20) % 4
    rates = np.where(classes[:, np.newaxis] == tuning, 12.0, 4.0)
    counts = RANDOM.poisson(rates)
    fitted = ResponseLabels.fit(counts[:50], classes[:50], 4)
    np.testing.assert_array_equal(fitted.labels, tuning)
    np.testing.assert_array_equal(fitted.predict(counts[50:]), classes[50:])


LABELS = ResponseLabels([0, 1], 2)


@pytest.mark.parametrize(
    ("call", "where", "what"),
    [
        (lambda: LinearReadout.fit([[np.nan]], [[1.0]]), "features, sample 0, feature 0", "finite"),
        (lambda: LinearReadout.fit([[1.0]], [[np.inf]]), "targets, sample 0, output 0", "finite"),
        (lambda: LinearReadout.fit([[1.0]], [[1.0], [2.0]]), "targets", "shape"),
        (lambda: LinearReadout.fit([[1.0]], [[1.0]], -1.0), "ridge", "range"),
        (lambda: LinearReadout.fit(np.empty((0, 2)), np.empty((0, 2))), "fit", "no samples"),
        (lambda: LinearReadout([[1.0]], [1.0, 2.0]), "field intercept", "shape"),
        (lambda: LinearReadout([[1.0]], [1.0]).predict([[1.0, 2.0]]), "features", "wrong number"),
        (lambda: ResponseLabels([3], 2), "labels[0]", "range"),
        (lambda: ResponseLabels.fit([[1.0]], [2], 2), "classes[0]", "range"),
        (lambda: ResponseLabels.fit([[1.0]], [0, 1], 2), "classes", "shape"),
        (lambda: ResponseLabels.fit([[-1.0]], [0], 2), "sample 0, neuron 0", "range"),
        (lambda: LABELS.predict([[1.0]]), "responses", "number of neurons"),
    ],
)
def test_what_is_refused(call, where, what):
    with pytest.raises(DescriptionError) as caught:
        call()
    assert where in caught.value.where
    assert what in caught.value.problem
