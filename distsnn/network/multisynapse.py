"""Neurons with as many receptors as time constants are given (NEST's ..._multisynapse models)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from distsnn.errors import DescriptionError
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronModel
from distsnn.network.registry import neuron_function
from distsnn.network.values import ValueLike

# With more receptors, a kernel is generated once per user.
_MOST_SHIPPED = 3
_TIME, _POTENTIAL = (2.0, "ms", "> 0"), (0.0, "mV")
_IAF = {
    "C_m": (250.0, "pF", "> 0"),
    "tau_m": (10.0, "ms", "> 0"),
    "t_ref": (2.0, "ms", ">= 0"),
    "E_L": (-70.0, "mV"),
    "V_reset": (-70.0, "mV"),
    "V_th": (-55.0, "mV"),
    "I_e": (0.0, "pA"),
}
_AEIF = {
    "C_m": (281.0, "pF", "> 0"),
    "g_L": (30.0, "nS", ">= 0"),
    "E_L": (-70.6, "mV"),
    "V_th": (-50.4, "mV"),
    "Delta_T": (2.0, "mV", ">= 0"),
    "V_peak": (0.0, "mV"),
    "V_reset": (-60.0, "mV"),
    "a": (4.0, "nS"),
    "b": (80.5, "pA"),
    "tau_w": (144.0, "ms", "> 0"),
    "t_ref": (0.0, "ms", ">= 0"),
    "I_e": (0.0, "pA"),
}


def _shipped_receptors(*arguments: str) -> Iterator[dict[str, tuple[float, ...]]]:
    """Yield arguments for each number of receptors for which the package has a kernel."""
    for n_receptors in range(1, _MOST_SHIPPED + 1):
        yield dict.fromkeys(arguments, (1.0,) * n_receptors)


@neuron_function(
    {"NEST": "iaf_psc_exp_multisynapse"}, _shipped_receptors("tau_syn"), tau_syn=(0.5, 10.0)
)
def iaf_psc_exp_multisynapse(
    tau_syn: Iterable[ValueLike], **parameters: ValueLike
) -> EquationNeuron:
    """Return leaky integrate-and-fire neurons with several exponential synaptic currents.

    Equations, threshold and reset are as in `IafPscExp` (NEST: iaf_psc_exp_multisynapse).
    Receptor ``"1"`` adds weights, of either sign, to the current I_syn_1, which decays with the
    first time constant, and so on. Source: Rotter & Diesmann (1999), Biol Cybern 81:381.

    Parameters
    ----------
    tau_syn : iterable of float, array_like (n,) or Distribution
        Time constants of the receptors, ms, > 0.
    **parameters : float, array_like (n,) or Distribution
        C_m (pF), tau_m, t_ref (ms), E_L, V_reset, V_th (mV), I_e (pA); by default as in
        `IafPscExp`.

    Raises
    ------
    DescriptionError
        If no time constant is given, or a parameter is unknown or not valid.
    """

    def current(k: int) -> tuple[str, str]:
        return f"dI_syn_{k}/dt = -I_syn_{k}/tau_syn_{k} : pA  # current {k}", f"I_syn_{k}"

    return _multisynapse("iaf_psc_exp_multisynapse", current, tau_syn, parameters)


@neuron_function(
    {"NEST": "iaf_psc_alpha_multisynapse"}, _shipped_receptors("tau_syn"), tau_syn=(0.5, 10.0)
)
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
        If no time constant is given, or a parameter is unknown or not valid.
    """

    def current(k: int) -> tuple[str, str]:
        lines = (
            f"dI_syn_{k}/dt = dI_syn_{k} - I_syn_{k}/tau_syn_{k} : pA  # current {k}",
            f"ddI_syn_{k}/dt = -dI_syn_{k}/tau_syn_{k} : pA/ms  # its rise without decay",
        )
        return "\n".join(lines), f"dI_syn_{k} += weight*exp(1)/tau_syn_{k}"

    return _multisynapse("iaf_psc_alpha_multisynapse", current, tau_syn, parameters)


