"""e-prop: gradient descent by eligibility traces and learning signals."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import RuleEquations, WatchingEquationSynapse
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Eprop(WatchingEquationSynapse):
    """e-prop at synapses onto spiking neurons (NEST's eprop_synapse onto eprop_iaf).

    In each step of the target, with its surrogate gradient psi, its learning signal L and the
    exponential moving average f of its spike rate::

        e -> kappa e + psi z                            kappa = exp(-dt/tau_e)
        r -> kappa_reg r + (1 - kappa_reg) psi z        kappa_reg = exp(-dt/tau_reg)
        w -> w - eta (L e + c_reg (f - f_target) r)

    and w stops at its bounds. z is the source's spikes, each counted as 1 from the step in which it
    acts and decaying with tau_m, the target's membrane time constant.

    A learning signal reports an error that the target's spikes caused earlier: L of a step is used
    with psi, z and f of signal_delay before. This is the delay from the target to the
    readout and back; in NEST it is two steps. Here a weight learns of an error when the signal has
    arrived; in NEST it does at once, so that a spike transmits a weight that has made two steps
    more.

    z is exact where dendritic delays are one step, as in NEST: with ``axonal_delay`` = delay - dt.
    A spike at a longer dendritic delay d counts too early by 2 (d - dt). Of the source's spikes
    within signal_delay + dt, three are distinguished.

    The target must have the states surrogate_gradient, learning_signal and f_ema, as `EpropIaf`
    has. In NEST kappa, kappa_reg, c_reg and f_target are the target's; there f_target counts spikes
    per step: for dt = 1 ms it is the same. Weights follow the gradient in each step.

    Source: Bellec et al. (2020), Nat Commun 11:3625, doi:10.1038/s41467-020-17236-y; Korcsak-Gorzo
    et al. (2025), arXiv:2511.21674, for the version without batches.
    """

    name: ClassVar[str] = "eprop_synapse"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`eprop_synapse` onto eprop_iaf",
        "GeNN": "own code (mlGeNN)",
    }
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dz/dt = -z/tau_m : 1 (pre)  # filtered spikes of the source
        dlast_1/dt = -last_1/tau_m : 1 (pre)  # part of the last spike
        dlast_2/dt = -last_2/tau_m : 1 (pre)  # part of the spike before
        dlast_3/dt = -last_3/tau_m : 1 (pre)  # part of the spike before that
        de/dt = -e/tau_e : 1 (synapse)  # eligibility trace
        dr/dt = -r/tau_reg : 1 (synapse)  # eligibility trace of the regularisation
        psi = delayed(surrogate_gradient_post, signal_delay) : 1 (post)
        signal = learning_signal_post : mV (post)
        excess = c_reg*(delayed(f_ema_post, signal_delay) - f_target) : mV (post)
        new = exp(-(signal_delay + 1.5*dt)/tau_m) : 1
        too_new = where(last_1 > new, last_1, 0) + where(last_2 > new, last_2, 0) + where(
            last_3 > new, last_3, 0) : 1
        """,
        on_pre="last_3 = last_2; last_2 = last_1; last_1 = 1; z += 1",
        on_step="""
            increment = psi*(exp((signal_delay + 2*dt)/tau_m)*(z - too_new))
            e += increment
            r += (1 - exp(-dt/tau_reg))*increment
            w = clip(w - eta*(signal*e + excess*r), w_min, w_max)
        """,
        target={"surrogate_gradient": "1", "learning_signal": "mV", "f_ema": "Hz"},
    )

    tau_m: Value = parameter(
        default=10.0, unit="ms", doc="membrane time constant of the target", above=0.0
    )
    tau_e: Value = parameter(default=32.83, unit="ms", doc="decay of e", above=0.0)
    tau_reg: Value = parameter(default=32.83, unit="ms", doc="decay of r", above=0.0)
    eta: Value = parameter(default=1e-4, unit="weight/mV", doc="learning rate")
    c_reg: Value = parameter(
        default=0.0, unit="mV/Hz", doc="coefficient of the regularisation of rates", low=0.0
    )
    f_target: Value = parameter(default=10.0, unit="Hz", doc="target rate", low=0.0)
    signal_delay: Value = parameter(
        default=2.0,
        unit="ms",
        doc="how late the learning signal is",
        low=0.0,
        multiple_of_dt=True,
    )


@synapse_model
class EpropToReadout(WatchingEquationSynapse):
    """e-prop at synapses onto readout neurons (NEST's eprop_synapse onto eprop_readout).

    In each step of the target, with its error signal E::

        w -> w - eta E z

    and w stops at its bounds. z is the source's spikes, each counted as 1 from the step in which it
    acts and decaying with tau_m, the target's membrane time constant.

    z is exact where dendritic delays are one step, as in NEST: with ``axonal_delay`` = delay - dt.
    A spike at a longer dendritic delay d counts too early by 2 (d - dt).

    The target must have the state error_signal, as `EpropReadout` has.

    Source: Bellec et al. (2020), Nat Commun 11:3625, doi:10.1038/s41467-020-17236-y; Korcsak-Gorzo
    et al. (2025), arXiv:2511.21674, for the version without batches.
    """

    name: ClassVar[str] = "eprop_synapse_to_readout"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`eprop_synapse` onto eprop_readout",
        "GeNN": "own code (mlGeNN)",
    }
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dz/dt = -z/tau_m : 1 (pre)  # filtered spikes of the source
        dlast/dt = -last/tau_m : 1 (pre)  # part of the last spike
        error = error_signal_post : mV (post)
        too_new = where(last > exp(-1.5*dt/tau_m), last, 0) : 1
        """,
        on_pre="last = 1; z += 1",
        on_step="w = clip(w - eta*error*(exp(2*dt/tau_m)*(z - too_new)), w_min, w_max)",
        target={"error_signal": "mV"},
    )

    tau_m: Value = parameter(
        default=10.0, unit="ms", doc="membrane time constant of the target", above=0.0
    )
    eta: Value = parameter(default=1e-4, unit="weight/mV", doc="learning rate")
