"""A whole engine on one rank against a simulation in plain numpy, step by step."""

import numpy as np
import numpy.typing as npt
import pytest
from decoded import DELAY, PLANE, SOURCE, TARGET, WEIGHT, layouts, scales, synapses
from kernel_calls import PoissonCall

from distsnn.engine import delivery, epoch_loop, wiring
from distsnn.engine.rank_engine import RankEngine
from distsnn.network import (
    ConstantCurrent,
    FixedIndegree,
    FixedTotalNumber,
    IafPscDelta,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    Piecewise,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    SpikeInput,
    SpikeSource,
    StepCurrent,
    Uniform,
)

DT = 0.1
STEPS = 700
RNG = np.random.default_rng(1)
E = Population(
    "E",
    150,
    IafPscExp(tau_syn_ex=0.5, tau_syn_in=1.5, V_th=-55.0, E_L=Uniform(-66.0, -64.0)),
    initial={"V_m": Normal(-62.0, 4.0)},
    precision="float64",
)
D = Population("D", 70, IafPscDelta(C_m=np.linspace(150.0, 250.0, 70)), precision="float64")
S = Population(
    "S",
    65,
    SpikeSource(times=DT * (1 + RNG.permutation(STEPS)[:600]), neurons=RNG.integers(0, 65, 600)),
)
PROJECTIONS = [
    Projection(E, E, FixedIndegree(20), weight=Normal(20.0, 40.0), delay=Normal(1.5, 0.75)),
    Projection(E, D[10:70], FixedTotalNumber(900), weight=0.4, delay=0.1),
    Projection(D, E, FixedIndegree(5), weight=-60.0, delay=0.8),
    Projection(S, E[0:90], FixedTotalNumber(800), weight=150.0, delay=Uniform(0.1, 30.0)),
]
EVENTS = (DT * RNG.integers(1, STEPS, 400), RNG.integers(0, 100, 400), RNG.normal(0, 300, 400))
STIMULI = [
    PoissonInput(E, 9000.0, 40.0, start=5.0, stop=60.0),
    PoissonInput(D[3:60], Piecewise([10.0, 40.0], [[3e3] * 57, [6e4] * 57]), 0.5),
    SpikeInput(E[50:150], *EVENTS),
    ConstantCurrent(E[0:77], 100.0, start=1.0, stop=50.0),
    StepCurrent(D, [2.0, 30.0], [200.0, 330.0]),
    ConstantCurrent(E, np.linspace(0.0, 90.0, 150)),
]
RECORDINGS = [
    RecordSpikes(E),
    RecordSpikes(D[5:69]),
    RecordSpikes(S),
    RecordState(E[40:90], ("V_m", "I_syn_in"), interval=0.3),
    RecordState(D, ("V_m",)),
]
NETWORK = Network([E, D, S], PROJECTIONS, STIMULI, RECORDINGS, dt=DT)


class Result:
    def __init__(self) -> None:
        self.spikes: list[tuple[int, int]] = []
        self.samples: dict[tuple[int, str], list[npt.NDArray[np.float64]]] = {}

    def take(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        self.spikes += zip(step.tolist(), gid.tolist(), strict=True)

    def drain(self, engine: RankEngine) -> None:
        for number, one in enumerate(engine.probes):
            for name, rows in one.drain().items():
                made = rows.astype(np.float64) + one.offsets[name]
                self.samples.setdefault((number, name), []).append(made)


def _engine(network: Network, epoch_steps: int = 5, **options) -> RankEngine:
    (layout,) = layouts(network, 1)
    fine = scales(network)
    engine = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3, **options), 3)
    engine.connect(None, epoch_steps, engine.synapses.largest_delay)
    return engine


def _run(engine: RankEngine, *pieces: int) -> Result:
    result = Result()
    for steps in pieces:
        engine.run(steps, result.take)
        result.drain(engine)
    return result


@pytest.fixture(scope="module")
def whole() -> Result:
    return _run(_engine(NETWORK), STEPS)


def _poisson(steps: int) -> npt.NDArray[np.int64]:
    """Return what the Poisson stimuli add in each loop, (steps, 2 planes, 220 gids), in quanta."""
    k = scales(NETWORK).exponent
    out = np.zeros((steps, 2, 220), np.int64)
    first = PoissonCall(0.9, 192, stimulus=0, seed=3)
    means = [np.where(np.arange(128) < 70, mean, 0.0) for mean in (0.3, 6.0)]
    slow, fast = (PoissonCall(mean, 128, stimulus=1, seed=3) for mean in means)
    for loop in range(steps):
        if 50 <= loop < 600:
            weight = round(40.0 / 2.0 ** k["E", "ex"])
            out[loop, 0, :150] += weight * first.counts(loop)[:150]
        if loop >= 100:
            counts = (slow if loop < 400 else fast).counts(loop)[3:60]
            out[loop, 0, 153:210] += round(0.5 / 2.0 ** k["D", "delta"]) * counts
    times, neurons, weights = EVENTS
    for time, neuron, weight in zip(times, neurons, weights, strict=True):
        plane = 0 if weight >= 0 else 1
        integer = round(weight / 2.0 ** k["E", ("ex", "in")[plane]])
        out[round(time / DT) - 1, plane, 50 + neuron] += integer
    return out


