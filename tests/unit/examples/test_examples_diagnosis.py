"""Diagnosis from noisy measurements: who is tested, what is learnt, and on how many ranks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import mpiexec_path
from distsnn.errors import DescriptionError
from distsnn.examples import diagnosis
from distsnn.network import ContrastiveSTDP

pytest.importorskip("sklearn", reason="the data come with the extra `examples`")

PROGRAM = """
import sys
import numpy as np
from distsnn.comm import world
from distsnn.examples import diagnosis
training, test = (one.take(np.arange(n)) for one, n in zip(diagnosis.load(), (60, 30)))
learnt = diagnosis.learn(training, test, passes=1)
if world().rank == 0:
    np.savez(sys.argv[1], accuracy=learnt.accuracy, weights=learnt.weights, counts=learnt.counts)
"""


def some(level: float = 0.0, *, trained: int, tested: int) -> list[diagnosis.Patients]:
    sizes = trained, tested
    return [one.take(np.arange(n)) for one, n in zip(diagnosis.load(level), sizes, strict=True)]


def test_patients_of_the_test_set_neither_train_nor_scale() -> None:
    from sklearn.datasets import load_breast_cancer

    training, test = diagnosis.load()
    assert (training.classes.size, test.classes.size) == (380, 189)
    seen = {one.tobytes() for one in training.values}
    assert len(seen) == 380 and not any(one.tobytes() in seen for one in test.values)
    np.testing.assert_allclose(training.values.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(training.values.std(axis=0), 1.0)
    # classes go with their measurements
    every, classes = load_breast_cancer(return_X_y=True)
    scale, offset = every[classes == 0, 0].mean() - every[:, 0].mean(), training
    assert (offset.values[offset.classes == 0, 0].mean() > 0) == (scale > 0)


def test_noise_is_added_in_units_of_the_measurements() -> None:
    (clean, same), (noisy, other) = diagnosis.load(), diagnosis.load(2.0)
    np.testing.assert_array_equal(clean.classes, noisy.classes)
    np.testing.assert_array_equal(same.classes, other.classes)
    # normalised again, so that what was measured has a share of 1/sqrt(1 + 2²)
    shares = [np.corrcoef(a, b)[0, 1] for a, b in zip(clean.values.T, noisy.values.T, strict=True)]
    assert np.mean(shares) == pytest.approx(1.0 / np.sqrt(5.0), abs=0.03)
    assert not np.array_equal(noisy.values, diagnosis.load(2.0, seed=2)[0].values)


def test_rates_are_a_population_code() -> None:
    found = diagnosis.rates([[-9.0, *29 * [0.0]], [9.0, *29 * [0.0]]])
    assert found.shape == (2, 150)
    # beyond the range the outermost fields answer
    assert found[0, 0] == found[1, 4] == diagnosis.HIGHEST == found[0, 7]


def test_network_has_weights_of_both_signs() -> None:
    network = diagnosis.build(neurons=3)
    assert [one.size for one in network.populations] == [150, 6]
    plastic, fixed = network.projections
    assert isinstance(plastic.synapse, ContrastiveSTDP)
    assert plastic.weight == -fixed.weight == 0.5 * plastic.synapse.w_max
    with pytest.raises(DescriptionError, match=r"diagnosis, neurons: too few; given 0; allowed: >"):
        diagnosis.build(neurons=0)


@pytest.mark.ci
def test_nothing_changes_while_the_test_set_is_shown() -> None:
    training, test = some(trained=4, tested=12)
    one = diagnosis.learn(training, test.take(np.arange(2)), neurons=2, passes=1)
    more = diagnosis.learn(training, test, neurons=2, passes=1)
    np.testing.assert_array_equal(one.weights, more.weights)
    np.testing.assert_array_equal(one.counts, more.counts[:2])
    assert np.unique(one.weights).size > 100


@pytest.mark.ci
def test_learns_as_logistic_regression_does_step_by_step() -> None:
    training, test = some(trained=60, tested=40)
    untaught = diagnosis.learn(training, test, passes=0)
    assert np.ptp(untaught.weights) == 0.0
    taught = diagnosis.learn(training, test, passes=1)
    change = (taught.weights - untaught.weights).reshape(150, 2, -1).mean(axis=2)
    # the same by rates: neurons are active with probability p, and a pairing changes weights by
    # 2 eta tau times the product of rates per ms
    fibres, targets = diagnosis.rates(training.values) / 1000.0, np.eye(2)[training.classes]
    expected = np.zeros((150, 2))
    for patient in np.random.default_rng(1).permutation(60):
        p = 1.0 / (1.0 + np.exp(-20.0 * fibres[patient] @ expected))
        step = np.outer(fibres[patient], targets[patient] - p) / diagnosis.NEURON.t_ref
        expected += 2.0 * diagnosis.LEARNING_RATE * 10.0 * diagnosis.SHOWN * step
    assert np.corrcoef(change.ravel(), expected.ravel())[0, 1] > 0.8
    assert change.std() == pytest.approx(expected.std(), rel=0.2)
    # chance is 0.6
    assert taught.accuracy > 0.85


def test_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `analysis`")
    diagnosis.draw((0.0, 1.0), np.array([[[0.9, 1.0]], [[0.8, 0.7]]]), str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.ci
def test_learns_the_same_on_two_ranks(tmp_path: Path) -> None:
    out = tmp_path / "two.npz"
    command = [mpiexec_path(), "-n", "2", sys.executable, "-c", PROGRAM, str(out)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    one = diagnosis.learn(*some(trained=60, tested=30), passes=1)
    two = dict(np.load(out))
    assert two.keys() == vars(one).keys()
    for name, values in vars(one).items():
        np.testing.assert_array_equal(two[name], values)
    assert np.unique(one.weights).size > 100 and one.counts.any()


@pytest.mark.validation
def test_network_is_as_good_as_logistic_regression() -> None:
    levels, seeds = (0.0, 1.0, 2.0), (1, 2, 3)
    found = diagnosis.compare(levels, seeds)
    spiking, logistic = found.mean(axis=1).T
    assert (spiking >= logistic - 0.03).all()
    # noise makes it worse
    assert (np.diff(spiking) < 0.0).all()
