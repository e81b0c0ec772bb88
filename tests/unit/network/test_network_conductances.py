"""Conductances: the sign of a weight picks one, and a named one refuses the other sign."""

import numpy as np
import pytest

from distsnn.errors import DescriptionError
from distsnn.network import (
    ExplicitFile,
    IafCondExp,
    Network,
    Normal,
    OneToOne,
    PoissonInput,
    Population,
    Projection,
    SpikeInput,
)
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.quanta import choose_quanta
from distsnn.network.scale_requirements import EdgeFileSummary


def conductances(*, weight, receptor=None):
    cells = Population("C", 3, IafCondExp())
    return cells, Projection(cells, cells, OneToOne(), weight=weight, delay=1.0, receptor=receptor)


@pytest.mark.parametrize(
    ("weight", "receptor"),
    [(2.0, None), (-2.0, None), (Normal(1.0, 9.0), None), (2.0, "ex"), (-2.0, "in"), (0.0, "in")],
)
def test_conductances_take_weights_of_either_sign(weight, receptor):
    cells, one = conductances(weight=weight, receptor=receptor)
    assert Network([cells], [one]).projections[0].weight == one.weight


@pytest.mark.parametrize(
    ("weight", "receptor", "allowed"),
    [
        (2.0, "in", "<= 0"),
        (-2.0, "ex", ">= 0"),
        ([1.0, -1.0, 2.0], "ex", ">= 0"),
        (Normal(9.0, 2.0), "ex", ">= 0"),
    ],
)
def test_a_named_conductance_refuses_the_others_sign(weight, receptor, allowed):
    cells, one = conductances(weight=weight, receptor=receptor)
    with pytest.raises(DescriptionError, match=rf"field weight.*allowed: {allowed}"):
        Network([cells], [one])
    if isinstance(weight, float):
        for stimulus in (
            PoissonInput(cells, 10.0, weight, receptor),
            SpikeInput(cells, [1.0], [0], weight, receptor),
        ):
            with pytest.raises(DescriptionError, match=rf"field weight.*allowed: {allowed}"):
                Network([cells], [], [stimulus])


def test_a_named_conductance_refuses_the_others_sign_in_a_file(tmp_path):
    path = str(tmp_path / "e.npz")
    np.savez(path, sources=[0, 1], targets=[1, 1], w=[-3.0, 1.0])
    cells = Population("C", 3, IafCondExp())
    one = Projection(cells, cells, ExplicitFile(path, weights="w"), delay=1.0, receptor="in")
    network = Network([cells], [one])
    assert choose_quanta(
        network, {0: EdgeFileSummary(2, -3.0, 0.0, GivenMagnitudes.of([-3.0, 0.0]))}
    )
    with pytest.raises(DescriptionError, match=r"projection 'C->C', field weight.*<= 0"):
        choose_quanta(network, {0: EdgeFileSummary(2, -3.0, 1.0, GivenMagnitudes.of([-3.0, 1.0]))})
