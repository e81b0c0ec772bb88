"""Hodgkin-Huxley neuron after Traub & Miles with conductances: Strang splitting."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from distsnn.jit import FLAGS, inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush

STATES = ("V_m", "Act_m", "Inact_h", "Act_n", "g_ex", "g_in", "V_before", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "substeps": "count",
    "h": "real",
    "decay_ex": "real",
    "decay_in": "real",
    "mean_ex": "real",
    "mean_in": "real",
    "g_na": "real",
    "g_k": "real",
    "g_l": "real",
    "e_na": "real",
    "e_k": "real",
    "i_l": "real",
    "e_ex": "real",
    "e_in": "real",
    "minus_half_h_c": "real",
    "v_spike": "real",
    "n_ref": "count",
}

Array = npt.NDArray[np.float64]


def synaptic(p: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return decay and mean over a part of a step of what decays with tau_syn_ex and tau_syn_in."""
    x_ex = dt / p["substeps"] / p["tau_syn_ex"]
    x_in = dt / p["substeps"] / p["tau_syn_in"]
    return {
        "decay_ex": exp_array(-x_ex),
        "decay_in": exp_array(-x_in),
        "mean_ex": -expm1_array(-x_ex) / x_ex,
        "mean_in": -expm1_array(-x_in) / x_in,
    }


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `integrate` and `step`; potentials are relative to V_T."""
    p = parameters
    h = dt / p["substeps"]
    return {
        "substeps": p["substeps"],
        "h": h,
        **synaptic(p, dt),
        "g_na": p["g_Na"],
        "g_k": p["g_K"],
        "g_l": p["g_L"],
        "e_na": p["E_Na"] - p["V_T"],
        "e_k": p["E_K"] - p["V_T"],
        "i_l": p["g_L"] * (p["E_L"] - p["V_T"]) + p["I_e"],
        "e_ex": p["E_ex"] - p["V_T"],
        "e_in": p["E_in"] - p["V_T"],
        "minus_half_h_c": -0.5 * h / p["C_m"],
        "v_spike": np.asarray(30.0),
        "n_ref": np.rint(p["t_ref"] / dt),
    }


@inline
def drawn(v, g, i, minus_h_c):
    """Return V_m after a part of a step, drawn by a conductance g and a current i at V_m = 0."""
    end = i / g
    return end + (v - end) * exp(minus_h_c * g)


def rates(v):
    """Return alpha and beta of m, of h and of n, 1/ms, at a potential above V_T (compiled only)."""
    raise NotImplementedError


@overload(rates, jit_options={"forceinline": True, **FLAGS})
def _rates(v):
    # float32 code must see float32 constants, or the whole loop is promoted to float64
    real = np.float32 if v == types.float32 else np.float64
    one, half, twelfth, small = real(1.0), real(0.5), real(1.0 / 12.0), real(0.01)
    fifth, quarter, eighteenth, fortieth = real(0.2), real(0.25), real(1.0 / 18.0), real(0.025)
    v_10, v_13, v_15, v_17, v_40 = real(10.0), real(13.0), real(15.0), real(17.0), real(40.0)
    r_m, q_m, r_h, q_h = real(1.28), real(1.4), real(0.128), real(4.0)
    # e^-5 in digits: the last bit of a library's depends on the machine
    r_n, q_n, minus_5 = real(0.16), real(0.5), real(0.006737946999085467)

    @inline
    def ratio(x, e):
        """Return x/(e^x - 1), given e^x."""
        series = one - half * x + twelfth * (x * x)
        return series if abs(x) < small else x / (e - one)

    def compiled(v):
        x_m, x_40 = quarter * (v_13 - v), fifth * (v_40 - v)
        e_40 = exp(x_40)
        # x/(e^x - 1) at -x is that at x, times e^x
        return (
            r_m * ratio(x_m, exp(x_m)),
            q_m * ratio(x_40, e_40) * e_40,
            r_h * exp(eighteenth * (v_17 - v)),
            q_h / (one + e_40),
            r_n * ratio(fifth * (v_15 - v), minus_5 * e_40),
            q_n * exp(fortieth * (v_10 - v)),
        )

    return compiled


@inline
def gate(x, alpha, beta, h):
    """Return a gate after a time h with constant rates."""
    total = alpha + beta
    end = alpha / total
    return end + (x - end) * exp(-(h * total))


@inline
def integrate(
    v,
    m,
    h_gate,
    n,
    g_ex,
    g_in,
    v_before,
    refractory,
    current,
    substeps,
    h,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    g_na,
    g_k,
    g_l,
    e_na,
    e_k,
    i_l,
    e_ex,
    e_in,
    minus_half_h_c,
    v_spike,
    n_ref,
):
    """Advance one neuron by one part of a step, without input."""
    ex, in_ = mean_ex * g_ex, mean_in * g_in
    g, i = g_l + ex + in_, i_l + current + (ex * e_ex + in_ * e_in)
    na, k = g_na * (m * m * m * h_gate), g_k * (n * n) * (n * n)
    v = drawn(v, g + na + k, i + na * e_na + k * e_k, minus_half_h_c)
    a_m, b_m, a_h, b_h, a_n, b_n = rates(v)
    m, h_gate, n = gate(m, a_m, b_m, h), gate(h_gate, a_h, b_h, h), gate(n, a_n, b_n, h)
    na, k = g_na * (m * m * m * h_gate), g_k * (n * n) * (n * n)
    v = drawn(v, g + na + k, i + na * e_na + k * e_k, minus_half_h_c)
    return (
        flush(v),
        flush(m),
        flush(h_gate),
        flush(n),
        flush(decay_ex * g_ex),
        flush(decay_in * g_in),
        v_before,
        refractory,
        False,
    )


@inline
def step(
    v,
    m,
    h_gate,
    n,
    g_ex,
    g_in,
    v_before,
    refractory,
    in_ex,
    in_in,
    current,
    substeps,
    h,
    decay_ex,
    decay_in,
    mean_ex,
    mean_in,
    g_na,
    g_k,
    g_l,
    e_na,
    e_k,
    i_l,
    e_ex,
    e_in,
    minus_half_h_c,
    v_spike,
    n_ref,
):
    """Look for the potential's peak in a step and add its input; inhibitory input is negative."""
    spiked = (refractory == 0) & (v >= v_spike) & (v_before > v)
    left = np.int32(refractory - 1 if refractory > 0 else 0)
    left = n_ref if spiked else left
    return v, m, h_gate, n, g_ex + in_ex, g_in - in_in, v, left, spiked
