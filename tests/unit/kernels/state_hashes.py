"""Prints hashes of what every neuron and stimulus kernel computes, for lengths around 64 k.

Run in a process of its own for each CPU target: numba reads the target when it is imported.
"""

import hashlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import numpy.typing as npt
from decoded import layouts, scales
from kernel_calls import GammaCall, NeuronCall, PoissonCall, counters, defaults, sine_call
from own_models import ADEX, COBA

from distsnn.codegen.generated import generated_kernel_module
from distsnn.counter_rng import PARAMETER
from distsnn.engine import wiring
from distsnn.engine.kernel_calls import KernelCall, invoke
from distsnn.engine.rank_engine import RankEngine
from distsnn.kernels import neurons, stimuli
from distsnn.kernels.functions import exp_array, expm1_array, log_array
from distsnn.kernels.plastic import PIECE
from distsnn.kernels.source_spikes import advance
from distsnn.kernels.synapses import make_records, nmda_synapse, tsodyks2_synapse
from distsnn.kernels.values import draw_values
from distsnn.network import (
    BCM,
    STDP,
    AllToAll,
    DopamineSTDP,
    IafPscExp,
    Network,
    NeuronModel,
    PlasticSynapse,
    Population,
    Projection,
    STDPPowerLaw,
    Uniform,
    get_neuron_model,
)
from distsnn.network.checks import ANY
from distsnn.network.registry import model_names

LENGTHS = (255, 256, 257)
STEPS = 400

PARAMETERS = {
    "C_m": 250.0,
    "tau_m": 10.0,
    "tau_syn_ex": 0.5,
    "tau_syn_in": 3.0,
    "tau_syn": 0.7,
    "t_ref": 2.0,
    "E_L": -65.0,
    "V_reset": -67.0,
    "V_th": -50.0,
    "I_e": 500.0,
    "omega": -50.0,
    "V_T_star": -50.0,
    "rate": 100.0,
    "E_in": -60.0,
    "g_L": 10.0,
    **{f"q_stc_{j}": 5.0 for j in (1, 2, 3)},
    **{f"q_sfa_{j}": 0.5 for j in (1, 2, 3)},
}
# powers, exponentials between events, and traces alone
RULES = {
    "power law": STDPPowerLaw(learning_rate=1e-4),
    "power law float64": STDPPowerLaw(learning_rate=1e-4, precision="float64"),
    "pairs": STDP(learning_rate=0.1, mu_plus=0.4, mu_minus=0.9, w_max=2e-3),
    "dopamine": DopamineSTDP(
        modulator="N", modulation_delay=1.0, A_plus=1e-8, A_minus=2e-8, b=0.1, w_max=2e-3
    ),
    "sliding": BCM(eta=1e-6, tau_theta=100.0, w_max=2e-3),
}
# these emit nothing by themselves
SILENT = {"eprop_readout", "leaky_integrator"}
# pA; these need more to spike often, from gates that are closed or with conductances of spikes
DRIVE = {
    "hh_psc_alpha": {"I_e": 1500.0},
    "iaf_cond_exp_sfa_rr": {"I_e": 3000.0},
    "iaf_cond_alpha_mc": {"I_e_s": 5000.0},
    "pp_cond_exp_mc_urbanczik": {"I_e_s": 20_000.0},
}


