"""How many parts a step is integrated in, chosen from dt and a model's parameters."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    AeifCondExp,
    AeifPscDeltaClopath,
    AeifPscExp,
    HhCondExpTraub,
    IafCondAlpha,
    IafCondExp,
    IafPscExp,
    Network,
    Normal,
    Population,
    PpCondExpMcUrbanczik,
    SubsteppedNeuron,
)

CHOSEN = {
    # by dt: 0.05, 0.1, 0.2, 0.5, 1.0
    AeifCondExp: [1, 2, 4, 13, 26],
    AeifPscExp: [1, 2, 4, 13, 26],
    AeifPscDeltaClopath: [1, 2, 4, 13, 26],
    HhCondExpTraub: [2, 3, 8, 19, 38],
    IafCondExp: [1, 2, 3, 8, 15],
    IafCondAlpha: [1, 1, 1, 3, 7],
    PpCondExpMcUrbanczik: [1, 1, 2, 7, 13],
}
# Destexhe (2009), J Comput Neurosci 27:493
CORTICAL = AeifCondExp(C_m=200.0, g_L=10.0, tau_syn_ex=5.0, tau_syn_in=5.0)


@pytest.mark.parametrize("model", CHOSEN, ids=lambda one: one.__name__)
def test_parts_follow_from_dt_and_parameters(model: type[SubsteppedNeuron]) -> None:
    assert [model().parts(dt) for dt in (0.05, 0.1, 0.2, 0.5, 1.0)] == CHOSEN[model]
    assert model(substeps=7).parts(0.1) == 7


def test_ordinary_neurons_take_one_part_of_a_tenth_of_a_ms() -> None:
    assert CORTICAL.parts(0.1) == IafCondExp(tau_syn_ex=5.0, tau_syn_in=10.0).parts(0.1) == 1
    assert IafPscExp().parts(1.0) == 1


def test_the_worst_neuron_counts() -> None:
    taus = np.array([5.0, 0.4, 3.0])
    assert IafCondExp(tau_syn_ex=taus).parts(1.0) == IafCondExp(tau_syn_ex=0.4).parts(1.0) == 8
    # neuron by neuron: 200/10 and 400/20 have the same time constant
    both = AeifCondExp(
        C_m=np.array([200.0, 400.0]), g_L=np.array([10.0, 20.0]), tau_syn_ex=5.0, tau_syn_in=5.0
    )
    assert both.parts(0.1) == 1
    # 3.1 standard deviations below the mean: 3.8 ms
    assert IafCondAlpha(tau_syn_ex=Normal(5.0, 0.4), tau_syn_in=9.0).parts(5.0) == 2
    assert AeifCondExp(g_L=0.0, tau_syn_ex=5.0, tau_syn_in=5.0).parts(0.1) == 1


@pytest.mark.parametrize("substeps", [0, 10_001, 1.5, "auto"])
def test_what_is_no_number_of_parts_is_refused(substeps: object) -> None:
    with pytest.raises(DescriptionError, match=r"field substeps: .*10000"):
        AeifCondExp(substeps=substeps)


def test_stored_networks_choose_the_same() -> None:
    network = Network([Population("A", 3, CORTICAL), Population("B", 3, AeifCondExp(substeps=5))])
    data, arrays = network.to_dict()
    again = Network.from_dict(data, arrays)
    assert again == network
    assert [one.model.substeps for one in again.populations] == [None, 5]


def test_many_parts_are_kept_in_float64() -> None:
    def kept(substeps: int | None, precision: str = "float32", dt: float = 0.1) -> str:
        model = AeifCondExp(substeps=substeps)
        return Population("A", 3, model, precision=precision).state_type(dt)

    assert [kept(n) for n in (None, 1, 4, 5, 1000)] == [*["float32"] * 3, *["float64"] * 2]
    assert kept(None, dt=1.0) == kept(1, "float64") == "float64"


@pytest.mark.parametrize(
    ("model", "dt", "expected"),
    [
        (IafCondExp(), 0.1, ""),
        (IafCondExp(), 0.5, "iaf_cond_exp finds spikes .* dt=0.5 ms .* use dt <= 0.2 ms"),
        (HhCondExpTraub(), 0.5, "use dt <= 0.2 ms"),
        (AeifCondExp(), 1.0, ""),
        (PpCondExpMcUrbanczik(phi_max=0.0), 0.7, ""),
        (PpCondExpMcUrbanczik(), 0.4, "use dt <= 0.386667 ms"),
        (PpCondExpMcUrbanczik(tau_syn_in_p=0.8), 0.3, "use dt <= 0.2 ms"),
        (AeifCondExp(tau_syn_ex=1e-5), 0.1, "parts of at most 2.5e-06 ms .*10,000 substeps"),
    ],
)
def test_steps_too_long_are_a_concern(model: SubsteppedNeuron, dt: float, expected: str) -> None:
    concern = model.concern(dt)
    assert bool(concern) == bool(expected)
    if expected:
        with pytest.raises(ValueError, match=expected):
            raise ValueError(concern)