def _currents(loop: int) -> npt.NDArray[np.float64]:
    extern = np.zeros(220)
    if 10 <= loop < 500:
        extern[:77] += 100.0
    extern[150:] += 330.0 if loop >= 300 else 200.0 if loop >= 20 else 0.0
    extern[:150] += np.linspace(0.0, 90.0, 150)
    return extern


def _reference(engine: RankEngine) -> tuple[list[tuple[int, int]], npt.NDArray[np.float64]]:
    """Simulate in numpy; return all spikes (step, gid) and V_m less E_L after every loop."""
    table = synapses(NETWORK, seed=3)
    exponent = scales(NETWORK).exponent
    order = np.argsort(table[:, SOURCE], kind="stable")
    bounds = np.searchsorted(table[order, SOURCE], np.arange(286))
    rows = np.zeros((STEPS + 400, 2, 220), np.int64)
    rows[:STEPS] += _poisson(STEPS)
    real = np.arange(192) < 150
    e_l = engine.neurons["E"].parameters["E_L"][real]
    c_m = np.linspace(150.0, 250.0, 70)
    fresh = _engine(NETWORK)
    v_e = fresh.neurons["E"].states["V_m"][real].copy()
    v_d, ref_e, ref_d = np.zeros(70), np.zeros(150), np.zeros(70)
    ex, inh = np.zeros(150), np.zeros(150)
    events = sorted(
        (round(t / DT), int(n)) for t, n in zip(S.model.times, S.model.neurons, strict=True)
    )
    spikes: list[tuple[int, int]] = []
    trace = np.zeros((STEPS, 220))
    decay = np.exp(-DT / 10.0)

    def psp(tau: float) -> float:
        a = 1.0 / tau - 0.1
        return float(decay / 250.0 * -np.expm1(-a * DT) / a)

    for loop in range(STEPS):
        extern = _currents(loop)
        p20 = -10.0 * np.expm1(-DT / 10.0)
        free = decay * v_e + psp(0.5) * ex + psp(1.5) * inh + p20 / 250.0 * extern[:150]
        v_e = np.where(ref_e > 0, v_e, free)
        ref_e = np.maximum(ref_e - 1, 0)
        ex = np.exp(-DT / 0.5) * ex + rows[loop, 0, :150] * 2.0 ** exponent["E", "ex"]
        inh = np.exp(-DT / 1.5) * inh + rows[loop, 1, :150] * 2.0 ** exponent["E", "in"]
        free = decay * v_d + p20 / c_m * extern[150:]
        free += rows[loop, 0, 150:] * 2.0 ** exponent["D", "delta"]
        v_d = np.where(ref_d > 0, v_d, free)
        ref_d = np.maximum(ref_d - 1, 0)
        spiked_e, spiked_d = v_e >= -55.0 - e_l, v_d >= 15.0
        v_e, ref_e = np.where(spiked_e, -70.0 - e_l, v_e), np.where(spiked_e, 20, ref_e)
        v_d, ref_d = np.where(spiked_d, 0.0, v_d), np.where(spiked_d, 20, ref_d)
        trace[loop] = np.concatenate([v_e, v_d])
        gids = [*np.flatnonzero(spiked_e), *(150 + np.flatnonzero(spiked_d))]
        gids += [220 + n for step, n in events if step == loop + 1]
        for gid in map(int, gids):
            spikes.append((loop + 1, gid))
            mine = table[order[bounds[gid] : bounds[gid + 1]]]
            at = (loop + mine[:, DELAY], mine[:, PLANE], mine[:, TARGET])
            np.add.at(rows, at, mine[:, WEIGHT])
    return spikes, trace


def test_spikes_and_states_are_those_of_a_plain_simulation(whole: Result) -> None:
    engine = _engine(NETWORK)
    spikes, trace = _reference(engine)
    assert len(spikes) > 1500
    assert len({gid for _, gid in spikes}) > 200
    assert whole.spikes == sorted(spikes)
    e_l = engine.neurons["E"].parameters["E_L"][np.arange(192) < 150]
    every = np.concatenate(whole.samples[0, "V_m"])
    np.testing.assert_allclose(every, (trace[2::3, :150] + e_l)[:, 40:90], rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        np.concatenate(whole.samples[1, "V_m"]), trace[:, 150:] - 70.0, rtol=0, atol=1e-11
    )
    assert np.concatenate(whole.samples[0, "I_syn_in"]).min() < 0.0


