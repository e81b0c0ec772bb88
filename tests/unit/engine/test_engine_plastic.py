"""Plastic projections on one rank against lists of events, one synapse after another."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import plasticity_reference as reference
import pytest
from campaigns import sampled
from decoded import layouts, scales
from rewarded import Rewarded

from distsnn.engine import wiring
from distsnn.engine.plasticity.synapse_parameters import synapse_parameters
from distsnn.engine.rank_engine import RankEngine
from distsnn.kernels.functions import exp_array
from distsnn.kernels.plastic import PIECE
from distsnn.network import (
    STDP,
    AllToAll,
    ConnectionList,
    FixedIndegree,
    IafPscExp,
    Network,
    OneToOne,
    PairwiseBernoulli,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    RecordState,
    SpikeSource,
    Uniform,
)

DT = 0.1
RNG = np.random.default_rng(5)
# sources with bursts of successive steps, and one that is silent at first
KEYS = np.unique(np.concatenate([RNG.integers(0, 20 * 6000, 900), np.arange(0, 900, 20) + 3]))
SOURCES = Population("S", 20, SpikeSource((KEYS // 20 + 1) * DT, KEYS % 20))
TARGETS = Population("E", 70, IafPscExp(t_ref=0.2), {"V_m": Uniform(-70.0, -50.0)}, "float64")
DRIVE = [PoissonInput(TARGETS[:60], 9000.0, 60.0), PoissonInput(TARGETS[60:], 30000.0, 60.0)]
STEPS = 6300

MODELS = {
    "additive": STDP(mu_plus=0.0, mu_minus=0.0, learning_rate=0.05, precision="float64"),
    "multiplicative": STDP(learning_rate=0.1, alpha=1.3, tau_minus=33.7, precision="float64"),
    "power": STDP(mu_plus=0.4, mu_minus=0.7, learning_rate=0.1, precision="float64"),
    "nearest": STDP(pairing="nearest", learning_rate=0.1, alpha=0.9, precision="float64"),
    "long": STDP(tau_plus=2000.0, tau_minus=900.0, learning_rate=0.01, precision="float64"),
    "axonal": STDP(axonal_delay=0.7, learning_rate=0.1, precision="float64"),
    "late": STDP(axonal_delay=0.4, learning_rate=0.1, precision="float64"),
}


def engine(network: Network, epoch_steps: int = 5) -> RankEngine:
    (layout,) = layouts(network, 1)
    fine = scales(network)
    made = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3), 3)
    made.connect(None, epoch_steps, made.synapses.largest_delay)
    return made


class Run:
    """A run and what is known of it: spikes of all neurons, weights before and after."""

    def __init__(self, network: Network, *pieces: int, sweeping: bool = False) -> None:
        self.network = network
        self.engine = made = engine(network)
        self.start = [one.rows.weights.copy() for one in made.plastic]
        self.spikes: list[npt.NDArray[np.int64]] = [np.empty((2, 0), np.int64)]
        self.samples: list[npt.NDArray[np.float64]] = []
        for steps in pieces:
            made.run(steps, self.take)
            self.samples += [one.drain()["I_syn_ex"].copy() for one in made.probes]
            for one in made.plastic if sweeping else ():
                one.process_pending_events(made.step)
        for one in made.plastic:
            one.process_pending_events(made.step)
        step, gid = np.concatenate(self.spikes, axis=1)
        self.trains = reference.trains(step, gid, network.n_neurons)

    def take(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        self.spikes.append(np.stack([step, gid]).astype(np.int64))

    def synapses(self, index: int) -> list[tuple[int, int, int, float]]:
        """Return source, target, delay and first weight of a projection's synapses."""
        rows = self.engine.plastic[index].rows
        sources = np.repeat(rows.row_set.sources, np.diff(rows.row_set.row_starts))
        targets = self.engine.layout.to_gids(rows.targets())
        columns = (sources, targets, rows.delays(), self.start[index])
        return list(zip(*(one.tolist() for one in columns), strict=True))

    def expected(
        self, index: int, models: list[STDP] | None = None
    ) -> tuple[list[float], list[list[tuple[int, float]]]]:
        """Return each synapse's weight, and when (loop) and with which weight it acted."""
        model = self.engine.plastic[index].projection.synapse
        assert isinstance(model, STDP)
        axonal = model.axonal_steps(DT)
        weights, acted = [], []
        for number, (source, target, delay, weight) in enumerate(self.synapses(index)):
            model = model if models is None else models[number]
            pre, post = self.trains[source], self.trains[target]
            its = reference.events(pre, post, axonal, delay - axonal, self.engine.step)
            last, latched = reference.pair_stdp(model, DT, weight, its)
            weights.append(last)
            acted.append([(s - 1 + delay, w) for s, w in zip(pre, latched, strict=False)])
        return weights, acted


