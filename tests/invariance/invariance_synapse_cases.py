"""Cases with synapse models, which importing this module adds to the others."""

from pathlib import Path

import numpy as np
from invariance_cases import E_SIZE, I_SIZE, case, cells
from own_transmissions import TSODYKS
from rewarded import Rewarded

from distsnn.network import (
    BCM,
    STDP,
    AeifPscDeltaClopath,
    AllToAll,
    ClopathSTDP,
    ConnectionFile,
    ConnectionList,
    DiehlCookSTDP,
    DopamineSTDP,
    Eprop,
    EpropIaf,
    EpropReadout,
    EpropToReadout,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    Network,
    NmdaSynapse,
    Normal,
    NormaliseWeights,
    Oja,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    PpCondExpMcUrbanczik,
    Projection,
    QuantalSTP,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SpikeSource,
    STDPPowerLaw,
    StepCurrent,
    SynapticScaling,
    TripletSTDP,
    TruncatedNormal,
    Tsodyks,
    Tsodyks2,
    Uniform,
    UrbanczikSenn,
    VogelsSTDP,
)


@case
def short_term_plasticity(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(9)
    n = 3000
    edges = ConnectionList(draw.integers(0, E_SIZE, n), draw.integers(0, I_SIZE, n))
    depressing = Tsodyks2(U=Uniform(0.2, 0.9), tau_rec=TruncatedNormal(100.0, 50.0, 20.0))
    facilitating = Tsodyks2(
        U=0.1, tau_rec=draw.uniform(10.0, 60.0, 100), tau_fac=Uniform(0.0, 300.0)
    )
    e, i = cells()
    source = Population("S", 40, SpikeSource(np.arange(1.0, 60.0), np.arange(59) % 7 * 6))
    weights, delays = draw.normal(60.0, 50.0, n), draw.integers(80, 900, n) * 0.01
    return Network(
        [source, e, i],
        [
            Projection(
                *(e, e, FixedIndegree(20), Normal(60.0, 9.0), Uniform(0.8, 3.0)), synapse=depressing
            ),
            # sources that begin in the middle of a block, delays of over a thousand steps
            Projection(
                *(i[30:], e, FixedTotalNumber(4000), -200.0, Uniform(0.8, 15.0)),
                synapse=facilitating,
            ),
            # weights of both signs, and given edges beside others of the same sources
            Projection(e, i, edges, weights, delays, synapse=depressing),
            Projection(e, i, edges, weight=10.0, delay=2.0),
            Projection(e, i, PairwiseBernoulli(0.1), weight=60.0, delay=0.8, synapse=Tsodyks2()),
            Projection(
                source, e, AllToAll(), 90.0, Uniform(0.8, 9.0), synapse=Tsodyks2(tau_fac=9.0)
            ),
            # factors above 1
            Projection(
                *(i, e, FixedIndegree(9), Normal(-50.0, 9.0), Uniform(0.8, 9.0)),
                synapse=NmdaSynapse(alpha=2.0, tau_rise=Uniform(2.0, 9.0), tau_decay=20.0),
                name="of NMDA",
            ),
            # a model of a user, with a state that relaxes to another
            Projection(
                *(e, i, FixedIndegree(9), 60.0, Uniform(0.8, 3.0)),
                synapse=TSODYKS(U=Uniform(0.2, 0.9)),
                name="own model",
            ),
        ],
        [PoissonInput(e, 9000.0, 40.0), PoissonInput(i, 9000.0, 45.0)],
        [
            RecordSpikes(e),
            RecordSpikes(i[20:120]),
            RecordState(e[60:140], "I_syn_ex", interval=0.3),
            RecordState("E->E", ["x", "u"], interval=0.7),
            RecordState(e[::3], "x", 0.9, "mean", "mean", projection="E->I"),
            RecordState("of NMDA", "s", interval=0.3),
            RecordState("S->E", "u", interval=0.2, reduce="sum"),
            RecordState(e[50:150], ["x", "y"], interval=1.1, name="own", projection="own model"),
        ],
        # most spikes have no events ahead of them when the state is saved; epochs of 80 steps
        dt=0.01,
    ), 60.0


@case
def plastic_synapses(folder: Path) -> tuple[Network, float]:
    draw = np.random.default_rng(13)
    n = 2000
    edges = ConnectionList(draw.integers(0, E_SIZE, n), draw.integers(0, I_SIZE, n))
    fast = STDP(learning_rate=Uniform(0.0, 0.1), mu_plus=0.4, mu_minus=0.9, w_max=120.0)
    e, i = cells()
    return Network(
        [e, i],
        [
            # a row's delays are long and short, and so are what rows wait for
            Projection(
                e, e, FixedIndegree(20), Uniform(10.0, 60.0), Uniform(0.8, 9.0), synapse=fast
            ),
            Projection(
                *(e[:200], e[50:], FixedTotalNumber(3000), 40.0, Normal(2.0, 0.4)),
                synapse=STDP(pairing="nearest", precision="float64"),
            ),
            Projection(
                *(i, e, PairwiseBernoulli(0.1), TruncatedNormal(-90.0, 20.0, -150.0, 0.0), 1.5),
                synapse=STDP(w_max=-200.0, axonal_delay=1.0, learning_rate=0.1),
            ),
            Projection(e, i, edges, draw.uniform(0.0, 90.0, n), 1.2, synapse=fast),
            Projection(
                *(e, e, FixedIndegree(5), 30.0, Uniform(1.0, 4.0)),
                synapse=Rewarded(modulator="I", modulation_delay=0.9, w_max=90.0),
            ),
            Projection(i, e, FixedOutdegree(5), weight=-60.0, delay=0.9),
        ],
        [PoissonInput(e, 9000.0, 45.0), PoissonInput(i, 9000.0, 50.0)],
        [
            RecordSpikes(e),
            RecordSpikes(i),
            # more pauses than there are pieces, at times that divide nothing
            RecordWeights("E->E", 2.3, synapses=slice(7, 4000, 3)),
            RecordWeights("E[0:200]->E[50:300]", 50.0),
            RecordWeights("I->E", 31.7, sources=i[30:], targets=e[20:280], synapses=99),
            RecordWeights("E->E#2", 7.1, ("c", "weight"), targets=e[100:101]),
        ],
    ), 200.0


@case
def rules_of_plasticity(folder: Path) -> tuple[Network, float]:
    e, i = cells()
    draw = np.random.default_rng(14)
    n = 3000
    edges = ConnectionList(draw.integers(0, E_SIZE, n), draw.integers(0, 90, n))
    bounds = draw.uniform(60.0, 120.0, n)
    each = STDP(
        **{"learning_rate": draw.uniform(0.0, 0.1, n), "alpha": Uniform(0.5, 1.5)},
        **{"mu_minus": 0.4, "w_max": bounds, "w_min": bounds * draw.uniform(0.0, 0.4, n)},
    )
    rules = (
        STDP(pairing="restricted", learning_rate=0.1, alpha=Uniform(0.5, 1.5)),
        STDP(pairing="presynaptic", learning_rate=0.1, axonal_delay=0.4),
        STDPPowerLaw(learning_rate=0.1, alpha=0.1),
        TripletSTDP(Aplus=0.1, Aminus=0.3, Aplus_triplet=0.1, Aminus_triplet=0.01, w_min=9.0),
        Oja(eta=0.5, alpha=0.02, axonal_delay=0.8),
        BCM(eta=0.1, tau_theta=100.0, rate_0=40.0),
        DopamineSTDP(
            modulator="I", modulation_delay=0.9, tau_c=50.0, A_plus=0.1, A_minus=Uniform(0.05, 0.15)
        ),
        DiehlCookSTDP(learning_rate=Uniform(0.0, 0.2), x_target=0.3, w_min=4.0),
    )
    return Network(
        [e, i],
        [
            *(
                Projection(e, e[40:], FixedIndegree(4), 30.0, Uniform(1.0, 6.0), synapse=rule)
                for rule in rules
            ),
            Projection(
                *(i, e, FixedIndegree(6), -40.0, Uniform(0.9, 3.0)),
                synapse=VogelsSTDP(
                    w_max=Uniform(-120.0, -60.0), w_min=Uniform(-30.0, 0.0), eta=1.0, alpha=0.8
                ),
            ),
            Projection(
                *(e, e[200:290], edges, 0.5 * bounds, Uniform(0.9, 3.0)), synapse=each, name="each"
            ),
        ],
        [PoissonInput(e, 9000.0, 40.0), PoissonInput(i, 9000.0, 40.0)],
        [
            *map(RecordSpikes, (e, i)),
            RecordWeights("E->E[40:300]", 9.9, ("due", "weight"), synapses=50),
            RecordWeights("E->E[40:300]#2", 9.9, "x", synapses=50),
            RecordWeights("E->E[40:300]#7", 3.3, ("c", "weight"), synapses=slice(9, None, 2)),
            RecordWeights("each", 40.0),
            RecordWeights("I->E", 13.0, synapses=90, name="scaled"),
        ],
        homeostasis=[
            NormaliseWeights(["E->E[40:300]", "E->E[40:300]#3"], 6.5, 300.0, fraction=0.5),
            NormaliseWeights("each", 20.0, draw.uniform(50.0, 400.0, 90)),
            SynapticScaling("I->E", 1.3, rate=draw.uniform(1.0, 60.0, E_SIZE), beta=0.3, tau=25.0),
        ],
    ), 120.0


@case
def rules_that_follow_potentials(folder: Path) -> tuple[Network, float]:
    start = {"V_m": Uniform(-75.0, -55.0), "u_bar_bar": -68.0}
    # some fire dozens of times, so that their histories are made longer
    neuron = AeifPscDeltaClopath(E_L=Uniform(-72.0, -69.0), I_e=Uniform(200.0, 1500.0), t_ref=1.0)
    a = Population("A", 200, neuron, start)
    b = Population("B", 70, AeifPscDeltaClopath(t_clamp=0.4, I_e=900.0), start, "float64")
    given = {"A_LTP": Uniform(0.0, 4e-3), "A_LTD": 4e-3, "w_max": 6.0}
    return Network(
        [a, b],
        [
            Projection(
                *(a, a, FixedIndegree(10), Uniform(0.5, 4.0), Uniform(0.8, 6.0)),
                synapse=ClopathSTDP(**given, theta_plus=-55.0),
            ),
            Projection(
                *(a[30:], b[5:], PairwiseBernoulli(0.2), 1.0, Uniform(0.8, 3.0)),
                synapse=ClopathSTDP(
                    **given, A_LTD_const=0, u_ref_squared=5000.0, axonal_delay=0.4, w_min=0.5
                ),
            ),
            Projection(
                *(b, a[:150], FixedIndegree(5), -1.0, 1.0),
                synapse=ClopathSTDP(
                    **{**given, "w_max": -3.0}, delay_u_bars=0.0, precision="float64"
                ),
            ),
            # what it follows is not what another rule of the same targets does
            Projection(b, b, FixedIndegree(5), 1.0, Uniform(1.0, 3.0), synapse=STDP(w_max=3.0)),
        ],
        [PoissonInput(a, 3000.0, 1.5), PoissonInput(b, 3000.0, 1.5)],
        [RecordSpikes(a), RecordSpikes(b), RecordState(a[20:90], ["V_m", "u_bar_minus"], 0.5)],
    ), 150.0


@case
def synapses_that_release(folder: Path) -> tuple[Network, float]:
    e, i = cells()
    draw = np.random.default_rng(15)
    n = 3000
    # many synapses of the same pairs
    edges = ConnectionList(draw.integers(0, 60, n), draw.integers(0, 40, n))
    return Network(
        [e, i],
        [
            Projection(
                *(e, e[40:80], edges, draw.uniform(10.0, 30.0, n), Uniform(0.8, 3.0)),
                synapse=QuantalSTP(
                    **{"n": 6.0, "tau_rec": Uniform(5.0, 90.0), "tau_fac": 30.0},
                    w_max=200.0,
                    axonal_delay=0.4,
                ),
                name="quantal",
            ),
            Projection(
                *(i, e, PairwiseBernoulli(0.1), -200.0, Uniform(0.9, 3.0)),
                synapse=Tsodyks(
                    **{"U": Uniform(0.1, 0.9), "tau_rec": Uniform(3.0, 90.0), "tau_fac": 30.0},
                    w_max=-200.0,
                ),
            ),
        ],
        [PoissonInput(e, 9000.0, 42.0), PoissonInput(i, 9000.0, 45.0)],
        [
            *map(RecordSpikes, (e, i)),
            RecordWeights("quantal", 7.3, ("empty", "u"), synapses=slice(9, None, 7)),
            RecordWeights("I->E", 9.9, ("x", "y"), synapses=90),
        ],
    ), 60.0


@case
def rules_that_follow_errors(folder: Path) -> tuple[Network, float]:
    neuron = EpropIaf(V_th=Uniform(-62.0, -56.0), t_ref=0.3, surrogate_gradient_width=8.0)
    a = Population("A", 200, neuron, {"V_m": Uniform(-75.0, -60.0)})
    readout = Population("R", 70, EpropReadout(E_L=Uniform(-1.0, 1.0)))
    times = np.arange(0.0, 60.0, 0.7)
    target = np.random.default_rng(16).uniform(-5.0, 9.0, (times.size, 70))
    given = {"signal_delay": 2.5, "c_reg": 0.1, "w_max": 6.0}
    return Network(
        [a, readout],
        [
            Projection(
                *(a, a, FixedIndegree(10), Uniform(0.1, 0.9), Uniform(0.8, 3.0)),
                receptor="delta",
                synapse=Eprop(**given, eta=Uniform(0.0, 5e-4), precision="float32"),
                name="recurrent",
            ),
            Projection(
                *(a, readout, FixedIndegree(15), Uniform(0.1, 0.9), 1.1),
                synapse=EpropToReadout(eta=1e-4, w_max=4.0, axonal_delay=1.0),
                name="output",
            ),
            # errors, such as neurons may tell of by spikes
            Projection(a, a, FixedIndegree(4), Normal(0.0, 3.0), 1.2, receptor="learning"),
        ],
        [PoissonInput(a, 3000.0, 1.2, receptor="delta"), StepCurrent(readout, times, target)],
        [
            RecordSpikes(a),
            RecordState(a[20:90], ["V_m", "surrogate_gradient", "learning_signal", "f_ema"], 0.5),
            RecordState(readout, ["V_m", "error_signal"], 0.9),
            RecordWeights("recurrent", 7.3, ("weight", "e", "r"), synapses=slice(3, None, 7)),
            RecordWeights("output", 9.9, synapses=90),
        ],
    ), 60.0


@case
def rules_that_predict_spikes(folder: Path) -> tuple[Network, float]:
    neuron = PpCondExpMcUrbanczik(E_L_s=Uniform(-72.0, -66.0), I_e_s=Uniform(1e3, 6e3), t_ref=0.8)
    a = Population("A", 200, neuron, {"V_m_p": Uniform(-70.0, -55.0)})
    # several parts of a step, and a spike in each step allowed
    faster = PpCondExpMcUrbanczik(g_ps=90.0, t_ref=0.0, I_e_s=5e3, substeps=3)
    b = Population("B", 70, faster, precision="float64")
    given = {"eta": Uniform(-0.1, 0.4), "w_max": 60.0}
    return Network(
        [a, b],
        [
            Projection(
                *(a, a, FixedIndegree(10), Uniform(5.0, 40.0), Uniform(0.8, 3.0)),
                receptor="dendritic_ex",
                synapse=UrbanczikSenn(**given, tau_Delta=20.0, precision="float32"),
                name="recurrent",
            ),
            # weights reach their bounds
            Projection(
                *(a[30:], b[5:], PairwiseBernoulli(0.2), 9.0, Uniform(1.2, 3.0)),
                receptor="dendritic_in",
                synapse=UrbanczikSenn(
                    eta=3.0, tau_s=9.0, w_max=Uniform(10.0, 20.0), w_min=5.0, axonal_delay=0.6
                ),
                name="output",
            ),
            Projection(b, a, FixedIndegree(6), 20.0, 1.1, receptor="soma_in"),
        ],
        [
            PoissonInput(a, 3000.0, 9.0, receptor="dendritic_ex"),
            PoissonInput(b, 3000.0, 9.0, receptor="soma_ex"),
        ],
        [
            RecordSpikes(a),
            RecordSpikes(b),
            RecordState(a[20:90], ["V_m_s", "V_m_p", "prediction_error"], 0.5),
            RecordWeights(
                "recurrent", 7.3, ("weight", "ahead", "late"), synapses=slice(3, None, 7)
            ),
            RecordWeights("output", 9.9, synapses=90),
        ],
    ), 60.0


@case
def views_of_any_neurons(folder: Path) -> tuple[Network, float]:
    e, i = cells()
    draw = np.random.default_rng(21)
    # blocks of 64 neurons without one, with a few, and with all of these
    mask = np.isin(np.arange(E_SIZE), [*draw.choice(64, 30), *range(128, 192), 299])
    edges = ConnectionFile(str(folder / "edges.npz"), weights="weights", delays="delays")
    sparse, later, n = e[mask], Uniform(0.8, 6.0), int(mask.sum())
    reward = DopamineSTDP(modulator="I", modulation_delay=0.9, tau_c=50.0, A_plus=0.1)
    return Network(
        [e, i],
        [
            Projection(e[::2], i[1::3], FixedIndegree(20), Normal(15.0, 4.0), later),
            Projection(sparse, sparse, FixedTotalNumber(2000, autapses=False), 15.0, later),
            Projection(sparse, sparse, FixedOutdegree(9, multapses=False), -20.0, 1.5),
            Projection(i, e[[0, 63, 64, 270]], AllToAll(), Normal(-20.0, 30.0), Normal(2.0, 1.0)),
            Projection(i[::2], e[:200], PairwiseBernoulli(0.1), -20.0, 0.9),
            # the file's indices are below 300
            Projection(e, e, edges),
            Projection(
                *(i[[*range(5, 130, 7)]], e[1::2], FixedIndegree(4), Normal(-40.0, 10.0), later),
                synapse=Tsodyks2(U=draw.uniform(0.2, 0.9, 18), tau_rec=Uniform(10.0, 90.0)),
            ),
            Projection(
                *(sparse, i[::3], FixedIndegree(9), Uniform(10.0, 60.0), later),
                synapse=STDP(learning_rate=Uniform(0.0, 0.1), w_max=120.0),
                name="learning",
            ),
            Projection(
                e[::3], sparse, FixedTotalNumber(900), 30.0, later, synapse=reward, name="r"
            ),
        ],
        [PoissonInput(e, 9000.0, 45.0), PoissonInput(i, 9000.0, 50.0)],
        [
            *(RecordSpikes(e), RecordSpikes(i), RecordState(sparse, "V_m", interval=0.7)),
            RecordWeights("learning", 9.1, sources=e[::4], synapses=slice(3, None, 2)),
            RecordWeights("r", 13.7, ("c", "weight"), targets=sparse[::5]),
        ],
        homeostasis=[
            NormaliseWeights("learning", 6.5, 300.0, fraction=0.5),
            SynapticScaling("r", 4.3, rate=draw.uniform(1.0, 60.0, n), beta=0.3, tau=25.0),
        ],
    ), 60.0
