"""Models and rules written as equations, whose result must not depend on the ranks either."""

from pathlib import Path

import numpy as np
from invariance_cases import E_SIZE, case, cells
from own_models import ADEX, BURSTS, COBA, IZHIKEVICH, NOISY, THREE_RECEPTORS
from own_rules import REWARDED, TAGGED

from distsnn.network import (
    STDP,
    AeifPscDeltaClopath,
    ClopathSTDP,
    ConnectionFile,
    ConstantCurrent,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    Lognormal,
    Network,
    NeuronModel,
    NoiseCurrent,
    Normal,
    OneToOne,
    PlasticityModel,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    TransmissionModel,
    Uniform,
)


@case
def models_of_equations(folder: Path) -> tuple[Network, float]:
    # exact with exponential Euler; Runge-Kutta in parts; delta input and a count of steps;
    # Rosenbrock's method, receptors by name; noise, chance and time; traces, and states of synapses
    # that decay or do not
    n = 200
    draw = np.random.default_rng(12)
    adex = ADEX(tau_w=draw.uniform(80.0, 200.0, n), E_L=Normal(-70.6, 0.5), t_ref=0.7)
    a = Population("A", n, adex, {"V_m": Normal(-65.0, 3.0)})
    b = Population("B", 150, COBA, {"V_m": Uniform(-60.0, -50.0)})
    c = Population("C", 70, IZHIKEVICH(a=Uniform(0.02, 0.1)), precision="float64")
    d = Population("D", 130, THREE_RECEPTORS(E_in=Normal(-80.0, 2.0)), {"V_m": Normal(-62.0, 3.0)})
    f = Population("F", 90, NOISY(sigma=Uniform(1.0, 4.0)))
    onto = {"ampa": (a, Normal(2.0, 0.5)), "nmda": (b, Normal(1.5, 0.5)), "gaba": (d, 1.0)}
    return Network(
        [a, b, c, d, f],
        [
            Projection(f, d, FixedIndegree(5), 1.0, Uniform(0.2, 3.0), "gaba"),
            Projection(c, f, FixedIndegree(3), Normal(0.5, 0.2), Uniform(0.2, 3.0)),
            Projection(a, b, FixedIndegree(20), weight=Normal(3.0, 1.0), delay=Normal(1.0, 0.5)),
            Projection(b, a, FixedIndegree(20), weight=Normal(-9.0, 9.0), delay=Uniform(0.3, 4.0)),
            Projection(b, c, FixedIndegree(20), weight=Normal(0.5, 0.5), delay=Uniform(0.1, 9.0)),
            *(
                Projection(pre, d, FixedIndegree(15), weight, Uniform(0.2, 3.0), receptor)
                for receptor, (pre, weight) in onto.items()
            ),
            Projection(
                *(b, c, FixedIndegree(9), Uniform(0.1, 1.0), Uniform(0.3, 4.0)),
                synapse=TAGGED(w_max=1.5, axonal_delay=0.2, B=Uniform(0.01, 0.1)),
            ),
        ],
        [
            PoissonInput(b, 3000.0, 6.0),
            NoiseCurrent(a, 2000.0, 300.0),
            ConstantCurrent(c, draw.uniform(5.0, 12.0, 70)),
            PoissonInput(d, 2000.0, 1.0, "ampa"),
        ],
        [
            *map(RecordSpikes, (a, b, c, d, f)),
            RecordState(a, ["V_m", "w", "refractory", "I_spike"]),
            RecordState(f, ["V_m", "twin", "hazard"], interval=0.7),
            RecordState(b, ["V_m", "g_in"], interval=0.3),
            RecordState(d, ["V_m", "g_ampa", "I_nmda", "g_nmda", "g_gaba"]),
            RecordWeights("B->C#2", 1.3, ["pairs", "weight", "tag"], synapses=slice(0, 500, 2)),
        ],
    ), 60.0


@case
def several_spikes_of_equations(folder: Path) -> tuple[Network, float]:
    # bursts of a random size, into neurons, into bursts, and from and onto synapses that learn
    bursts = Population("A", 150, BURSTS(size=Uniform(0.5, 3.0)), {"V_m": Uniform(0.0, 14.0)})
    more, cells = Population("B", 90, BURSTS()), Population("C", 100, COBA)
    learns = TAGGED(w_max=2.0, axonal_delay=0.2, B=Uniform(0.01, 0.1))
    return Network(
        [bursts, more, cells],
        [
            Projection(bursts, more, FixedIndegree(12), Normal(0.6, 0.2), Uniform(0.2, 3.0)),
            Projection(bursts, cells, FixedOutdegree(9), Normal(3.0, 1.0), Uniform(0.2, 3.0)),
            Projection(
                *(more, bursts, FixedIndegree(9), Uniform(0.1, 1.0), Uniform(0.3, 4.0)),
                synapse=learns,
            ),
        ],
        [PoissonInput(bursts, 2000.0, 1.0), PoissonInput(cells, 2000.0, 4.0)],
        [
            *map(RecordSpikes, (bursts, more, cells)),
            RecordState(bursts, ["V_m", "last"], interval=0.7),
            RecordWeights("B->A", 1.3, ["pairs", "weight", "tag"], synapses=slice(0, 500, 2)),
        ],
    ), 60.0


