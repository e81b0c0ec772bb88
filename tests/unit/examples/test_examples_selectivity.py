"""BCM's neurons prefer one orientation, Oja's find the principal component: as theory says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distsnn.comm import mpiexec_path
from distsnn.errors import DescriptionError
from distsnn.examples import selectivity

PROGRAM = """
import sys
import numpy as np
from distsnn.comm import world
from distsnn.examples import selectivity
learnt = selectivity.learn("bcm", time=60_000.0)
if world().rank == 0:
    np.savez(sys.argv[1], weights=learnt.weights, rates=learnt.rates)
"""


def learnt(folder: Path, ranks: int) -> dict[str, np.ndarray]:
    """Return what is learnt on some ranks of a job of its own."""
    out = folder / f"{ranks}.npz"
    command = [mpiexec_path(), "-n", str(ranks), sys.executable, "-c", PROGRAM, str(out)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return dict(np.load(out))


def test_patterns_are_two_bumps_of_the_same_size() -> None:
    first, second = selectivity.patterns()
    assert first.shape == (36,) and first[0] == second[18] == selectivity.HIGHEST
    np.testing.assert_allclose(np.roll(first, 18), second)
    # hardly any overlap
    assert first @ second < 0.02 * (first @ first)


def test_known_results() -> None:
    np.testing.assert_allclose(selectivity.theoretical_response(0.25), [80.0, 80.0 / 3.0])
    expected = selectivity.principal(0.5)
    seen = selectivity.patterns()
    # the sum of both patterns, as long as the rule says
    total = seen.sum(axis=0)
    cosine = selectivity.alignment(expected[:, np.newaxis], total)
    np.testing.assert_allclose(cosine, 1.0)
    assert expected @ expected == pytest.approx(selectivity.THRESHOLD / selectivity.ALPHA)
    # what comes more often counts more
    ratio = seen @ selectivity.principal(0.8)
    assert ratio[0] > 3.0 * ratio[1]


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(DescriptionError, match=r"selectivity.*'ojo'.*did you mean 'oja'"):
        selectivity.build("ojo")
    with pytest.raises(DescriptionError, match=r"selectivity, neurons: too few; given 0"):
        selectivity.build("oja", 0)


@pytest.mark.ci
def test_neurons_become_selective_by_bcm_and_do_not_by_oja() -> None:
    bcm, oja = (selectivity.learn(rule, time=300_000.0) for rule in ("bcm", "oja"))
    assert bcm.selectivity.mean() > 0.75
    theory = selectivity.theoretical_response(0.5)
    for responses, expected in zip(selectivity.preferred_rates(bcm), theory, strict=True):
        assert responses.size >= 3
        assert responses.mean() == pytest.approx(expected, rel=0.2)
    assert oja.selectivity.mean() < 0.25
    expected = selectivity.principal(0.5)
    assert selectivity.alignment(oja.first, expected).mean() < 0.9
    assert selectivity.alignment(oja.weights, expected).mean() > 0.98
    length = np.linalg.norm(oja.weights, axis=0).mean()
    assert length == pytest.approx(np.linalg.norm(expected), rel=0.08)


@pytest.mark.ci
def test_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `analysis`")
    bcm, oja = (selectivity.learn(rule, time=400.0, neurons=3) for rule in ("bcm", "oja"))
    selectivity.draw(bcm, oja, 0.5, str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.validation
@pytest.mark.parametrize("probability", [0.5, 0.7])
def test_answers_and_weights_are_those_of_theory(probability: float) -> None:
    # over three seeds of 20 neurons
    bcm, oja = (
        [selectivity.learn(rule, probability=probability, seed=seed) for seed in (1, 2, 3)]
        for rule in ("bcm", "oja")
    )
    chosen = np.concatenate([one.selectivity for one in bcm])
    assert chosen.mean() > 0.9 and chosen.min() > 0.5
    groups = zip(*map(selectivity.preferred_rates, bcm), strict=True)
    theory = selectivity.theoretical_response(probability)
    for responses, expected in zip(groups, theory, strict=True):
        rates = np.concatenate(responses)
        assert rates.size >= 5
        assert rates.mean() == pytest.approx(expected, rel=0.1)
    expected = selectivity.principal(probability)
    weights = np.hstack([one.weights for one in oja])
    cosine = selectivity.alignment(weights, expected)
    assert cosine.mean() > 0.985 and cosine.min() > 0.95
    length = np.linalg.norm(weights, axis=0).mean()
    assert length == pytest.approx(np.linalg.norm(expected), rel=0.05)


@pytest.mark.validation
def test_learns_the_same_on_two_ranks(tmp_path: Path) -> None:
    one, two = (learnt(tmp_path, ranks) for ranks in (1, 2))
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])
    assert np.unique(one["weights"]).size > 500
