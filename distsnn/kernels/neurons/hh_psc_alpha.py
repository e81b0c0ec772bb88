"""hh_psc_alpha, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dAct_m/dt = alpha_m*(1 - Act_m) - beta_m*Act_m
    dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h
    dAct_n/dt = alpha_n*(1 - Act_n) - beta_n*Act_n
    dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex
    ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex
    dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in
    ddI_syn_in/dt = -dI_syn_in/tau_syn_in
    dV_before/dt = 0*mV/ms

Integration, exact: I_syn_ex, dI_syn_ex, I_syn_in, dI_syn_in, V_before
Integration, strang: V_m, Act_m, Inact_h, Act_n
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, exprel, flush
from distsnn.kernels.propagators import exponential

STATES = (
    "V_m",
    "Act_m",
    "Inact_h",
    "Act_n",
    "I_syn_ex",
    "dI_syn_ex",
    "I_syn_in",
    "dI_syn_in",
    "V_before",
    "refractory",
)
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "I_syn_ex_by_dI_syn_ex": "real",
    "decay_I_syn_ex": "real",
    "I_syn_in_by_dI_syn_in": "real",
    "decay_I_syn_in": "real",
    "mean_by_I_syn_ex": "real",
    "mean_by_dI_syn_ex": "real",
    "mean_by_I_syn_in": "real",
    "mean_by_dI_syn_in": "real",
    "c_g_K": "real",
    "c_g_Na": "real",
    "c_g_L": "real",
    "k15": "real",
    "k16": "real",
    "k17": "real",
    "k18": "real",
    "k19": "real",
    "k20": "real",
    "k21": "real",
    "k22": "real",
    "k23": "real",
    "k24": "real",
    "k25": "real",
    "k26": "real",
    "k27": "real",
    "k28": "real",
    "k29": "real",
    "k30": "real",
    "k31": "real",
    "k32": "real",
    "k33": "real",
    "k34": "real",
    "k35": "real",
    "k36": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    m0 = exponential(
        2, {(0, 0): -1.0 / p["tau_syn_ex"], (0, 1): 1.0, (1, 1): -1.0 / p["tau_syn_ex"]}, h
    )
    I_syn_ex_by_dI_syn_ex = m0[0, 1]
    decay_I_syn_ex = exp_array(-h / p["tau_syn_ex"])
    m3 = exponential(
        2, {(0, 0): -1.0 / p["tau_syn_in"], (0, 1): 1.0, (1, 1): -1.0 / p["tau_syn_in"]}, h
    )
    I_syn_in_by_dI_syn_in = m3[0, 1]
    decay_I_syn_in = exp_array(-h / p["tau_syn_in"])
    m6 = exponential(
        3,
        {
            (0, 0): -1.0 / p["tau_syn_ex"],
            (0, 1): 1.0,
            (1, 1): -1.0 / p["tau_syn_ex"],
            (2, 0): 1.0 / h,
        },
        h,
    )
    mean_by_I_syn_ex = m6[2, 0]
    mean_by_dI_syn_ex = m6[2, 1]
    m9 = exponential(
        3,
        {
            (0, 0): -1.0 / p["tau_syn_in"],
            (0, 1): 1.0,
            (1, 1): -1.0 / p["tau_syn_in"],
            (2, 0): 1.0 / h,
        },
        h,
    )
    mean_by_I_syn_in = m9[2, 0]
    mean_by_dI_syn_in = m9[2, 1]
    c_g_K = p["g_K"]
    c_g_Na = p["g_Na"]
    c_g_L = p["g_L"]
    k15 = p["E_K"] * p["g_K"]
    k16 = p["E_Na"] * p["g_Na"]
    k17 = p["I_e"] + (p["E_L"] * p["g_L"])
    k18 = -0.5 * h / p["C_m"]
    k19 = 1.0
    k20 = 0.1
    k21 = -4.0
    k22 = 0.05555555555555555
    k23 = -3.611111111111111
    k24 = 4.0
    k25 = -h
    k26 = -3.5
    k27 = 0.05
    k28 = -3.25
    k29 = 0.07
    k30 = -5.5
    k31 = 0.0125
    k32 = -0.8125
    k33 = 0.125
    k34 = exp_array(1.0) / p["tau_syn_ex"]
    k35 = exp_array(1.0) / p["tau_syn_in"]
    k36 = 0.0
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "I_syn_ex_by_dI_syn_ex": I_syn_ex_by_dI_syn_ex,
        "decay_I_syn_ex": decay_I_syn_ex,
        "I_syn_in_by_dI_syn_in": I_syn_in_by_dI_syn_in,
        "decay_I_syn_in": decay_I_syn_in,
        "mean_by_I_syn_ex": mean_by_I_syn_ex,
        "mean_by_dI_syn_ex": mean_by_dI_syn_ex,
        "mean_by_I_syn_in": mean_by_I_syn_in,
        "mean_by_dI_syn_in": mean_by_dI_syn_in,
        "c_g_K": c_g_K,
        "c_g_Na": c_g_Na,
        "c_g_L": c_g_L,
        "k15": k15,
        "k16": k16,
        "k17": k17,
        "k18": k18,
        "k19": k19,
        "k20": k20,
        "k21": k21,
        "k22": k22,
        "k23": k23,
        "k24": k24,
        "k25": k25,
        "k26": k26,
        "k27": k27,
        "k28": k28,
        "k29": k29,
        "k30": k30,
        "k31": k31,
        "k32": k32,
        "k33": k33,
        "k34": k34,
        "k35": k35,
        "k36": k36,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    Act_m,
    Inact_h,
    Act_n,
    I_syn_ex,
    dI_syn_ex,
    I_syn_in,
    dI_syn_in,
    V_before,
    refractory,
    current,
    c_ref,
    substeps,
    I_syn_ex_by_dI_syn_ex,
    decay_I_syn_ex,
    I_syn_in_by_dI_syn_in,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_dI_syn_ex,
    mean_by_I_syn_in,
    mean_by_dI_syn_in,
    c_g_K,
    c_g_Na,
    c_g_L,
    k15,
    k16,
    k17,
    k18,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    k26,
    k27,
    k28,
    k29,
    k30,
    k31,
    k32,
    k33,
    k34,
    k35,
    k36,
):
    """Advance one neuron by one part of a step, without input."""
    mean_I_syn_ex = mean_by_I_syn_ex * I_syn_ex + mean_by_dI_syn_ex * dI_syn_ex
    mean_I_syn_in = mean_by_I_syn_in * I_syn_in + mean_by_dI_syn_in * dI_syn_in
    t3 = Act_n * Act_n * Act_n * Act_n
    t4 = c_g_K * t3
    t5 = Act_m * Act_m * Act_m
    t6 = c_g_Na * t5 * Inact_h
    t7 = t4 + t6 + c_g_L
    t8 = k15 * t3
    t9 = k16 * t5 * Inact_h
    t10 = current + mean_I_syn_ex + mean_I_syn_in + t8 + t9 + k17
    t11 = (t10) / t7
    t12 = V_m - t11
    t13 = k18 * t7
    t14 = exp(t13)
    t15 = t12 * t14
    t16 = t11 + t15
    t17 = k20 * t16
    t18 = k21 - t17
    t19 = exprel(t18)
    t20 = k19 / t19
    t21 = k22 * t16
    t22 = k23 - t21
    t23 = exp(t22)
    t24 = k24 * t23
    t25 = t20 + t24
    t26 = t25 * t19
    t27 = (k19) / t26
    t28 = Act_m - t27
    t29 = k25 * t25
    t30 = exp(t29)
    t31 = t28 * t30
    t32 = t27 + t31
    t33 = k26 - t17
    t34 = exp(t33)
    t35 = t34 + k19
    t36 = k19 / t35
    t37 = k27 * t16
    t38 = k28 - t37
    t39 = exp(t38)
    t40 = k29 * t39
    t41 = t36 + t40
    t42 = (k29 * t39) / t41
    t43 = Inact_h - t42
    t44 = k25 * t41
    t45 = exp(t44)
    t46 = t43 * t45
    t47 = t42 + t46
    t48 = k30 - t17
    t49 = exprel(t48)
    t50 = (k20) / t49
    t51 = k31 * t16
    t52 = k32 - t51
    t53 = exp(t52)
    t54 = k33 * t53
    t55 = t50 + t54
    t56 = t55 * t49
    t57 = (k20) / t56
    t58 = Act_n - t57
    t59 = k25 * t55
    t60 = exp(t59)
    t61 = t58 * t60
    t62 = t57 + t61
    t63 = t62 * t62 * t62 * t62
    t64 = c_g_K * t63
    t65 = t32 * t32 * t32
    t66 = c_g_Na * t65 * t47
    t67 = t64 + t66 + c_g_L
    t68 = k15 * t63
    t69 = k16 * t65 * t47
    t70 = current + mean_I_syn_ex + mean_I_syn_in + t68 + t69 + k17
    t71 = (t70) / t67
    t72 = t16 - t71
    t73 = k18 * t67
    t74 = exp(t73)
    t75 = t72 * t74
    t76 = t71 + t75
    new_V_m = flush(t76)
    new_Act_m = flush(t32)
    new_Inact_h = flush(t47)
    new_Act_n = flush(t62)
    new_I_syn_ex = flush(decay_I_syn_ex * I_syn_ex + I_syn_ex_by_dI_syn_ex * dI_syn_ex)
    new_dI_syn_ex = flush(decay_I_syn_ex * dI_syn_ex)
    new_I_syn_in = flush(decay_I_syn_in * I_syn_in + I_syn_in_by_dI_syn_in * dI_syn_in)
    new_dI_syn_in = flush(decay_I_syn_in * dI_syn_in)
    new_V_before = V_before
    left = refractory
    return (
        new_V_m,
        new_Act_m,
        new_Inact_h,
        new_Act_n,
        new_I_syn_ex,
        new_dI_syn_ex,
        new_I_syn_in,
        new_dI_syn_in,
        new_V_before,
        left,
        False,
    )


@inline
def step(
    V_m,
    Act_m,
    Inact_h,
    Act_n,
    I_syn_ex,
    dI_syn_ex,
    I_syn_in,
    dI_syn_in,
    V_before,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    I_syn_ex_by_dI_syn_ex,
    decay_I_syn_ex,
    I_syn_in_by_dI_syn_in,
    decay_I_syn_in,
    mean_by_I_syn_ex,
    mean_by_dI_syn_ex,
    mean_by_I_syn_in,
    mean_by_dI_syn_in,
    c_g_K,
    c_g_Na,
    c_g_L,
    k15,
    k16,
    k17,
    k18,
    k19,
    k20,
    k21,
    k22,
    k23,
    k24,
    k25,
    k26,
    k27,
    k28,
    k29,
    k30,
    k31,
    k32,
    k33,
    k34,
    k35,
    k36,
):
    """End a step: add its input."""
    held = refractory > 0
    new_dI_syn_ex = dI_syn_ex + k34 * in_ex
    new_dI_syn_in = dI_syn_in + k35 * in_in
    t3 = V_m >= k36
    t4 = V_before - V_m
    t5 = t4 > k36
    t6 = t3 & t5
    spiked = t6 & (not held)
    end_V_before = V_m
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return (
        V_m,
        Act_m,
        Inact_h,
        Act_n,
        I_syn_ex,
        new_dI_syn_ex,
        I_syn_in,
        new_dI_syn_in,
        end_V_before,
        left,
        spiked,
    )