def _hash(*arrays: npt.NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _neurons(model: str, precision: str, size: int) -> str:
    described = get_neuron_model(model)
    given = {key: PARAMETERS.get(key, value) for key, value in defaults(model).items()}
    given |= DRIVE.get(model, {})
    quanta = dict.fromkeys(described.receptors, 2.0**-7) | {"spikes": 1.0}
    one = NeuronCall(model, given, size, precision=precision, quanta=quanta)
    least = min(LENGTHS)
    rng = np.random.default_rng(3)
    if "V_m" in one.states:
        one.states["V_m"][:least] = rng.uniform(-5.0, 14.0, least)
    spikes = []
    for k in range(STEPS):
        for name, row in one.rows.items():
            # a relay takes a few whole spikes
            low, high = (0, 4) if name == "spikes" else (-500, 700)
            allowed = described.allowed_weights.get(name, ANY)
            row[0, :least] = rng.integers(low, high, least).clip(allowed.low, allowed.high)
        gids = one.step(k)
        spikes.append(gids[gids < least])
    assert sum(map(len, spikes)) > least or model in SILENT
    return _hash(*(values[:least] for values in one.states.values()), *spikes)


def _own(model: NeuronModel, precision: str, size: int) -> str:
    """Hash what a kernel made from equations computes, its drawn parameters own for each neuron."""
    least, rng = min(LENGTHS), np.random.default_rng(3)
    drawn = {}
    for name, (value, _, _) in model.parameters.items():
        spread = np.full(max(LENGTHS), float(value))
        spread[:least] *= rng.uniform(0.98, 1.02, least)
        drawn[name] = np.asarray(value) if name == model.refractory else spread[:size]
    drawn["I_e"] = np.asarray(1500.0)
    quanta = dict.fromkeys(model.receptors, 2.0**-6)
    one = NeuronCall(
        generated_kernel_module(model), drawn, size, precision=precision, quanta=quanta
    )
    one.states["V_m"][:least] = rng.uniform(-5.0, 10.0, least)
    count = 0
    for k in range(STEPS):
        for row in one.rows.values():
            row[0, :least] = rng.integers(-40, 60, least)
        gids = one.step(k)
        count += np.count_nonzero(gids < least)
    assert count > least
    return _hash(*(values[:least] for values in one.states.values()))


def _sines(size: int) -> npt.NDArray[np.float64]:
    n = np.arange(size, dtype=np.float64)
    call, values = sine_call(n, 0.7 * n, 3.0 * n, 5.0 - n, 0.1, common_wave=False)
    total = np.zeros(size)
    for step in range(10**7, 10**7 + STEPS):
        invoke(call, step)
        total += values
    return total


def _noise(size: int) -> npt.NDArray[np.float64]:
    n = -(-size // 64) * 64
    current = np.zeros(n)
    call = KernelCall(
        stimuli.add_noise("float64"), np.zeros(stimuli.CURRENT_TABLE_SIZE, np.int64), 0, n
    )
    call.bind(stimuli.CURRENT, current)
    call.bind(stimuli.AMPLITUDES, np.full(n, 10.0))
    call.bind(stimuli.DEVIATIONS, np.full(n, 3.0))
    call.bind(stimuli.COUNTERS, counters(n))
    call.bind(stimuli.HELD, np.zeros(n))
    call.bind(stimuli.DRAWN, np.full(n // 64, -1))
    call.table[stimuli.INTERVAL] = 1
    for k in range(50):
        invoke(call, k)
    return current


def _values(kind: int) -> npt.NDArray[np.float64]:
    out = np.empty(5000)
    draw_values(kind, 1.0, 2.0, 0.0, 3.0, np.arange(5000), PARAMETER, 0, 0, np.uint64(1), out)
    return out


def _records(
    model: ModuleType, given: dict[str, npt.NDArray[np.float64]], largest: float
) -> npt.NDArray[np.float64]:
    constants, first = model.constants(given, 0.1), len(model.STATES)
    size = next(iter(given.values())).size
    _, records = make_records(size, first + len(constants) + 1, largest)
    for column, name in enumerate(model.CONSTANTS, first):
        records[:, column] = constants[name]
    return records


def _short_term_plasticity() -> npt.NDArray[np.float64]:
    rng, n = np.random.default_rng(5), 200
    tau_fac = np.zeros(n)
    tau_fac[::2] = rng.uniform(10.0, 9000.0, n // 2)
    given = {"U": rng.uniform(0.0, 1.0, n), "tau_rec": rng.uniform(100.0, 9000.0, n)}
    records = _records(tsodyks2_synapse, {**given, "tau_fac": tau_fac}, 1.0)
    records[:, 0] = 1.0
    steps = np.sort(rng.integers(0, 5000, 20 * n)).astype(np.int32)
    advance(tsodyks2_synapse.spike.address, records, rng.integers(0, n, steps.size), steps)
    return records


def _gating() -> npt.NDArray[np.float64]:
    rng, n = np.random.default_rng(6), 200
    ranges = {"alpha": (0.1, 2.0), "tau_rise": (0.5, 5.0), "tau_decay": (10.0, 200.0)}
    given = {name: rng.uniform(*ends, n) for name, ends in ranges.items()}
    records = _records(nmda_synapse, given, 1e3)
    steps = np.sort(rng.integers(0, 5000, 20 * n)).astype(np.int32)
    advance(nmda_synapse.spike.address, records, rng.integers(0, n, steps.size), steps)
    return records


def _weights(rule: PlasticSynapse) -> npt.NDArray[np.generic]:
    """Return weights that have learnt, in rows of more than one piece."""
    start = {"V_m": Uniform(-70.0, -55.0)}
    population = Population("N", PIECE + 45, IafPscExp(I_e=390.0), start, "float64")
    one = Projection(population, population, AllToAll(), 1e-3, Uniform(0.5, 4.0), synapse=rule)
    network = Network([population], [one])
    (layout,) = layouts(network, 1)
    fine = scales(network)
    engine = RankEngine(layout, fine, wiring.build_local_synapses(layout, fine, 3), 3)
    engine.connect(None, 5, engine.synapses.largest_delay)
    engine.run(3000, lambda step, gid: None)
    weights = engine.plastic[0].rows.weights
    assert np.unique(weights).size > 500
    return weights


def hashes() -> Iterator[tuple[str, str]]:
    """Yield the name and the hash of everything computed."""
    least = min(LENGTHS)
    for size in LENGTHS:
        # variants of models that functions make have the operations of the others
        kernels = {module.name for module in pkgutil.iter_modules(neurons.__path__)}
        for model in sorted(kernels.intersection(model_names())):
            # what has no state does the same in both
            stateless = not get_neuron_model(model).states
            for precision in ("float32",) if stateless else ("float32", "float64"):
                yield f"{model} {precision} {size}", _neurons(model, precision, size)
        for own in (ADEX, COBA):
            for precision in ("float32", "float64"):
                yield f"{own.name} {precision} {size}", _own(own, precision, size)
        n = -(-size // 64) * 64
        for name, means in (("common", 0.8), ("own", np.linspace(0.0, 20.0, 512)[:n].copy())):
            one = PoissonCall(means, n)
            yield f"poisson {name} {size}", _hash(*(one.counts(k)[:least] for k in range(50)))
        for mean in (3.0, 9.0):
            one = PoissonCall(mean, n, correlation=0.4)
            yield f"copies {mean} {size}", _hash(*(one.counts(k)[:least] for k in range(50)))
        gammas = GammaCall(np.linspace(0.0, 2.0, 512)[:n].copy(), 2.5, 3)
        counts = _hash(*(gammas.counts(k)[:least] for k in range(50)))
        yield f"gammas {size}", counts + _hash(gammas.times[:least])
        yield f"noise {size}", _hash(_noise(size)[:least])
        yield f"sines {size}", _hash(_sines(size)[:least])
    for name, rule in RULES.items():
        yield f"weights {name}", _hash(_weights(rule))
    x = np.random.default_rng(4).normal(0.0, 30.0, 5000)
    yield "tsodyks2_synapse", _hash(_short_term_plasticity())
    yield "nmda_synapse", _hash(_gating())
    yield "functions", _hash(exp_array(x), expm1_array(x), log_array(np.abs(x)))
    for kind in range(6):
        yield f"draws {kind}", _hash(_values(kind))


if __name__ == "__main__":
    json.dump(dict(hashes()), sys.stdout)
