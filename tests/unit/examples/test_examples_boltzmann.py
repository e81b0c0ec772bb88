"""A Boltzmann machine learns digits: its network, what it learns, and on how many ranks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import mpiexec_path
from distsnn.errors import DescriptionError
from distsnn.examples import boltzmann, digits
from distsnn.network import ContrastiveSTDP
from distsnn.simulation import Simulation

pytest.importorskip("sklearn", reason="digits come with the extra `examples`")

PROGRAM = """
import sys
import numpy as np
from distsnn.comm import world
from distsnn.examples import boltzmann
training, test = (one.take(np.arange(int(n))) for one, n in zip(boltzmann.load(), sys.argv[2:4]))
learnt = boltzmann.learn(training, test, hidden=int(sys.argv[4]), passes=int(sys.argv[5]))
if world().rank == 0:
    np.savez(sys.argv[1], **vars(learnt))
"""


def some(trained: int, tested: int) -> list[digits.Digits]:
    sizes = trained, tested
    return [one.take(np.arange(n)) for one, n in zip(digits.load(), sizes, strict=True)]


def learnt(
    folder: Path, ranks: int, training: int, test: int, hidden: int, passes: int
) -> dict[str, np.ndarray]:
    """Return what is learnt on some ranks of a job of its own."""
    out = folder / f"{ranks}.npz"
    numbers = map(str, (training, test, hidden, passes))
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, "-c", PROGRAM, str(out), *numbers]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return dict(np.load(out))


def test_pixels_are_coded_by_levels() -> None:
    found = boltzmann.code([[0.1, 0.2, 0.5, 0.9, *60 * [0.0]]])
    assert found.shape == (1, boltzmann.PIXELS)
    np.testing.assert_array_equal(found.reshape(3, 64)[:, :4].sum(axis=0), [0, 1, 2, 3])
    seen = boltzmann.image(found)
    assert seen.shape == (1, 8, 8)
    np.testing.assert_allclose(seen[0, 0, :5], [0.0, 1 / 3, 2 / 3, 1.0, 0.0])


def test_neurons_are_clamped_or_free() -> None:
    free = boltzmann.biases(digits.load()[0])
    first, last = np.full(boltzmann.PIXELS, np.nan), boltzmann.PIXELS
    first[:2] = 1.0, 0.0
    found = boltzmann.currents(free, first, np.eye(10)[3])
    np.testing.assert_array_equal(found[:2], [boltzmann.CLAMP, -boltzmann.CLAMP])
    np.testing.assert_array_equal(found[2:last], free[2:last])
    on = np.flatnonzero(found[last:] == boltzmann.CLAMP)
    np.testing.assert_array_equal(on, [*range(12, 16), 40])
    np.testing.assert_array_equal(boltzmann.currents(free)[:-1], free[:-1])
    # as often as in the training set
    share = boltzmann.code(digits.load()[0].images).mean(axis=0)
    pixel = np.argmin(np.abs(share - 0.5))
    assert 1.0 / (1.0 + np.exp(-free[pixel])) == pytest.approx(share[pixel])


def test_network_has_the_same_weights_in_both_directions() -> None:
    network = boltzmann.build(hidden=6)
    assert [one.size for one in network.populations] == [boltzmann.VISIBLE, 7]
    up, fixed, down, other = network.projections
    assert (up.name, down.name) == boltzmann.PATHS
    np.testing.assert_array_equal(up.weight, down.weight.T)
    assert fixed.weight == other.weight == -boltzmann.MIDDLE
    for one in (up, down):
        assert isinstance(one.synapse, ContrastiveSTDP)
        assert one.synapse.w_max == 2.0 * boltzmann.MIDDLE
        assert one.delay == 2.0 * one.synapse.axonal_delay
    with pytest.raises(DescriptionError, match=r"boltzmann, hidden: too few; given 0; allowed: >="):
        boltzmann.build(hidden=0)


@pytest.mark.ci
def test_learns_the_same_in_both_directions_and_nothing_of_the_test_set() -> None:
    training, test = some(trained=6, tested=4)
    more = boltzmann.learn(training, test, hidden=9, passes=1)
    fewer = boltzmann.learn(training, test.take(np.arange(2)), hidden=9, passes=1)
    # where both spike in one step, one direction adds first what the other adds last
    np.testing.assert_allclose(more.up, more.down, rtol=1e-6)
    first = boltzmann.build(hidden=9).projections[0].weight
    assert np.abs(more.up - first)[:-1, :-1].max() > boltzmann.LEARNING_RATE
    np.testing.assert_array_equal(more.up, fewer.up)
    np.testing.assert_array_equal(more.counts[:2], fewer.counts)


@pytest.mark.ci
def test_learns_the_same_on_two_ranks(tmp_path: Path) -> None:
    two = learnt(tmp_path, 2, 6, 4, 9, 1)
    for name, values in vars(boltzmann.learn(*some(6, 4), hidden=9, passes=1)).items():
        np.testing.assert_array_equal(two[name], values)


@pytest.mark.ci
def test_weights_follow_what_data_and_network_differ_in() -> None:
    training, _ = some(trained=1, tested=0)
    free, pixels = boltzmann.biases(training), boltzmann.code(training.images)[0]
    with Simulation(boltzmann.build(hidden=20)) as simulation:
        synapses = simulation[boltzmann.PATHS[0]]
        before = synapses.weights
        for _ in range(2):
            boltzmann.set_phase(simulation, boltzmann.currents(free, pixels, np.eye(10)[4]), 1.0)
            boltzmann.set_phase(simulation, boltzmann.currents(np.zeros(boltzmann.VISIBLE)), -1.0)
        change = (synapses.weights - before).reshape(boltzmann.VISIBLE, -1)
    # hidden neurons are active half of the time, those clamped always or never; free ones half
    share = np.concatenate([pixels, np.repeat(np.eye(10)[4], boltzmann.COPIES)])
    rates = 1.0 / boltzmann.PERIOD**2
    step = 2.0 * boltzmann.LEARNING_RATE * 10.0 * boltzmann.SHOWN * rates
    expected = 2.0 * step * 0.5 * (share - 0.5)
    found = change[:-1, :-1].mean(axis=1)
    assert np.corrcoef(found, expected)[0, 1] > 0.9
    assert np.polyfit(expected, found, 1)[0] == pytest.approx(1.0, abs=0.25)


def test_picture_has_a_row_for_each_way_of_imagining(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `analysis`")
    from matplotlib.image import imread

    boltzmann.draw(np.linspace(0.0, 1.1, 4 * 10 * 64).reshape(4, 10, 8, 8), str(tmp_path / "a.png"))
    assert imread(tmp_path / "a.png").shape[:2] == (4 * 9 * 6, 10 * 9 * 6)


@pytest.mark.validation
@pytest.mark.timeout(600)
def test_digits_are_classified_and_recognised_again() -> None:
    found = boltzmann.learn(*digits.load())
    # chance is 0.1
    assert found.accuracy >= 0.85
    np.testing.assert_allclose(found.up, found.down, atol=1e-5)
    shown, again, completed, imagined = found.images.reshape(4, 10, 64)

    def alike(images: np.ndarray) -> np.ndarray:
        """Return correlations of images with each digit that was shown, shape (10, 10)."""
        return np.corrcoef(images, shown)[:10, 10:]

    assert alike(again).diagonal().mean() > 0.8
    for images in (again, completed):
        assert (alike(images).argmax(axis=1) == np.arange(10)).sum() >= 8
    # what a class looks like to the network is like digits of that class
    training = digits.load()[0]
    means = [training.images[training.classes == one].mean(axis=0) for one in range(10)]
    assert (np.corrcoef(imagined, means)[:10, 10:].argmax(axis=1) == np.arange(10)).sum() >= 7