def learning(model: STDP, **options: Any) -> Network:
    given = {"weight": Uniform(5.0, 95.0), "delay": Uniform(0.8, 4.0)} | options
    return Network(
        [SOURCES, TARGETS],
        [Projection(SOURCES, TARGETS, PairwiseBernoulli(0.2), synapse=model, **given)],
        DRIVE,
        [],
    )


@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_weights_are_those_of_lists_of_events(name: str) -> None:
    run = Run(learning(MODELS[name]), 3000, 1, 299, STEPS - 3300)
    expected, _ = run.expected(0)
    found = run.engine.plastic[0].rows.weights
    np.testing.assert_array_equal(found, expected)
    changed = np.abs(found - run.start[0])
    assert (changed > 1.0).mean() > 0.5
    assert np.unique(found).size > 150


def test_rows_of_several_pieces_with_many_spikes_to_take() -> None:
    n = 2 * PIECE + 7
    targets = Population("E", n, IafPscExp(t_ref=0.2), {"V_m": Uniform(-70.0, -50.0)}, "float64")
    drive = [
        PoissonInput(targets[:PIECE], 9000.0, 60.0),
        PoissonInput(targets[PIECE:], 50000.0, 60.0),
    ]
    one = Projection(
        *(SOURCES[7:9], targets, AllToAll(), Uniform(5.0, 95.0), Uniform(0.8, 4.0)),
        synapse=MODELS["multiplicative"],
    )
    run = Run(Network([SOURCES, targets], [one], drive, []), 1000, 1, 499)
    np.testing.assert_array_equal(run.engine.plastic[0].rows.weights, run.expected(0)[0])
    assert np.diff(run.engine.plastic[0].rows.row_set.row_starts).tolist() == [n, n]
    # more of them than a source's, so that a synapse takes several at once
    counts = [train.size for train in run.trains]
    assert max(counts[20:]) > 3 * max(counts[7:9]) > 10


def test_parameters_may_be_drawn_for_each_synapse() -> None:
    drawn = STDP(
        learning_rate=Uniform(0.0, 0.2),
        alpha=Uniform(0.5, 1.5),
        mu_plus=0.3,
        w_max=Uniform(96.0, 150.0),
        precision="float64",
    )
    run = Run(learning(drawn), STEPS)
    rows = run.engine.plastic[0].rows
    given = synapse_parameters(run.engine.layout, rows, 3)
    assert np.unique(given["learning_rate"]).size == rows.synapses
    assert abs(np.corrcoef(given["learning_rate"], given["alpha"])[0, 1]) < 0.2
    assert np.ptp(given["w_max"]) > 40.0
    columns = (given[name] for name in ("learning_rate", "alpha", "w_max"))
    models = [
        dataclasses.replace(drawn, learning_rate=rate, alpha=alpha, w_max=most)
        for rate, alpha, most in zip(*columns, strict=True)
    ]
    np.testing.assert_array_equal(rows.weights, run.expected(0, models)[0])


GIVEN_RULES = {
    "one to one": (OneToOne(), TARGETS[9:29]),
    "all to all": (AllToAll(), TARGETS[30:43]),
    # every pair several times
    "explicit": (ConnectionList(RNG.integers(0, 20, 400), RNG.integers(0, 7, 400)), TARGETS[3:]),
}


@pytest.mark.parametrize("name", GIVEN_RULES)
def test_parameters_may_be_given_for_each_synapse(name: str) -> None:
    rule, targets = GIVEN_RULES[name]
    shape = rule.array_shape(SOURCES.size, targets.size)
    assert shape is not None
    rates, bounds = RNG.uniform(0.0, 0.2, shape), RNG.uniform(60.0, 150.0, shape)
    weights = bounds * RNG.uniform(0.0, 1.0, shape)
    given = STDP(learning_rate=rates, alpha=1.2, w_max=bounds, precision="float64")
    network = Network(
        [SOURCES, TARGETS],
        [Projection(SOURCES, targets, rule, weights, Uniform(0.8, 4.0), synapse=given)],
        DRIVE,
        [],
    )
    run = Run(network, 3000)
    of_pair: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for number, (rate, most) in enumerate(zip(rates.flat, bounds.flat, strict=True)):
        pair = number, number
        if isinstance(rule, AllToAll):
            pair = number // targets.size, number % targets.size
        elif isinstance(rule, ConnectionList):
            pair = int(rule.sources[number]), int(rule.targets[number])
        of_pair.setdefault(pair, []).append((rate, most))
    models = []
    for source, target, _, _ in run.synapses(0):
        rate, most = of_pair[source, target - SOURCES.size - targets.start].pop(0)
        models.append(dataclasses.replace(given, learning_rate=rate, w_max=most))
    assert not any(of_pair.values())
    np.testing.assert_array_equal(run.engine.plastic[0].rows.weights, run.expected(0, models)[0])


