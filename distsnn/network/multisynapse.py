"""Neurons with as many receptors as time constants are given (NEST's ..._multisynapse models)."""

from collections.abc import Callable, Iterable
from typing import Any

from distsnn.errors import DescriptionError
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronModel
from distsnn.network.values import ValueLike

_PARAMETERS = {
    "C_m": (250.0, "pF", "> 0"),
    "tau_m": (10.0, "ms", "> 0"),
    "t_ref": (2.0, "ms", ">= 0"),
    "E_L": (-70.0, "mV"),
    "V_reset": (-70.0, "mV"),
    "V_th": (-55.0, "mV"),
    "I_e": (0.0, "pA"),
}


def iaf_psc_exp_multisynapse(
    tau_syn: Iterable[ValueLike], **parameters: ValueLike
) -> EquationNeuron:
    """Return leaky integrate-and-fire neurons with several exponential synaptic currents.

    Their equations, threshold and reset are those of `IafPscExp` (NEST's iaf_psc_exp_multisynapse).
    Receptor ``"1"`` adds weights, of either sign, to the current I_syn_1, which decays with the
    first time constant, and so on. Source: Rotter & Diesmann (1999), Biol Cybern 81:381.

    Parameters
    ----------
    tau_syn : iterable of float, array_like (n,) or Distribution
        Time constants of the receptors, ms, > 0.
    **parameters : float, array_like (n,) or Distribution
        C_m (pF), tau_m, t_ref (ms), E_L, V_reset, V_th (mV), I_e (pA), where they are not those of
        `IafPscExp`.

    Raises
    ------
    DescriptionError
        If there is no time constant, or a parameter is unknown or not valid.
    """

    def current(k: int) -> tuple[str, str]:
        return f"dI_syn_{k}/dt = -I_syn_{k}/tau_syn_{k} : pA  # current {k}", f"I_syn_{k}"

    return _multisynapse("iaf_psc_exp_multisynapse", current, tau_syn, parameters)


def iaf_psc_alpha_multisynapse(
    tau_syn: Iterable[ValueLike], **parameters: ValueLike
) -> EquationNeuron:
    """Return leaky integrate-and-fire neurons with several alpha-shaped synaptic currents.

    As `iaf_psc_exp_multisynapse`, with currents that peak at the weight after their time constant
    (NEST's iaf_psc_alpha_multisynapse).

    Parameters
    ----------
    tau_syn : iterable of float, array_like (n,) or Distribution
        Times to peak of the receptors, ms, > 0.
    **parameters : float, array_like (n,) or Distribution
        As of `iaf_psc_exp_multisynapse`.

    Raises
    ------
    DescriptionError
        If there is no time constant, or a parameter is unknown or not valid.
    """

    def current(k: int) -> tuple[str, str]:
        lines = (
            f"dI_syn_{k}/dt = dI_syn_{k} - I_syn_{k}/tau_syn_{k} : pA  # current {k}",
            f"ddI_syn_{k}/dt = -dI_syn_{k}/tau_syn_{k} : pA/ms  # its rise without decay",
        )
        return "\n".join(lines), f"dI_syn_{k} += weight*exp(1)/tau_syn_{k}"

    return _multisynapse("iaf_psc_alpha_multisynapse", current, tau_syn, parameters)


def _multisynapse(
    name: str,
    current: Callable[[int], tuple[str, str]],
    tau_syn: Iterable[ValueLike],
    parameters: dict[str, ValueLike],
) -> EquationNeuron:
    """Return neurons with the equation and the receptor of a current for each time constant."""
    values = tuple(tau_syn) if isinstance(tau_syn, Iterable) else ()
    if isinstance(tau_syn, str) or not values:
        raise DescriptionError(
            "must be a sequence of time constants",
            where=f"{name}, tau_syn",
            value=tau_syn,
            allowed="such as (0.5, 2.0, 10.0), ms",
        )
    numbers = range(1, len(values) + 1)
    lines, receptors = zip(*map(current, numbers), strict=True)
    total = " + ".join([*(f"I_syn_{k}" for k in numbers), "I_e", "I_stim"])
    times: dict[str, Any] = {f"tau_syn_{k}": (2.0, "ms", "> 0") for k in numbers}
    model = NeuronModel(
        "\n".join(
            [
                f"I = {total} : pA",
                "dV_m/dt = -(V_m - E_L)/tau_m + I/C_m : mV  # membrane potential",
                *lines,
            ]
        ),
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={str(k): text for k, text in zip(numbers, receptors, strict=True)},
        initial={"V_m": "E_L"},
        parameters=_PARAMETERS | times,
        name=name,
    )
    return model(**dict(zip(times, values, strict=True)), **parameters)