WAVES = NeuronModel(
    """
    slow = 2*mV*tanh(sin(phase) + 0.3*arctan(V/mV)) : mV
    wave = slow + 0.1*mV*(floor(5*phase) - 5*phase) + mV*log1p(V**2/mV**2) : mV
    dV/dt = (wave - V)/tau + I_stim/C_m : mV
    dphase/dt = (1 + 0.2*cos(phase) + tanh(drift))/period : 1
    """,
    threshold="V >= 10*mV",
    reset="V = -5*mV*cosh(0.1*phase)/sinh(2); phase = log10(1 + expm1(min(phase, 9)))",
    receptors={"ex": "V"},
    parameters={
        "tau": (10.0, "ms", "> 0"),
        "C_m": (200.0, "pF", "> 0"),
        "period": (7.0, "ms", "> 0"),
        "drift": (0.1, "1"),
    },
    method="rosenbrock",
    name="waves",
)
BOUNDED = PlasticityModel(
    "dx/dt = -x/tau : 1 (pre)\ndy/dt = -y/tau : 1 (post)",
    on_pre="x += 1; w = clip(w - A*tanh(y), 0, w_max)",
    on_post="y += 1; w = clip(w + A*sin(angle)*arctan(x), 0, w_max)",
    parameters={"tau": (15.0, "ms"), "A": (0.1, "mV"), "angle": (1.2, "1")},
    weight_unit="mV",
    name="bounded",
)
SATURATING = TransmissionModel(
    "du/dt = -u/tau : 1 (pre)",
    on_pre="u += 1",
    transmit="w*tanh(u)*cos(angle)",
    parameters={"tau": (30.0, "ms", "> 0"), "angle": (0.5, "1")},
    name="saturating",
)


@case
def functions_of_equations(folder: Path) -> tuple[Network, float]:
    # elementary functions in neurons of both precisions, in a rule and in a synapse model
    a = Population("A", 150, WAVES(drift=Uniform(0.0, 0.5)), {"V": Uniform(-5.0, 9.0)})
    b = Population("B", 90, WAVES(period=Uniform(5.0, 9.0)), precision="float64")
    learns, saturates = BOUNDED(w_max=1.0), SATURATING(tau=Uniform(10.0, 40.0))
    return Network(
        [a, b],
        [
            Projection(a, b, FixedIndegree(9), 0.5, Uniform(0.2, 3.0), synapse=learns),
            Projection(b, a, FixedIndegree(9), 0.5, Uniform(0.2, 3.0), synapse=saturates),
        ],
        [ConstantCurrent(one, 500.0) for one in (a, b)] + [PoissonInput(a, 500.0, 1.0)],
        [
            *map(RecordSpikes, (a, b)),
            *(RecordState(one, ["V", "phase", "wave"], interval=0.7) for one in (a, b)),
            RecordWeights("A->B", 1.3),
        ],
    ), 60.0


@case
def rules_by_any_wiring(folder: Path) -> tuple[Network, float]:
    # delays from a file, drawn from distributions without end; a modulator of one's own
    e, i = cells()
    start = {"V_m": Uniform(-75.0, -55.0)}
    w = Population("W", E_SIZE, AeifPscDeltaClopath(E_L=Uniform(-72.0, -69.0), I_e=900.0), start)
    fast = STDP(learning_rate=Uniform(0.0, 0.1), mu_plus=0.4, mu_minus=0.9, w_max=120.0)
    given = ConnectionFile(str(folder / "edges.npz"), delays="delays")
    follows = ClopathSTDP(A_LTP=Uniform(0.0, 4e-3), A_LTD=4e-3, w_max=6.0, theta_plus=-55.0)
    rewarded = REWARDED(modulator="I", modulation_delay=0.9, w_max=90.0)
    return Network(
        [e, i, w],
        [
            Projection(e, w, given, Uniform(0.5, 4.0), synapse=follows),
            Projection(e, i, FixedOutdegree(9), 40.0, Lognormal(0.5, 0.7), synapse=fast),
            Projection(
                *(i, e, FixedOutdegree(9), -60.0, Exponential(1.0)),
                synapse=STDP(w_max=-200.0, learning_rate=0.1),
            ),
            Projection(e, e, OneToOne(), 30.0, Uniform(0.1, 9.0), synapse=rewarded),
        ],
        [*(PoissonInput(one, 9000.0, 45.0) for one in (e, i)), PoissonInput(w, 3000.0, 1.5)],
        [
            *map(RecordSpikes, (e, i, w)),
            RecordWeights("E->W", 9.9, synapses=slice(0, None, 40)),
            RecordWeights("E->E", 3.3, ["tag", "weight"]),
        ],
    ), 100.0
