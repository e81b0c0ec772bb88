"""Weights recorded while a network runs: which, when, and that nothing else changes."""

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from own_rules import TAGGED
from recorded import assert_same, recorded
from rewarded import Rewarded
from test_simulation_plastic import GIVEN, PAIRS, E, S
from thread_ranks import run as run_ranks

from distsnn.analysis import open_run
from distsnn.codegen.plasticity import rule_kernel
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError
from distsnn.io.reader import StoreReader
from distsnn.network import (
    BCM,
    STDP,
    ContrastiveSTDP,
    DiehlCookSTDP,
    DopamineSTDP,
    FixedIndegree,
    IafPscDelta,
    Network,
    Oja,
    PlasticSynapse,
    PoissonInput,
    Population,
    Projection,
    Recording,
    RecordSpikes,
    RecordWeights,
    STDPPowerLaw,
    TripletSTDP,
    Uniform,
    VogelsSTDP,
)
from distsnn.simulation import RunPolicy, Simulation

MS = 60.0


def network(*recordings: Recording) -> Network:
    """Return sources onto cells, and cells onto each other, with rules that keep states or none."""
    return Network(
        [S, E],
        [
            Projection(
                *(S, E, PAIRS, GIVEN, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]), synapse=STDP(w_max=-90.0)
            ),
            Projection(E, E, FixedIndegree(9), 30.0, Uniform(1.0, 3.0), synapse=STDP(alpha=0.5)),
            Projection(
                *(E[:90], E, FixedIndegree(4), 30.0, Uniform(2.0, 4.0)),
                synapse=Rewarded(modulator="S", modulation_delay=8.3, tau_n=5.0, axonal_delay=1.0),
                name="rewarded",
            ),
        ],
        [PoissonInput(E, 9000.0, 55.0)],
        [RecordSpikes(E), *recordings],
    )


WHOLE = network(
    RecordWeights("S->E", 0.1),
    RecordWeights("E->E", 3.7),
    RecordWeights("rewarded", 2.5, ["c", "weight"], name="both"),
)