def test_only_what_is_given_for_each_synapse_takes_memory() -> None:
    constant, drawn = (
        engine(learning(STDP(alpha=alpha))).plastic[0] for alpha in (1.0, Uniform(0.9, 1.1))
    )
    assert constant.per_synapse_bytes == 0
    assert constant.synapses.lower.size == constant.synapses.upper.size == 1
    assert drawn.per_synapse_bytes == 4 * drawn.rows.synapses


def test_single_precision_is_close_to_double() -> None:
    double = Run(learning(MODELS["power"]), STEPS)
    single = Run(learning(dataclasses.replace(MODELS["power"], precision="float32")), STEPS)
    assert single.engine.plastic[0].rows.weights.dtype == np.float32
    np.testing.assert_allclose(
        single.engine.plastic[0].rows.weights, double.engine.plastic[0].rows.weights, rtol=2e-5
    )


@pytest.mark.parametrize("rate", [1e-6, 3e-8, 1e-9])
def test_small_steps_of_learning_are_not_lost(rate: float) -> None:
    run = Run(learning(STDP(learning_rate=rate, alpha=0.7, mu_plus=0.0, mu_minus=0.0)), STEPS)
    found, start = run.engine.plastic[0].rows.weights.astype(np.float64), run.start[0]
    expected = np.array(run.expected(0)[0])
    assert np.abs(expected - start).max() > 5.0 * rate * 100.0
    assert (found - start).sum() == pytest.approx((expected - start).sum(), rel=0.01)
    np.testing.assert_allclose(found - start, expected - start, rtol=0.01, atol=0.01 * rate * 100.0)


@pytest.mark.parametrize(("rate", "error"), [(1e-6, 0.0), (3e-8, 0.042), (1e-9, -1.15)])
def test_float32_loses_small_steps_of_learning(rate: float, error: float) -> None:
    """As in the table of docs/plasticity.md."""
    rule = STDP(
        learning_rate=rate, alpha=0.7, mu_plus=0.0, mu_minus=0.0, w_max=100.0, precision="float32"
    )
    run = Run(learning(rule), STEPS)
    found, start = run.engine.plastic[0].rows.weights.astype(np.float64), run.start[0]
    assert (found.size, STEPS * DT) == (275, 630.0)
    change = (np.array(run.expected(0)[0]) - start).sum()
    assert (found - start).sum() / change - 1.0 == pytest.approx(error, abs=0.006)


def test_large_steps_of_learning_keep_float32() -> None:
    run = Run(learning(STDP(learning_rate=1e-3)), 10)
    assert run.engine.plastic[0].rows.weights.dtype == np.float32


@pytest.mark.parametrize("name", ["multiplicative", "axonal"])
def test_reading_in_between_changes_nothing(name: str) -> None:
    network = learning(dataclasses.replace(MODELS[name], precision="float32"))
    whole, read = Run(network, STEPS), Run(network, *[7] * 900, sweeping=True)
    np.testing.assert_array_equal(np.concatenate(whole.trains), np.concatenate(read.trains))
    np.testing.assert_array_equal(
        whole.engine.plastic[0].rows.weights, read.engine.plastic[0].rows.weights
    )
    assert whole.engine.plastic[0].targets.history.depth > 8


@pytest.mark.parametrize("name", ["power", "axonal"])
def test_weights_act_as_they_were_after_their_source_spiked(name: str) -> None:
    model = dataclasses.replace(MODELS[name], w_max=300.0)
    network = dataclasses.replace(learning(model), recordings=[RecordState(TARGETS, "I_syn_ex")])
    run = Run(network, 1000, 1000)
    quantum = run.engine.quanta.quantum("E", "ex")
    expected = np.zeros((STEPS, 70))
    for (_, target, _, _), acted in zip(run.synapses(0), run.expected(0)[1], strict=True):
        for when, weight in acted:
            expected[when, target - 20] += np.rint(weight / quantum) * quantum
    # what Poisson input adds comes in multiples of 60 pA, which differences leave out
    currents = np.concatenate([np.zeros((1, 70)), *run.samples])
    added = currents[1:] - currents[:-1] * float(exp_array(-DT / 2.0))
    rest = (added - expected[:2000]) / 60.0
    np.testing.assert_allclose(rest, np.rint(rest), atol=1e-6)
    assert (expected[:2000] > 0).sum() > 1000