@pytest.mark.parametrize("epoch_steps", [1, 8, 256])
@pytest.mark.parametrize(
    ("delivery", "storage"),
    [("auto", "auto"), ("pull", "explicit"), ("push", "packed"), ("auto", "procedural")],
)
def test_neither_delivery_storage_nor_epochs_change_a_spike(
    delivery: str, storage: str, epoch_steps: int, whole: Result
) -> None:
    engine = _engine(NETWORK, epoch_steps, delivery=delivery, storage=storage)
    found = _run(engine, STEPS)
    assert found.spikes == whole.spikes
    for key, rows in whole.samples.items():
        np.testing.assert_array_equal(np.concatenate(found.samples[key]), np.concatenate(rows))
    assert engine.step == STEPS
    assert engine.epochs == -(-STEPS // epoch_steps)


def test_pieces_make_the_same_run_and_full_buffers_are_emptied(
    whole: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_loop, "_MIN_BUFFER", 1)
    engine = _engine(NETWORK, 7)
    # not even twice what one loop may bring
    loop = engine._epoch_loop
    loop._spike_step = loop._spike_step[: engine.layout.n_local + 20].copy()
    assert loop._spike_step.size < len(whole.spikes)
    found = _run(engine, 1, 2, 0, 7, 90, 13, 300, 1, STEPS - 414)
    assert found.spikes == whole.spikes
    for key, rows in whole.samples.items():
        np.testing.assert_array_equal(np.concatenate(found.samples[key]), np.concatenate(rows))


def test_only_calls_that_act_within_a_run_enter_the_loop() -> None:
    # five are without end, and each piece of two stimuli is a call
    acting = _engine(NETWORK).stimuli.acting
    assert [len(acting(0, steps)) for steps in (1, 10, 11, 50, 51, STEPS)] == [5, 5, 6, 7, 8, 11]
    ends = (299, 300, 399, 400, 599, 600)
    assert [len(acting(first, STEPS)) for first in ends] == [11, 10, 10, 9, 8, 7]
    times = 0.5 * np.arange(4000)
    rates = Piecewise(times, np.resize([2e4, 0.0, 5e4], times.size))
    many = Network([E], [], [PoissonInput(E, rates, 40.0)], dt=DT)
    assert len(_engine(many).stimuli.acting(1003, 1018)) == 4


def test_a_calendar_that_is_full_in_mid_run_grows(
    whole: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_FIRST_PAGES", 1)
    engine = _engine(NETWORK, delivery="pull")
    assert all(one._pool.size == 64 for one in engine._static)
    assert _run(engine, STEPS).spikes == whole.spikes
    assert max(one._pool.size for one in engine._static) > 64 * 64


def test_events_are_counted(whole: Result) -> None:
    outdegree = np.bincount(synapses(NETWORK, seed=3)[:, SOURCE], minlength=285)
    engine = _engine(NETWORK, delivery="push")
    every = Network([E, D, S], PROJECTIONS, STIMULI, None, dt=DT)
    counted = _run(_engine(every), STEPS)
    _run(engine, STEPS)
    assert engine.events == sum(outdegree[gid] for _, gid in counted.spikes)
    assert set(engine.phase_ticks()) == {"update", "deliver", "exchange", "record"}


def test_wide_input_rows_change_nothing(whole: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _engine(NETWORK)
    assert engine.ring.bits == 32
    build = wiring.build_local_synapses

    def heavy(*arguments, **options):
        made = build(*arguments, **options)
        made.weight_sums[0, 0] += 2**31
        return made

    monkeypatch.setattr(wiring, "build_local_synapses", heavy)
    for how in ("push", "pull"):
        engine = _engine(NETWORK, delivery=how)
        assert engine.ring.bits == 64
        assert _run(engine, STEPS).spikes == whole.spikes


def test_noise_is_held_over_its_interval_and_reaches_its_view_only() -> None:
    one = Population("E", 130, IafPscDelta(), precision="float64")
    noise = NoiseCurrent(one[5:70], 50.0, 20.0, interval=0.5, start=1.0, stop=20.0)
    network = Network([one], [], [noise], [RecordState(one, ("V_m",))], dt=DT)
    engine = _engine(network)
    currents = []
    for _ in range(250):
        engine.run(1, lambda step, gid: None)
        currents.append(engine.neurons["E"].current[:130].copy())
    found = np.array(currents)
    assert not found[:, [*range(5), *range(70, 130)]].any()
    assert not found[:10].any()
    assert not found[200:].any()
    inside = found[10:200, 5:70].reshape(38, 5, 65)
    assert np.all(inside == inside[:, :1])
    assert np.mean(inside) == pytest.approx(50.0, abs=2.0)
    assert np.std(inside[:, 0]) == pytest.approx(20.0, abs=1.5)


def test_more_samples_than_there_is_room_for_are_refused() -> None:
    engine = _engine(NETWORK)
    with pytest.raises(ValueError, match="samples"):
        engine.run(engine.max_undrained_steps + 2, lambda step, gid: None)
    engine.run(engine.max_undrained_steps, lambda step, gid: None)
    with pytest.raises(ValueError, match="samples"):
        engine.run(2, lambda step, gid: None)
    for one in engine.probes:
        one.drain()
    engine.run(2, lambda step, gid: None)


def test_a_rank_without_neurons_runs() -> None:
    for layout in layouts(NETWORK, 9):
        fine = scales(NETWORK)
        engine = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3), 3)
        engine.connect(None, 1, engine.synapses.largest_delay)
        _run(engine, 30)
        assert engine.step == 30
    assert layouts(NETWORK, 9)[8].n_local == 0