def stored(path: Path, one: Network, pieces: tuple[float, ...] = (MS,)) -> dict[str, np.ndarray]:
    with Simulation(one, out=path) as simulation:
        for piece in pieces:
            simulation.run(piece)
    return recorded(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "whole.zarr"
    stored(path, WHOLE)
    return path


def test_rows_are_what_the_script_reads_at_their_steps(whole: Path) -> None:
    run = open_run(whole)
    assert run.weight_names == ["S->E", "E->E", "both"]
    with Simulation(network()) as simulation:
        before = 0.0
        for row, time in enumerate(run.weights("E->E")["time"].values):
            simulation.run(round(10.0 * (time - before)) * 0.1)
            before = time
            np.testing.assert_array_equal(
                run.weights("E->E")["weight"].values[row], simulation["E->E"].weights
            )
        simulation.run(round(10.0 * (MS - before)) * 0.1)
        for name, recording in (("S->E", "S->E"), ("rewarded", "both")):
            found, read = run.weights(recording), simulation[name]
            np.testing.assert_array_equal(found["weight"].values[-1], read.weights)
            np.testing.assert_array_equal(found["source"], read.sources)
            np.testing.assert_array_equal(found["target"], read.targets)
            np.testing.assert_allclose(found["delay"], read.delays)
    sizes = [dict(run.weights(name).sizes) for name in run.weight_names]
    assert sizes == [
        *({"time": 600, "synapse": 6}, {"time": 16, "synapse": 1260}, {"time": 24, "synapse": 560})
    ]
    both = run.weights("both")
    assert isinstance(both["weight"].data, da.Array)
    assert both["weight"].attrs == {"units": "pA", "long_name": "weight"}
    assert both["c"].attrs == {"units": "pA", "long_name": "eligibility"}
    assert both.attrs == {"projection": "rewarded", "recording": "both"}
    assert (run.weights("S->E")["weight"] < 0.0).all()
    changed = np.ptp(both["weight"].values, axis=0)
    assert (changed > 0.0).mean() > 0.5
    with pytest.raises(DescriptionError, match="did you mean 'both'"):
        run.weights("botch")


def test_recording_changes_nothing_with_several_run_calls(whole: Path, tmp_path: Path) -> None:
    bare = stored(tmp_path / "bare.zarr", network())
    pieces = stored(tmp_path / "pieces.zarr", WHOLE, (0.1, 7.4, 0.1, 22.3, 30.1))
    assert_same(recorded(whole), pieces)
    assert_same(bare, {name: pieces[name] for name in bare})
    assert bare["spikes gid"].size > 300


def test_run_given_up_and_resumed_has_every_row_once(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "resumed.zarr"
    simulation = Simulation(WHOLE, out=path)
    simulation.run(25.0)  # a step that is recorded
    simulation.save()
    simulation.run(12.5)
    simulation._stop(RuntimeError("given up"))
    with Simulation.restore(path, out=path) as simulation:
        simulation.run(MS - 25.0)
    assert len(StoreReader(path).attempts) == 2
    assert_same(recorded(whole), recorded(path))


CHOICES = [
    RecordWeights("E->E", 5.0, synapses=100, name="first"),
    RecordWeights("E->E", 5.0, synapses=slice(3, 900, 7), name="slice"),
    RecordWeights("E->E", 5.0, synapses=slice(1000, None), name="last"),
    RecordWeights("E->E", 5.0, sources=E[10:30], targets=E[100:], name="part"),
    RecordWeights("E->E", 5.0, synapses=slice(2, 8, 2), targets=E[100:], name="of a part"),
    RecordWeights("rewarded", 5.0, synapses=5, sources=E[85:], name="few sources"),
    RecordWeights("S->E", 5.0, targets=E[2:4], name="none"),
    RecordWeights("S->E", 5.0, synapses=slice(1, 99), name="all but one"),
]


def expected(one: RecordWeights, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    chosen = np.ones(source.size, np.bool_)
    for view, gid, first in ((one.sources, source, 70), (one.targets, target, 70)):
        if view is not None:
            chosen &= (gid >= first + view.start) & (gid < first + view.stop)
    wanted = one.synapses
    return np.flatnonzero(chosen)[wanted.start : wanted.stop : wanted.step]


def test_chosen_synapses_are_those_of_all(tmp_path: Path) -> None:
    every = [RecordWeights(name, 5.0) for name in ("E->E", "rewarded", "S->E")]
    found = stored(tmp_path / "chosen.zarr", network(*every, *CHOICES))
    for one in CHOICES:
        of = [found[f"weights of {one.projection} {name}"] for name in ("sources", "targets")]
        which = expected(one, *of)
        assert (which.size == 0) == (one.name == "none")
        for name in ("sources", "targets", "delays", "weight"):
            np.testing.assert_array_equal(
                found[f"weights of {one.name} {name}"],
                found[f"weights of {one.projection} {name}"][..., which],
            )


def _probed(ranks: Communicator) -> list[tuple[int, np.ndarray, np.ndarray]]:
    policy = RunPolicy(heartbeat_timeout=np.inf)
    with Simulation(network(*CHOICES), communicator=ranks, policy=policy) as simulation:
        probes = simulation._engine.weight_probes
        return [(one.total, one.sources, one.targets) for one in probes]


def test_chosen_synapses_are_the_same_on_any_ranks() -> None:
    (alone,), _ = run_ranks(1, _probed)
    found, _ = run_ranks(3, _probed)
    for number, (total, *columns) in enumerate(alone):
        parts = [one[number] for one in found]
        assert {part[0] for part in parts} == {total} == {columns[0].size}
        merged = [np.concatenate(one) for one in list(zip(*parts, strict=True))[1:]]
        order = np.lexsort(merged[::-1])
        for one, whole in zip(merged, columns, strict=True):
            np.testing.assert_array_equal(one[order], whole[np.lexsort(columns[::-1])])


def test_states_fade_up_to_the_step_at_which_they_are_recorded(tmp_path: Path) -> None:
    cells = Population("C", 70, IafPscDelta())
    rule = TAGGED(w_max=1.5, precision="float64", B=Uniform(0.01, 0.1))
    one = Network(
        [S, cells],
        [
            Projection(
                S, cells, FixedIndegree(5), Uniform(0.1, 1.0), Uniform(0.3, 4.0), synapse=rule
            )
        ],
        [PoissonInput(cells, 3000.0, 3.0)],
        [
            RecordWeights("S->C", 0.1, ["tag", "pairs"]),
            RecordWeights("S->C", 4.0, "tag", name="rarely"),
        ],
    )
    found = stored(tmp_path / "tags.zarr", one)
    tag, pairs = found["weights of S->C tag"], found["weights of S->C pairs"]
    np.testing.assert_array_equal(found["weights of rarely tag"], tag[39::40])
    fades = (tag[:-1] != 0.0) & (np.diff(pairs, axis=0) == 0.0)
    share = tag[1:][fades] / tag[:-1][fades]
    # but for where the source spikes
    assert (np.abs(share - np.exp(-0.1 / 150.0)) < 1e-12).mean() > 0.9
    assert (pairs[-1] > 0.0).mean() > 0.5


RULES: list[PlasticSynapse] = [
    *(STDP(pairing=one) for one in ("all_to_all", "nearest", "restricted", "presynaptic")),
    *(STDPPowerLaw(), TripletSTDP(), VogelsSTDP(), DopamineSTDP(), Oja(), BCM()),
    *(ContrastiveSTDP(), DiehlCookSTDP(), Rewarded()),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name} {rule.kernel_module[-9:]}")
def test_descriptions_know_the_states_of_their_kernels(rule: PlasticSynapse) -> None:
    assert tuple(rule.synapse_states) == rule_kernel(rule.kernel_module).STATES


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (("E->A", 1.0), "'E->A', field projection: unknown projection 'E->A'"),
        (("S->E", 0.05), "recording 'S->E', field interval"),
        (("S->E", 0.0), "recording 'S->E', field interval: out of range"),
        (("rewarded", 1.0, "d"), "unknown state variable 'd'; allowed: c, weight"),
        (("rewarded", 1.0, ["c", "c"]), "variable named twice"),
        (("rewarded", 1.0, []), "no variable to record"),
        (("rewarded", 1.0, "c", 0), "field synapses: out of range; given 0"),
        (("rewarded", 1.0, "c", slice(5, 5)), "synapses, field stop: out of range; given 5"),
        (("rewarded", 1.0, "c", slice(-5, None)), "synapses, field start: out of range"),
        (("rewarded", 1.0, "c", None, E[90:]), "projection 'rewarded' has no such sources"),
        (("rewarded", 1.0, "c", None, None, S), "projection 'rewarded' has no such targets"),
        (("rewarded", 1.0, "c", None, None, "F"), "unknown population 'F'"),
        ((Projection(S, E, PAIRS, GIVEN, 1.0), 1.0), "must be a projection's name"),
        (("both", 1.0), "unknown projection 'both'"),
    ],
)
def test_recordings_that_cannot_be_are_refused(recording: tuple, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        network(RecordWeights(*recording))
    assert message in str(caught.value)


def test_static_projections_and_equal_names_are_refused() -> None:
    static = Projection(S, E, FixedIndegree(3), 50.0, 1.0, name="static")
    with pytest.raises(DescriptionError, match="projection 'static' is not plastic"):
        Network([S, E], [static], [], [RecordWeights("static", 1.0)])
    twice = [RecordWeights("S->E", 1.0), RecordWeights("S->E", 2.0)]
    with pytest.raises(DescriptionError, match="duplicate name of a weight recording"):
        network(*twice)


def test_recordings_are_stored_with_their_network() -> None:
    one = network(*CHOICES)
    again = Network.from_dict(*one.to_dict())
    assert again == one
    assert [made.synapses for made in again.recordings[1:]] == [made.synapses for made in CHOICES]
