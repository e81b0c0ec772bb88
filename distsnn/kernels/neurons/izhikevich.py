"""Izhikevich's simple neuron: forward Euler, or the published step."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.jit import inline
from distsnn.kernels.functions import flush

STATES = ("V_m", "U_m")
RECEPTORS = ("delta",)
CONSTANTS = {
    "h_first": "real",
    "h_second": "real",
    "share": "real",
    "jump": "real",
    "late": "count",
    "square": "real",
    "linear": "real",
    "drive": "real",
    "a_dt": "real",
    "b": "real",
    "v_min": "real",
    "v_th": "real",
    "c": "real",
    "d": "real",
}

Array = npt.NDArray[np.float64]


def propagators(parameters: Mapping[str, Array], dt: float) -> dict[str, Array]:
    """Return the constants of `step`."""
    p = parameters
    consistent = p["consistent_integration"]
    published = 1.0 - consistent
    return {
        # V_m's two steps, the first of which is the only one of forward Euler
        "h_first": dt * (1.0 - 0.5 * published),
        "h_second": 0.5 * dt * published,
        # a weight is a current, or a jump
        "share": published,
        "jump": consistent,
        "late": published,
        "square": np.asarray(0.04),
        "linear": np.asarray(5.0),
        "drive": 140.0 + p["I_e"],
        "a_dt": p["a"] * dt,
        "b": p["b"],
        "v_min": p["V_min"],
        "v_th": p["V_th"],
        "c": p["c"],
        "d": p["d"],
    }


@inline
def step(
    v,
    u,
    in_delta,
    current,
    h_first,
    h_second,
    share,
    jump,
    late,
    square,
    linear,
    drive,
    a_dt,
    b,
    v_min,
    v_th,
    c,
    d,
):
    """Advance one neuron by dt."""
    i = drive + current + share * in_delta - u
    new = v + h_first * ((square * v + linear) * v + i)
    new = new + h_second * ((square * new + linear) * new + i)
    u = u + a_dt * (b * (new if late > 0 else v) - u)
    new = new + jump * in_delta
    new = v_min if new < v_min else new
    spiked = new >= v_th
    return flush(c if spiked else new), flush(u + d if spiked else u), spiked