@neuron_function(
    {"NEST": "aeif_cond_alpha_multisynapse"},
    _shipped_receptors("E_rev", "tau_syn"),
    E_rev=(0.0, -85.0),
    tau_syn=(0.5, 10.0),
)
def aeif_cond_alpha_multisynapse(
    E_rev: Iterable[ValueLike],
    tau_syn: Iterable[ValueLike],
    *,
    substeps: int = 2,
    **parameters: ValueLike,
) -> EquationNeuron:
    """Return adaptive exponential neurons with several alpha-shaped synaptic conductances.

    Equations, threshold and reset are as in `AeifCondExp` (NEST:
    aeif_cond_alpha_multisynapse). Receptor ``"1"`` takes weights, at least 0: the peak of the
    conductance g_1, after the first time constant, with the first reversal potential; and so on.
    Source: Brette & Gerstner (2005), J Neurophysiol 94:3637.

    Parameters
    ----------
    E_rev : iterable of float, array_like (n,) or Distribution
        Reversal potentials of the receptors, mV.
    tau_syn : iterable of float, array_like (n,) or Distribution
        Times to peak of the receptors, ms, > 0.
    substeps : int
        Number of parts of a step. `AeifCondExp` chooses parts of at most 0.1 ms, tau_syn/4 and
        0.0055 C_m/g_L; here the number is given.
    **parameters : float, array_like (n,) or Distribution
        C_m (pF), g_L, a (nS), E_L, V_th, Delta_T, V_peak, V_reset (mV), b, I_e (pA), tau_w,
        t_ref (ms); by default as in `AeifCondExp`.

    Raises
    ------
    DescriptionError
        If no receptor is given, a receptor lacks a value, or a parameter is unknown or not valid.
    """

    def conductance(k: int) -> tuple[str, str]:
        lines = (
            f"I_syn_{k} = g_{k}*(E_rev_{k} - V_m) : pA  # current {k}",
            f"dg_{k}/dt = dg_{k} - g_{k}/tau_syn_{k} : nS  # conductance {k}",
            f"ddg_{k}/dt = -dg_{k}/tau_syn_{k} : nS/ms  # its rise without decay",
        )
        return "\n".join(lines), f"dg_{k} += weight*exp(1)/tau_syn_{k}"

    return _adaptive(
        "aeif_cond_alpha_multisynapse",
        conductance,
        {"E_rev": (E_rev, _POTENTIAL), "tau_syn": (tau_syn, _TIME)},
        parameters,
        substeps,
    )


@neuron_function(
    {"NEST": "aeif_cond_beta_multisynapse"},
    _shipped_receptors("E_rev", "tau_rise", "tau_decay"),
    E_rev=(0.0, -85.0),
    tau_rise=(0.5, 1.0),
    tau_decay=(2.0, 10.0),
)
def aeif_cond_beta_multisynapse(
    E_rev: Iterable[ValueLike],
    tau_rise: Iterable[ValueLike],
    tau_decay: Iterable[ValueLike],
    *,
    substeps: int = 2,
    **parameters: ValueLike,
) -> EquationNeuron:
    """Return adaptive exponential neurons with conductances that rise and decay exponentially.

    As `aeif_cond_alpha_multisynapse`, with conductances of two time constants each (NEST's
    aeif_cond_beta_multisynapse), which peak at the weight; where these are equal, they are alpha
    functions. Source: Brette & Gerstner (2005), J Neurophysiol 94:3637; Rothman (2014), in
    Encyclopedia of Computational Neuroscience, Springer, for the synapses.

    Parameters
    ----------
    E_rev : iterable of float, array_like (n,) or Distribution
        Reversal potentials of the receptors, mV.
    tau_rise, tau_decay : iterable of float, array_like (n,) or Distribution
        Time constants of the receptors, ms, > 0; the two may be exchanged.
    substeps : int
        As of `aeif_cond_alpha_multisynapse`.
    **parameters : float, array_like (n,) or Distribution
        As of `aeif_cond_alpha_multisynapse`.

    Raises
    ------
    DescriptionError
        If no receptor is given, a receptor lacks a value, or a parameter is unknown or not valid.
    """

    def conductance(k: int) -> tuple[str, str]:
        lines = (
            f"I_syn_{k} = g_{k}*(E_rev_{k} - V_m) : pA  # current {k}",
            f"dg_{k}/dt = dg_{k} - g_{k}/tau_decay_{k} : nS  # conductance {k}",
            f"ddg_{k}/dt = -dg_{k}/tau_rise_{k} : nS/ms  # its rise without decay",
        )
        # 1/peak, (q^q)^(1/(q - 1))/tau_rise for q = tau_rise/tau_decay, in a form that holds at 1
        exponent = f"tau_rise_{k}/tau_decay_{k}/exprel(-log(tau_decay_{k}/tau_rise_{k}))"
        return "\n".join(lines), f"dg_{k} += weight*exp({exponent})/tau_rise_{k}"

    return _adaptive(
        "aeif_cond_beta_multisynapse",
        conductance,
        {
            "E_rev": (E_rev, _POTENTIAL),
            "tau_rise": (tau_rise, _TIME),
            "tau_decay": (tau_decay, _TIME),
        },
        parameters,
        substeps,
    )


