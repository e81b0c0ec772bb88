"""Cases with many neuron models, which importing this module adds to the others."""

from pathlib import Path

from invariance_cases import case

from distsnn.examples import brette_coba
from distsnn.network import (
    AeifCondExp,
    AeifPscExp,
    AllToAll,
    ConstantCurrent,
    FixedIndegree,
    GifCondExp,
    GifPscExp,
    HhCondExpTraub,
    IafCondAlpha,
    IafCondExp,
    IafPscAlpha,
    Izhikevich,
    LeakyIntegrator,
    Mat2PscExp,
    Network,
    NoiseCurrent,
    Normal,
    ParrotNeuron,
    PoissonInput,
    PoissonNeuron,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    Uniform,
)


@case
def ring_of_many_models(folder: Path) -> tuple[Network, float]:
    n = 150
    noise = Population("noise", n, PoissonNeuron(rate=Uniform(10.0, 200.0)))
    # several spikes a step
    relay = Population("relay", 100, ParrotNeuron())
    adapting = {"q_stc_1": 5.0, "q_sfa_2": Normal(2.0, 0.2), "V_T_star": -60.0, "Delta_V": 3.0}
    gif = Population("gif", n, GifPscExp(lambda_0=20.0, **adapting))
    alpha = Population("alpha", n, IafPscAlpha(tau_syn_in=Normal(3.0, 0.3)))
    mat = Population("mat", n, Mat2PscExp(alpha_1=10.0, omega=Normal(-60.0, 1.0)))
    out = Population("out", 10, LeakyIntegrator(), precision="float64")
    weight, delay = Normal(30.0, 8.0), Normal(1.0, 0.5)
    return Network(
        [noise, relay, gif, alpha, mat, out],
        [
            Projection(noise, relay, FixedIndegree(5), weight=1.0, delay=delay),
            Projection(noise, relay, FixedIndegree(2), weight=3.0, delay=Uniform(0.1, 5.0)),
            Projection(relay, gif, FixedIndegree(10), weight=weight, delay=delay),
            Projection(gif, alpha, FixedIndegree(20), weight=weight, delay=delay),
            Projection(alpha, mat, FixedIndegree(20), weight=80.0, delay=delay),
            Projection(mat, gif, FixedIndegree(20), weight=-9.0, delay=Uniform(0.1, 9.0)),
            Projection(mat, out, AllToAll(), weight=Normal(0.0, 9.0), delay=0.8),
        ],
        [PoissonInput(alpha, 9000.0, 12.0), NoiseCurrent(gif, 20.0, 50.0)],
        [
            *map(RecordSpikes, (noise, relay, gif, alpha, mat)),
            RecordState(gif[40:90], ["V_m", "I_syn_ex", "stc_1", "sfa_2", "I_syn"]),
            RecordState(alpha, ["V_m", "dI_syn_in"], interval=0.5),
            RecordState(mat[60:], ["V_m", "V_th_alpha_1", "V_th_alpha_2"]),
            RecordState(out, "V_m"),
        ],
    ), 60.0


@case
def neurons_integrated_in_parts(folder: Path) -> tuple[Network, float]:
    start = {"V_m": Normal(-62.0, 3.0)}
    cond = Population("cond", 200, IafCondExp(g_L=Normal(16.0, 1.0), I_e=230.0, substeps=2), start)
    alpha = Population("alpha", 70, IafCondAlpha(), start, precision="float64")
    adex = Population("adex", 130, AeifCondExp(a=Uniform(2.0, 6.0), I_e=800.0, t_ref=0.5), start)
    burst = Population("burst", 66, AeifPscExp(V_reset=-47.0, substeps=3), start, "float64")
    simple = Population("simple", 150, Izhikevich(d=Uniform(2.0, 8.0)), start)
    traub = Population("traub", 65, HhCondExpTraub(E_L=Normal(-62.0, 1.0)), start)
    # random numbers in several parts of a step
    chance = {"V_T_star": -60.0, "Delta_V": 2.0, "lambda_0": 50.0, "q_stc_1": 5.0, "q_sfa_2": 2.0}
    gif = Population("gif", 100, GifCondExp(**chance, I_e=60.0, substeps=3), start)
    cells = [cond, alpha, adex, burst, simple, traub, gif]
    strength = dict(zip(cells, (2.0, 6.0, 5.0, 90.0, 2.0, 2.0, 1.0), strict=True))
    projections = [
        Projection(
            pre,
            post,
            FixedIndegree(10),
            weight=Normal(0.3 * strength[post], strength[post]),
            delay=Normal(1.5, 0.8),
        )
        for pre, post in zip(cells, [*cells[1:], cond], strict=True)
    ]
    drive = [PoissonInput(one, 4000.0, 0.5 * strength[one]) for one in cells]
    currents = [ConstantCurrent(burst, 700.0), NoiseCurrent(simple, 4.0, 20.0)]
    states = [RecordState(one, "V_m", interval=0.5) for one in (cond, alpha, burst, simple)]
    states += [RecordState(adex, ["V_m", "w"]), RecordState(traub, ["V_m", "Act_n", "V_before"])]
    states += [RecordState(gif, ["V_m", "stc_1", "sfa_2"])]
    # sub-expressions, of states that are not recorded too
    states += [
        RecordState(cond[50:], ["I_syn", "I_syn_ex"], name="currents"),
        RecordState(adex, ["I_syn_in", "I_spike"], interval=0.3, name="mean", reduce="mean"),
        RecordState(traub, ["I_Na", "alpha_h"], interval=0.7, name="channels"),
    ]
    return Network(
        cells, projections, [*drive, *currents], [*map(RecordSpikes, cells), *states]
    ), 40.0


@case
def brettes_network_with_conductances(folder: Path) -> tuple[Network, float]:
    return brette_coba.build(800, substeps=2), 60.0
