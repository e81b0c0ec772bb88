"""Every state variable that is declared is saved, restored, in the digest, and reset.

The network has all that declares state variables; the tests walk the declarations.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from decoded import layouts, scales
from recorded import newest_checkpoint

from distsnn.engine import memory_estimate, snapshot, wiring
from distsnn.engine.memory_estimate import declared_fields
from distsnn.engine.plasticity.target_state_tracker import TargetStateTracker
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.snapshot import Snapshot
from distsnn.engine.state_fields import CountedHolder, StateField, StateHolder, Values
from distsnn.network import (
    STDP,
    AeifPscDeltaClopath,
    ClopathSTDP,
    DopamineSTDP,
    FixedIndegree,
    GammaInput,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    SynapticScaling,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

# names of what owns groups of variables; "0" is the first stimulus
OWNERS = ("", "0", "drive", "stp", "pairs", "reward", "watch", "SynapticScaling")
SEED, STEPS, MORE = 3, 400, 300
E = Population("E", 70, IafPscExp(), {"V_m": Uniform(-70.0, -52.0)})
C = Population("C", 70, AeifPscDeltaClopath())
NETWORK = Network(
    [E, C],
    [
        Projection(E, E, FixedIndegree(3), 60.0, 2.0, synapse=Tsodyks2(), name="stp"),
        Projection(
            *(E, E, FixedIndegree(6), Uniform(10.0, 90.0), Uniform(1.0, 3.0)),
            synapse=STDP(learning_rate=0.02, w_max=100.0),
            name="pairs",
        ),
        Projection(
            *(E, E, FixedIndegree(4), 40.0, 1.5),
            synapse=DopamineSTDP(modulator="C", w_max=80.0),
            name="reward",
        ),
        Projection(
            *(E, C, FixedIndegree(20), 1.5, Uniform(1.0, 2.0)), synapse=ClopathSTDP(), name="watch"
        ),
    ],
    [GammaInput(E, 900.0, 30.0, order=3, n=10), PoissonInput(C, 2500.0, 1.5, name="drive")],
    homeostasis=[SynapticScaling("pairs", interval=15.0, rate=20.0, beta=1e-3, tau=50.0)],
)


def connected() -> RankEngine:
    (layout,) = layouts(NETWORK, 1)
    fine = scales(NETWORK)
    made = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, SEED), SEED)
    made.connect(None, 5, made.synapses.largest_delay)
    return made


def run(made: RankEngine, steps: int) -> None:
    made.run(steps, lambda step, gid: None)


@pytest.fixture(scope="module")
def ways() -> tuple[Snapshot, Snapshot]:
    """What a run with a changed parameter saves, and what it saves later."""
    made = connected()
    threshold = made.neurons["E"].parameters | {"V_th": np.asarray(-51.0)}
    made.set_parameters("E", threshold, ["V_th"], made.update_with("E", threshold))
    made.plastic[0].learns = False
    run(made, STEPS)
    early = snapshot.take_snapshot(made)
    run(made, MORE)
    return early, snapshot.take_snapshot(made)


@pytest.fixture
def saved(ways: tuple[Snapshot, Snapshot]) -> Snapshot:
    return ways[0]


def restored(saved: Snapshot) -> RankEngine:
    made = connected()
    made.neurons["E"].declare([StateField("E", "neuron_parameters", "V_th", "neuron", "float64")])
    snapshot.restore_snapshot(made, saved.states, saved.step, saved.spikes)
    return made


def walk(made: RankEngine) -> list[tuple[StateHolder, int, StateField]]:
    return [
        (holder, at, field)
        for holder in made.state_holders
        for at, field in enumerate(holder.fields)
    ]


def perturbed(field: StateField, values: Values, step: int) -> Values:
    """Return other values that the field can have."""
    other = values.copy()
    column = field.name if field.group == "plastic_input" else ""
    if column == "receptor":
        other[0] = 1 - other[0]
    elif column == "neuron":
        other[0] = (other[0] + 1) % 64
    elif column == "step":
        other[0] += 1 if other[0] == step else -1
    elif field.dtype.startswith("int"):
        other[0] = 1 - other[0] if field.owner == "modulator" else other[0] - 1
    else:
        other[0] = 0.3 * other[0] + 0.2
    return other


def test_every_owner_declares_state_variables(saved: Snapshot) -> None:
    made = restored(saved)
    fields = snapshot.fields(made)
    assert len({field.key for field in fields}) == len(fields)
    owners = {field.owner for field in fields}
    assert owners == {"neuron", "source", "target", "synapse", "modulator", "stimulus", "rank"}
    names = {field.key for field in fields}
    models = {
        (one.name, "neurons", name) for one in NETWORK.populations for name in one.model.states
    }
    assert models <= names
    for plastic in made.plastic:
        rule, projection = plastic._calls.rule, plastic.projection
        pre, post = projection.pre.population, projection.post.population
        synapses = (post, f"synapses/{projection.name}")
        expected = {(*synapses, name) for name in ("weight", *rule.STATES)}
        expected |= {(pre, f"source_traces/{projection.name}", name) for name in rule.SOURCE}
        expected |= {(post, f"target_traces/{projection.name}", name) for name in rule.TARGET}
        assert expected <= names
    counts = {field.count_key for field in fields if field.count_group}
    assert {*saved.states} == names | counts
    for field in fields:
        assert saved.states[field.key].dtype == field.dtype
        assert saved.states[field.key].size, field


def test_fields_of_a_description_are_those_that_the_engine_allocates() -> None:
    allocated = [
        field
        for holder, _, field in walk(connected())
        # numbers of values that are known when the network is built
        if not isinstance(holder, TargetStateTracker | CountedHolder) and not field.shared
    ]
    declared = [*declared_fields(NETWORK)]
    assert sorted(map(str, declared)) == sorted(map(str, allocated))
    assert {field.owner for field in declared} == {"neuron", "source", "target", "stimulus"}


def test_memory_estimates_add_up_the_declared_fields() -> None:
    (layout,) = layouts(NETWORK, 1)
    slots = 128  # of each population: blocks are padded to a multiple of 64
    expected = sum(slots * field.nbytes for field in declared_fields(NETWORK))
    # beside parameters that differ, there is the number of each neuron
    assert memory_estimate._neurons(layout) == expected + 8 * slots * len(NETWORK.populations)


def test_every_field_is_restored_and_in_the_digest(saved: Snapshot) -> None:
    made = restored(saved)
    np.testing.assert_array_equal(snapshot.take_snapshot(made).digests, saved.digests)
    seen = set()
    for holder, at, field in walk(made):
        values = [saved.states[one.key] for one in holder.fields]
        other = [*values]
        other[at] = perturbed(field, values[at], saved.step)
        assert (other[at] != values[at]).any(), field
        holder.put(other, saved.step)
        taken = snapshot.take_snapshot(made)
        changed = {key for key, was in saved.states.items() if _differ(taken.states[key], was)}
        if field.count_group != "plastic_input":  # which is sorted again
            np.testing.assert_array_equal(taken.states[field.key], other[at], str(field))
            assert changed == {field.key}
        assert field.key in changed
        of_population = made.layout.blocks.population == made.layout.population_index(
            field.population
        )
        differ = (taken.digests != saved.digests).any(axis=1)
        assert differ[of_population].any() and not differ[~of_population].any(), field
        assert differ[of_population].all() or field.owner != "modulator"
        holder.put(values, saved.step)
        np.testing.assert_array_equal(
            snapshot.take_snapshot(made).digests, saved.digests, str(field)
        )
        seen.add(field.key)
    assert len(seen) == len(snapshot.fields(made)) > 40


def _differ(left: Values, right: Values) -> bool:
    return left.shape != right.shape or bool((left != right).any())


def test_restored_run_continues_identically(ways: tuple[Snapshot, Snapshot]) -> None:
    early, late = ways
    made = restored(early)
    run(made, MORE)
    np.testing.assert_array_equal(snapshot.take_snapshot(made).digests, late.digests)
    same = {
        f"{group}/{name}"
        for (population, group, name), values in early.states.items()
        if not _differ(values, late.states[population, group, name])
    }
    # all but these have changed meanwhile
    assert same == {
        *("neuron_parameters/V_th", "neurons/I_syn_in", "neurons/refractory"),
        *("sources/stp/u", "synapses/pairs/weight"),
        *(f"projections/{name}/learning" for name in ("pairs", "reward", "watch")),
        *(f"synapse_counts/{name}/count" for name in ("pairs", "reward", "watch")),
    }


def test_restart_initialises_every_field(saved: Snapshot) -> None:
    first, made = connected(), restored(saved)
    expected = snapshot.take_snapshot(first)
    for plastic, fresh in zip(made.plastic, first.plastic, strict=True):
        plastic.rows.weights[:] = fresh.rows.weights
    made.restart({})
    made.connect(None, 5, made.synapses.largest_delay)
    found = snapshot.take_snapshot(made)
    assert (
        {*found.states}
        == {*expected.states}
        == {*saved.states} - {("E", "neuron_parameters", "V_th")}
    )
    for key, values in expected.states.items():
        np.testing.assert_array_equal(found.states[key], values, str(key))
    np.testing.assert_array_equal(found.digests, expected.digests)
    assert (saved.digests != expected.digests).any(axis=1).all()


def test_a_modulator_that_cannot_be_is_refused(saved: Snapshot) -> None:
    modulation = connected().plastic[1].modulation
    assert modulation is not None
    for step, value in ((saved.step + 1, 0.0), (0, np.inf)):
        with pytest.raises(ValueError, match=f"since step {step} at step {saved.step}"):
            modulation.put([np.array([step]), np.array([value])], saved.step)


def test_checkpoint_lists_its_state_fields(tmp_path: Path) -> None:
    path = tmp_path / "state.zarr"
    with Simulation(NETWORK, seed=SEED) as simulation:
        simulation["E"].parameters["V_th"] = -51.0
        simulation.run(20.0)
        simulation["drive"].set(rate=2000.0)
        taken = snapshot.take_snapshot(simulation._engine)
        simulation.save(path)
        simulation["drive"].set(rate=2000.1)
        other = snapshot.take_snapshot(simulation._engine)
    differ = (taken.digests != other.digests).any(axis=1)
    np.testing.assert_array_equal(differ, [False, False, True, True])  # blocks of C
    about = newest_checkpoint(path).attributes
    assert ("E", "neuron_parameters", "V_th") in {
        (row["population"], row["group"], row["name"]) for row in about["fields"]
    }
    # population/group/name is a path, in which distsnn's own words are in snake_case
    for row in about["fields"]:
        kind, _, owner = row["group"].partition("/")
        assert re.fullmatch("[a-z_]+", kind), row
        assert owner in OWNERS, row
        assert row["name"].isidentifier(), row
    with Simulation.restore(path) as simulation:
        np.testing.assert_array_equal(
            snapshot.take_snapshot(simulation._engine).digests, taken.digests
        )
        assert len(about["fields"]) == len(snapshot.fields(simulation._engine))
        assert simulation._inputs.set_values == {"drive": {"rate": 2000.0}}
