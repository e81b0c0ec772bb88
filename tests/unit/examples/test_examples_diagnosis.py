"""Diagnosis from noisy measurements: patients kept apart, and accuracies against noise."""

import numpy as np
import pytest

from distsnn.examples import diagnosis

for _package in ("sklearn", "dask"):
    pytest.importorskip(_package, reason="the example needs the extra `examples`")


def test_patients_of_the_test_set_neither_scale_nor_move() -> None:
    clean, classes = diagnosis.measured(0.0, seed=1)
    noisy, same = diagnosis.measured(2.0, seed=1)
    np.testing.assert_array_equal(classes, same)
    training = slice(0, diagnosis.TRAINING)
    np.testing.assert_allclose(clean[training].mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(clean[training].std(axis=0), 1.0)
    assert (noisy - clean).std() == pytest.approx(2.0, rel=0.02)
    assert not np.array_equal(noisy, diagnosis.measured(2.0, seed=2)[0])


def test_clean_measurements_are_told_as_well_as_by_regression() -> None:
    spiking, logistic = diagnosis.diagnose(0.0)
    assert spiking > 0.92
    assert logistic > 0.95


@pytest.mark.validation
def test_noise_costs_the_network_little_more_than_regression() -> None:
    found = np.array(
        [[diagnosis.diagnose(level, seed) for seed in (1, 2, 3)] for level in diagnosis.LEVELS]
    ).mean(axis=1)
    assert (found[:3, 0] > found[:3, 1] - 0.06).all()
    # most patients are of one class: guessing that is 0.63
    assert found[-1, 0] < found[0, 0] - 0.05