# Of a receptor: its equations, and what its weights do.
_Receptor = Callable[[int], tuple[str, str]]
# Values by receptor, with default, unit and range.
_Values = dict[str, tuple[Iterable[ValueLike], tuple[Any, ...]]]


def _multisynapse(
    name: str,
    current: _Receptor,
    tau_syn: Iterable[ValueLike],
    parameters: dict[str, ValueLike],
) -> EquationNeuron:
    """Return integrate-and-fire neurons with the equation and the receptor of each current."""
    return _neurons(
        name,
        current,
        {"tau_syn": (tau_syn, _TIME)},
        parameters,
        """
        I = I_syn + I_e + I_stim : pA
        dV_m/dt = -(V_m - E_L)/tau_m + I/C_m : mV  # membrane potential
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        defaults=_IAF,
    )


def _adaptive(
    name: str,
    conductance: _Receptor,
    values: _Values,
    parameters: dict[str, ValueLike],
    substeps: int,
) -> EquationNeuron:
    """Return adaptive exponential neurons with the equations of each conductance."""
    return _neurons(
        name,
        conductance,
        values,
        parameters,
        """
        slope = where(Delta_T > 0, 1/Delta_T, 0/mV) : 1/mV
        I_spike = g_L*Delta_T*exp(slope*(V_m - V_th)) : pA
        I = -g_L*(V_m - E_L) + I_spike + I_syn - w + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA  # adaptation current
        """,
        threshold="V_m >= where(Delta_T > 0, V_peak, V_th)",
        reset="V_m = V_reset; w += b",
        defaults=_AEIF,
        method="rosenbrock",
        substeps=substeps,
    )


def _neurons(
    name: str,
    receptor: _Receptor,
    arguments: _Values,
    parameters: dict[str, ValueLike],
    membrane: str,
    *,
    defaults: dict[str, Any],
    **text: Any,
) -> EquationNeuron:
    """Return neurons whose I_syn is the sum of the currents I_syn_1, I_syn_2, ... of receptors."""
    values = {field: _sequence(name, field, each) for field, (each, _) in arguments.items()}
    first = next(iter(values))
    for field, each in values.items():
        if len(each) != len(values[first]):
            raise DescriptionError(
                f"the number of values must equal the number of {first}",
                where=f"{name}, {field}",
                value=len(each),
                allowed=f"{len(values[first])}",
            )
    numbers = range(1, len(values[first]) + 1)
    lines, receptors = zip(*map(receptor, numbers), strict=True)
    of_receptors = {f"{field}_{k}": spec for k in numbers for field, (_, spec) in arguments.items()}
    model = NeuronModel(
        "\n".join(
            [
                f"I_syn = {' + '.join(f'I_syn_{k}' for k in numbers)} : pA  # synaptic current",
                *(line.strip() for line in membrane.strip().splitlines()),
                *lines,
            ]
        ),
        refractory="t_ref",
        receptors={str(k): statement for k, statement in zip(numbers, receptors, strict=True)},
        initial={"V_m": "E_L"},
        parameters=defaults | of_receptors,
        name=name,
        **text,
    )
    by_name = {f"{field}_{k}": values[field][k - 1] for k in numbers for field in arguments}
    return model(**by_name, **parameters)


def _sequence(name: str, field: str, items: Iterable[ValueLike]) -> tuple[ValueLike, ...]:
    values = tuple(items) if isinstance(items, Iterable) else ()
    if isinstance(items, str) or not values:
        raise DescriptionError(
            "must be a sequence with a value for each receptor",
            where=f"{name}, {field}",
            value=items,
            allowed="such as (0.5, 2.0, 10.0)",
        )
    return values
