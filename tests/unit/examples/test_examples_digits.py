"""Digits are told apart without a teacher: the network, what it learns, and on how many ranks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import mpiexec_path
from distsnn.errors import DescriptionError
from distsnn.examples import digits
from distsnn.network import AllToAll, DiehlCookSTDP, PoissonInput

pytest.importorskip("sklearn", reason="digits come with the extra `examples`")

PROGRAM = """
import sys
import numpy as np
from distsnn.comm import world
from distsnn.examples import digits
training, test = (one.take(np.arange(n)) for one, n in zip(digits.load(), (60, 30)))
learnt = digits.learn(training, test, passes=1)
if world().rank == 0:
    np.savez(sys.argv[1], accuracy=learnt.accuracy, weights=learnt.weights,
             thresholds=learnt.thresholds, responses=learnt.responses)
"""


def test_network_is_that_of_the_paper() -> None:
    network = digits.build(neurons=30, images=np.ones((3, 64)))
    assert [one.size for one in network.populations] == [64, 30]
    learning, competing = network.projections
    assert isinstance(learning.synapse, DiehlCookSTDP)
    assert learning.rule == AllToAll() and competing.rule == AllToAll(autapses=False)
    assert competing.weight == digits.INHIBITION < 0.0
    (pixels,) = network.stimuli
    assert isinstance(pixels, PoissonInput) and pixels.max_rate() == digits.HIGHEST


def test_test_set_is_no_part_of_the_training_set() -> None:
    training, test = digits.load()
    assert (training.classes.size, test.classes.size) == (1197, 600)
    seen = {image.tobytes() for image in training.images}
    assert not any(image.tobytes() in seen for image in test.images)
    sums = np.concatenate([training.images, test.images]).sum(axis=1)
    np.testing.assert_allclose(sums, sums[0])


@pytest.mark.ci
def test_nothing_changes_while_the_test_set_is_presented() -> None:
    training, test = (one.take(np.arange(20)) for one in digits.load())
    some = digits.learn(training, test.take(np.arange(2)), neurons=12, passes=1)
    more = digits.learn(training, test, neurons=12, passes=1)
    np.testing.assert_array_equal(some.weights, more.weights)
    np.testing.assert_array_equal(some.thresholds, more.thresholds)
    np.testing.assert_array_equal(some.responses, more.responses[:22])
    assert more.responses[22:].any()


@pytest.mark.ci
def test_learns_the_same_on_two_ranks(tmp_path: Path) -> None:
    found = []
    for ranks in (1, 2):
        out = tmp_path / f"{ranks}.npz"
        command = [mpiexec_path(), "-n", str(ranks), sys.executable, "-c", PROGRAM, str(out)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        found.append(dict(np.load(out)))
    one, two = found
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])
    assert np.unique(one["weights"]).size > 1000 and one["responses"].any()


@pytest.mark.validation
def test_nine_of_ten_digits_are_classified_correctly() -> None:
    for seed in (1, 2, 3):
        assert digits.learn(*digits.load(), seed=seed).accuracy >= 0.85


def test_picture_has_a_tile_for_each_neuron(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `analysis`")
    training, test = (one.take(np.arange(10)) for one in digits.load())
    digits.draw(digits.learn(training, test, neurons=21, passes=1), str(tmp_path / "digits.png"))
    from matplotlib.image import imread

    assert imread(tmp_path / "digits.png").shape[:2] == (2 * 9 * 4, 20 * 9 * 4)


def test_digits_with_one_neuron_are_refused() -> None:
    with pytest.raises(DescriptionError, match=r"digits, neurons: too few; given 1; allowed: >= 2"):
        digits.build(neurons=1)
