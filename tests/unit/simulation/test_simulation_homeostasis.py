"""Weights scaled while a network runs, against a script that normalises, formulas, and a goal."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from recorded import assert_same, recorded, state_digest
from test_simulation_normalise import TOTALS, expected
from test_simulation_plastic import E, S

from distsnn.errors import DescriptionError
from distsnn.network import (
    STDP,
    DopamineSTDP,
    FixedIndegree,
    Homeostasis,
    IafPscExp,
    Network,
    NormaliseWeights,
    PoissonInput,
    PoissonNeuron,
    Population,
    Projection,
    RecordSpikes,
    RecordWeights,
    SynapticScaling,
    Uniform,
)
from distsnn.simulation import Simulation


def network(*homeostasis: Homeostasis, rate: float = 0.01, interval: float = 2.5) -> Network:
    """Return two projections onto the same 100 cells, and an inhibitory one."""
    kept = {"learning_rate": rate, "precision": "float64"}
    return Network(
        [S, E],
        [
            Projection(
                *(E, E[:100], FixedIndegree(9), Uniform(0.0, 40.0), 1.5),
                synapse=STDP(w_max=50.0, **kept),
                name="E->E",
            ),
            Projection(
                *(S, E[:100], FixedIndegree(5), Uniform(0.0, 40.0), Uniform(0.5, 2.0)),
                synapse=STDP(w_max=70.0, **kept),
                name="S->E",
            ),
            Projection(
                *(S, E, FixedIndegree(7), Uniform(-30.0, -1.0), 1.0),
                synapse=STDP(w_max=-40.0),
                name="in",
            ),
        ],
        [PoissonInput(E, 9000.0, 55.0)],
        [RecordSpikes(E), RecordWeights("E->E", interval), RecordWeights("S->E", interval)],
        homeostasis=homeostasis,
    )


def stored(path: Path, one: Network, ms: float = 40.0) -> dict[str, npt.NDArray[np.generic]]:
    with Simulation(one, out=path) as simulation:
        simulation.run(ms)
    return recorded(path)


def test_weights_are_those_of_a_script_that_normalises(tmp_path: Path) -> None:
    found = stored(tmp_path / "run.zarr", network(NormaliseWeights("E->E", 10.0, TOTALS)))
    with Simulation(network(), out=tmp_path / "script.zarr") as simulation:
        synapses, rows = simulation["E->E"], []
        for _ in range(4):
            simulation.run(10.0)
            synapses.normalise(TOTALS)
            rows.append(synapses.weights)
    script = recorded(tmp_path / "script.zarr")
    np.testing.assert_array_equal(found["weights of E->E weight"][3::4], rows)
    np.testing.assert_array_equal(found["spikes gid"], script["spikes gid"])
    # rows in between too; the script's were recorded before it normalised
    between = np.arange(16) % 4 != 3
    for name in ("E->E", "S->E"):
        both = (one[f"weights of {name} weight"][between] for one in (found, script))
        np.testing.assert_array_equal(*both)


def test_projections_are_summed_together_and_a_share_of_the_way_is_gone(tmp_path: Path) -> None:
    one = NormaliseWeights(["E->E", "S->E"], 5.0, 400.0, fraction=0.25)
    found = stored(tmp_path / "run.zarr", network(one, rate=0.0, interval=5.0), 10.0)
    names = ("E->E", "S->E")
    targets = [found[f"weights of {name} targets"].astype(int) - S.size for name in names]
    rows = [found[f"weights of {name} weight"] for name in names]
    sums = sum(np.bincount(at, weights=row[0]) for at, row in zip(targets, rows, strict=True))
    factors = 1.0 + 0.25 * (400.0 / sums - 1.0)
    for at, row, most in zip(targets, rows, (50.0, 70.0), strict=True):
        np.testing.assert_allclose(row[1], np.minimum(row[0] * factors[at], most), rtol=1e-12)
    assert np.ptp(factors) > 0.1


def test_weights_follow_the_activity_of_their_neurons(tmp_path: Path) -> None:
    goals, beta, tau = np.linspace(0.0, 60.0, 100), 0.2, 30.0
    one = SynapticScaling(["E->E", "S->E"], 5.0, goals, beta=beta, tau=tau)
    found = stored(tmp_path / "run.zarr", network(one, rate=0.0, interval=5.0), 60.0)
    step, gid = found["spikes step"].astype(float), found["spikes gid"].astype(int) - S.size
    for name, most in (("E->E", 50.0), ("S->E", 70.0)):
        weights = found[f"weights of {name} weight"]
        at = found[f"weights of {name} targets"].astype(int) - S.size
        for row in range(1, 12):
            now = 50.0 * (row + 1)  # steps
            past = (step <= now) & (gid < 100)
            decayed = 1e3 / tau * np.exp((step[past] - now) * 0.1 / tau)
            activity = np.bincount(gid[past], weights=decayed, minlength=100)
            activity += goals * np.exp(-now * 0.1 / tau)
            factors = np.exp(beta * 0.005 * (goals - activity))
            wanted = np.minimum(weights[row - 1] * factors[at], most)
            np.testing.assert_allclose(weights[row], wanted, rtol=1e-12)
    assert step.size > 300


def test_neurons_reach_the_target_rate() -> None:
    sources = Population("P", 64, PoissonNeuron(rate=30.0))
    cells = Population("C", 64, IafPscExp(I_e=Uniform(180.0, 360.0)))
    goals = np.linspace(5.0, 25.0, 64)

    def rates(*homeostasis: Homeostasis) -> npt.NDArray[np.float64]:
        rule = STDP(w_max=900.0, learning_rate=0.0)
        one = Network(
            [sources, cells],
            [Projection(sources, cells, FixedIndegree(40), 60.0, 1.5, synapse=rule)],
            homeostasis=homeostasis,
        )
        with Simulation(one) as simulation:
            simulation.run(15_000.0)
            simulation.run(5_000.0)
            return simulation["C"].spike_counts() / 5.0

    without = rates()
    found = rates(SynapticScaling("P->C", 100.0, goals, beta=0.1, tau=1000.0))
    assert np.abs(without / goals - 1.0).mean() > 0.5
    assert np.abs(found / goals - 1.0).mean() < 0.2


def test_run_given_up_and_resumed_scales_the_same(tmp_path: Path) -> None:
    homeostasis = [
        SynapticScaling(["E->E", "S->E"], 7.5, 20.0, beta=0.5, tau=20.0),
        NormaliseWeights("in", 5.0, -60.0),
    ]
    one = network(*homeostasis)
    whole = stored(tmp_path / "whole.zarr", one)
    path = tmp_path / "resumed.zarr"
    simulation = Simulation(one, out=path)
    simulation.run(15.0)  # when it is due
    simulation.save()
    simulation.run(3.3)
    simulation.save()
    simulation.run(9.0)
    simulation._stop(RuntimeError("given up"))
    with Simulation.restore(path, out=path) as simulation:
        simulation.run(40.0 - simulation.time_ms)
        simulation.save(tmp_path / "end.zarr")
    assert_same(whole, recorded(path))
    with Simulation(one) as simulation:
        for piece in (0.1, 14.8, 0.1, 0.1, 24.9):
            simulation.run(piece)
        simulation.save(tmp_path / "pieces.zarr")
    ends = [tmp_path / f"{name}.zarr" for name in ("end", "pieces")]
    digests = {state_digest(end) for end in ends}
    assert len(digests) == 1


def test_what_does_not_learn_stays_as_it_is() -> None:
    with Simulation(network(NormaliseWeights(["E->E", "S->E"], 1.0, 400.0))) as simulation:
        simulation["E->E"].learning = False
        both = [simulation[name] for name in ("E->E", "S->E")]
        before = [synapses.weights for synapses in both]
        simulation.run(1.0)
        after = [synapses.weights for synapses in both]
        np.testing.assert_array_equal(after[0], before[0])
        targets = [one.targets - S.size for one in both]
        sums = sum(np.bincount(at, weights=w) for at, w in zip(targets, before, strict=True))
        want = np.minimum(before[1] * (400.0 / sums)[targets[1]], 70.0)
        assert (np.abs(after[1] / want - 1.0) < 0.05).all()  # it learnt in that millisecond


@pytest.mark.ci
def test_single_precision_and_eligibility_are_scaled_as_by_the_script() -> None:
    def network(*homeostasis: Homeostasis) -> Network:
        rule = DopamineSTDP(modulator="S", A_plus=0.1, A_minus=0.1, w_max=Uniform(40.0, 60.0))
        one = Projection(E, E[:100], FixedIndegree(9), Uniform(0.0, 40.0), 1.5, synapse=rule)
        return Network([S, E], [one], [PoissonInput(E, 9000.0, 55.0)], homeostasis=homeostasis)

    with Simulation(network(NormaliseWeights("E->E[0:100]", 10.0, TOTALS))) as simulation:
        simulation.run(30.0)
        found = simulation["E->E[0:100]"].weights
    with Simulation(network()) as simulation:
        for _ in range(3):
            simulation.run(10.0)
            simulation["E->E[0:100]"].normalise(TOTALS)
        np.testing.assert_array_equal(found, simulation["E->E[0:100]"].weights)
    assert expected(found, np.zeros(found.size, int), 1.0, 1.0).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NormaliseWeights("E->A", 1.0, 5.0), "unknown projection 'E->A'; allowed"),
        (lambda: NormaliseWeights([], 1.0, 5.0), "must be names of projections"),
        (lambda: NormaliseWeights([3], 1.0, 5.0), "must be a projection's name; given 3"),
        (lambda: NormaliseWeights(["E->E"] * 2, 1.0, 5.0), "projection named twice"),
        (lambda: NormaliseWeights(["S->E", "in"], 1.0, 5.0), "different targets or signs"),
        (lambda: NormaliseWeights("in", 1.0, 5.0), "field total: out of range; given 5.0"),
        (lambda: NormaliseWeights("E->E", 1.0, [5.0]), "field total: array of the wrong shape"),
        (lambda: NormaliseWeights("E->E", 0.07, 5.0), "field interval"),
        (lambda: NormaliseWeights("E->E", 1.0, 5.0, fraction=0.0), "field fraction: out of range"),
        (lambda: NormaliseWeights("E->E", 1.0, Uniform(1.0, 2.0)), "a number or an array"),
        (lambda: SynapticScaling("E->E", 1.0, -1.0, 0.1, 10.0), "field rate: out of range"),
        (lambda: SynapticScaling("E->E", 1.0, 1.0, -0.1, 10.0), "field beta: out of range"),
        (lambda: SynapticScaling("E->E", 1.0, 1.0, 0.1, 0.0), "field tau: out of range"),
        (lambda: RecordSpikes(E), "does not belong among homeostasis"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        network(make())  # type: ignore[operator]
    assert message in str(caught.value)


def test_two_of_a_name_and_static_projections_are_refused() -> None:
    with pytest.raises(DescriptionError, match="duplicate name of a homeostasis"):
        network(NormaliseWeights("E->E", 1.0, 5.0), NormaliseWeights("E->E", 2.0, 5.0))
    static = Projection(S, E, FixedIndegree(3), 50.0, 1.0, name="static")
    with pytest.raises(DescriptionError, match="projection 'static' is not plastic"):
        Network([S, E], [static], homeostasis=[NormaliseWeights(static, 1.0, 5.0)])


def test_stored_with_their_network() -> None:
    one = network(
        NormaliseWeights("E->E", 1.0, TOTALS, fraction=0.5),
        SynapticScaling(["S->E"], 1.0, 3.0, beta=0.1, tau=9.0, name="slow"),
    )
    again = Network.from_dict(*one.to_dict())
    assert again == one
    assert [made.name for made in again.homeostasis] == ["E->E", "slow"]
