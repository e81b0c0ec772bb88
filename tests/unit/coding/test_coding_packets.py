"""Pulse packets: their law, their keys, and what is refused."""

import numpy as np
import pytest
from chance import LEAST_P
from scipy import stats

from distsnn.coding import pulse_packets
from distsnn.errors import DescriptionError
from distsnn.network import IafPscExp, Network, Population, PopulationView

E = Population("E", 200, IafPscExp())


def test_spikes_are_normal_around_the_centres_on_the_grid() -> None:
    made = pulse_packets(E[50:], [20.0, 60.0], 30, 2.0, 40.0, dt=0.1, seed=3, name="packets")
    assert (made.name, made.weight, made.target) == ("packets", 40.0, E[50:])
    assert made.times.size == 150 * 2 * 30
    first = made.times < 40.0
    for centre, chosen in ((20.0, first), (60.0, ~first)):
        # every neuron has all spikes of a packet
        assert np.all(np.bincount(made.neurons[chosen], minlength=150) == 30)
        steps = np.rint(made.times[chosen] / 0.1)
        jittered = 0.1 * (steps + np.random.default_rng(1).uniform(-0.5, 0.5, steps.size))
        assert stats.kstest(jittered, stats.norm(centre, 2.0).cdf).pvalue > LEAST_P
    Network([E], [], [made])  # all times are on its grid


def test_draws_belong_to_seed_neuron_and_packet() -> None:
    def of(neuron: int, made: object, below: float = 40.0) -> list[float]:
        return made.times[(made.neurons == neuron) & (made.times < below)].tolist()

    both = pulse_packets(E, [20.0, 60.0], 9, 2.0, 1.0)
    single = pulse_packets(E[:50], 20.0, 9, 2.0, 1.0)
    assert of(7, both) == of(7, single) != of(8, single)
    assert of(7, pulse_packets(E, 20.0, 9, 2.0, 1.0, seed=2)) != of(7, single)
    assert set(pulse_packets(E, 20.0, 9, 0.0, 1.0).times.tolist()) == {20.0}


def test_spikes_before_the_first_step_are_left_out() -> None:
    made = pulse_packets(E, [0.0], 40, 1.0, 1.0)
    assert made.times.min() == pytest.approx(0.1)
    assert 0.4 < made.times.size / (200 * 40) < 0.5
    assert pulse_packets(E, [], 4, 1.0, 1.0).times.size == 0


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"target": "E"}, "target: its size is unknown.*a Population or a part of it"),
        ({"target": PopulationView("E", 0)}, "target: its size is unknown"),
        ({"activity": -1}, "activity: out of range"),
        ({"activity": 1.5}, "activity: must be an integer"),
        ({"sd": -0.1}, "sd: out of range; given -0.1; allowed: >= 0"),
        ({"sd": np.inf}, "sd: .*finite"),
        ({"dt": 0.0}, "dt: out of range"),
        ({"seed": -1}, "seed: out of range"),
        ({"times": [np.nan]}, r"times\[0\].*finite"),
    ],
)
def test_what_is_refused(change: dict, what: str) -> None:
    given = {"target": E, "times": [5.0], "activity": 3, "sd": 1.0, "weight": 1.0} | change
    with pytest.raises(DescriptionError, match=what):
        pulse_packets(**given)