def test_inhibitory_weights_given_edge_by_edge_and_parrots_that_spike_in_bursts() -> None:
    n = 300
    edges = ConnectionList(RNG.integers(0, 20, n), RNG.integers(0, 50, n))
    parrots = Population("P", 20, ParrotNeuron())
    model = STDP(w_max=-80.0, learning_rate=0.2, precision="float64")
    network = Network(
        [SOURCES, TARGETS, parrots],
        [
            Projection(
                *(SOURCES, TARGETS[10:60], edges, -RNG.uniform(0.0, 80.0, n)),
                delay=RNG.integers(1, 60, n) * DT,
                synapse=model,
            ),
            Projection(SOURCES, parrots, FixedIndegree(5), weight=1.0, delay=0.2),
            Projection(
                *(parrots, TARGETS, FixedIndegree(3), 20.0, 1.5),
                synapse=STDP(precision="float64", learning_rate=0.1),
            ),
        ],
        DRIVE,
        [],
    )
    run = Run(network, STEPS)
    assert max(np.bincount(train).max() for train in run.trains[90:]) > 1
    for index in (0, 1):
        np.testing.assert_array_equal(
            run.engine.plastic[index].rows.weights, run.expected(index)[0]
        )
    assert run.engine.plastic[0].rows.row_set.plan.plane == 1


def test_weight_that_is_no_number_is_a_fault() -> None:
    made = engine(learning(MODELS["additive"]))
    rows = made.plastic[0].rows
    rows.weights[5] = np.nan
    made.run(2000, lambda step, gid: None)
    fault = made.fault()
    assert fault is not None
    source, target = rows.source(5), made.layout.to_gids(rows.targets(slice(5, 6)))[0]
    assert f"projection 'S->E', synapse from gid {source} to gid {target}" in fault.problem


MODULATOR = Population("M", 9, SpikeSource((RNG.integers(1, 6000, 80)) * DT, np.arange(80) % 9))


def rewarded(model: Rewarded) -> Network:
    return Network(
        [SOURCES, TARGETS, MODULATOR],
        [
            Projection(
                *(SOURCES, TARGETS, PairwiseBernoulli(0.2), Uniform(20.0, 80.0)),
                delay=Uniform(0.8, 4.0),
                synapse=model,
            )
        ],
        DRIVE,
        [],
    )


def weights_of(run: Run, changes: list[tuple[int, float]]) -> list[float]:
    """Return what the weights of the modulated projection must have become."""
    model, now = run.engine.plastic[0].projection.synapse, run.engine.step
    assert isinstance(model, Rewarded)
    axonal, found = model.axonal_steps(DT), []
    for source, target, delay, weight in run.synapses(0):
        trains = run.trains[source], run.trains[target]
        its = reference.events(*trains, axonal, delay - axonal, now)
        found.append(reference.modulated(model, DT, weight, its, changes, now))
    return found


@pytest.mark.parametrize("axonal", [0.0, 0.5])
def test_weights_follow_the_spikes_of_a_modulator(axonal: float) -> None:
    model = Rewarded(
        modulator="M", modulation_delay=1.3, axonal_delay=axonal, precision="float64", w_max=100.0
    )
    run = Run(rewarded(model), 3000, 1, 1500, sweeping=True)
    spikes = np.concatenate(run.trains[90:])
    changes = reference.trace_of(spikes.tolist(), 13, 500.0)
    found = run.engine.plastic[0].read_weights(run.engine.step)
    np.testing.assert_array_equal(found, weights_of(run, changes))
    assert (np.abs(found - run.start[0]) > 1.0).mean() > 0.5


def test_weights_follow_a_signal_and_reading_does_not_change_them() -> None:
    network = rewarded(Rewarded(precision="float64", w_max=100.0))
    run = Run(network)
    one = run.engine.plastic[0]
    changes = []
    for number, steps in enumerate((400, 3, 1000, 700)):
        run.engine.run(steps, run.take)
        one.read_weights(run.engine.step)
        changes.append((run.engine.step, 0.01 * (-1) ** number))
        one.modulate(changes[-1][1], run.engine.step)
    run.engine.run(500, run.take)
    run.trains = reference.trains(*np.concatenate(run.spikes, axis=1), network.n_neurons)
    found = one.read_weights(run.engine.step)
    np.testing.assert_array_equal(found, weights_of(run, changes))
    assert (np.abs(found - run.start[0]) > 1.0).mean() > 0.5
