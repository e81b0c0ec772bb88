"""hh_cond_exp_traub, generated from its equations by distsnn.codegen.built_in: do not edit.

    dV_m/dt = I/C_m
    dAct_m/dt = alpha_m*(1 - Act_m) - beta_m*Act_m
    dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h
    dAct_n/dt = alpha_n*(1 - Act_n) - beta_n*Act_n
    dg_ex/dt = -g_ex/tau_syn_ex
    dg_in/dt = -g_in/tau_syn_in
    dV_before/dt = 0*mV/ms

Integration, exact: g_ex, g_in, V_before
Integration, strang: V_m, Act_m, Inact_h, Act_n
"""

import numpy as np

from distsnn.jit import inline
from distsnn.kernels.functions import exp, exp_array, expm1_array, flush
from distsnn.kernels.propagators import exponential

STATES = ("V_m", "Act_m", "Inact_h", "Act_n", "g_ex", "g_in", "V_before", "refractory")
RECEPTORS = ("ex", "in")
CONSTANTS = {
    "c_ref": "count",
    "substeps": "count",
    "decay_g_ex": "real",
    "decay_g_in": "real",
    "mean_by_g_ex": "real",
    "mean_by_g_in": "real",
    "c_g_K": "real",
    "c_g_Na": "real",
    "c_g_L": "real",
    "c_E_ex": "real",
    "c_E_in": "real",
    "k11": "real",
    "k12": "real",
    "c_I_e": "real",
    "k14": "real",
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
    "k37": "real",
    "k38": "real",
    "k39": "real",
    "k40": "real",
    "k41": "real",
}


def propagators(parameters, dt):
    """Return the constants of a part of a step."""
    p = parameters
    h = dt / p["substeps"]
    c_ref = np.rint(p["t_ref"] / dt)
    substeps = np.asarray(p["substeps"])
    decay_g_ex = exp_array(-h / p["tau_syn_ex"])
    decay_g_in = expm1_array(-h / p["tau_syn_in"])
    m2 = exponential(2, {(0, 0): -1.0 / p["tau_syn_ex"], (1, 0): 1.0 / h}, h)
    mean_by_g_ex = m2[1, 0]
    m4 = exponential(2, {(0, 0): -1.0 / p["tau_syn_in"], (1, 0): 1.0 / h}, h)
    mean_by_g_in = m4[1, 0]
    c_g_K = p["g_K"]
    c_g_Na = p["g_Na"]
    c_g_L = p["g_L"]
    c_E_ex = p["E_ex"] - p["E_L"]
    c_E_in = p["E_in"] - p["E_L"]
    k11 = p["g_K"] * (p["E_K"] - p["E_L"])
    k12 = p["g_Na"] * (p["E_Na"] - p["E_L"])
    c_I_e = p["I_e"]
    k14 = -0.5 * h / p["C_m"]
    k15 = 0.2
    k16 = 8.0 + (0.2 * p["V_T"]) - (0.2 * p["E_L"])
    k17 = 0.01
    k18 = 0.1
    k19 = 0.08333333333333333
    k20 = (0.1 * p["E_L"]) - 3.0 - (0.1 * p["V_T"])
    k21 = 1.0
    k22 = 1.4
    k23 = 0.25
    k24 = 3.25 + (0.25 * p["V_T"]) - (0.25 * p["E_L"])
    k25 = 0.125
    k26 = (0.125 * p["E_L"]) - 0.625 - (0.125 * p["V_T"])
    k27 = 1.28
    k28 = -h
    k29 = 4.0
    k30 = 0.05555555555555555
    k31 = 0.9444444444444444 + (0.05555555555555555 * p["V_T"]) - (0.05555555555555555 * p["E_L"])
    k32 = 0.128
    k33 = 3.0 + (0.2 * p["V_T"]) - (0.2 * p["E_L"])
    k34 = (0.1 * p["E_L"]) - 0.5 - (0.1 * p["V_T"])
    k35 = exp_array(-5.0)
    k36 = 0.16
    k37 = 0.025
    k38 = 0.25 + (0.025 * p["V_T"]) - (0.025 * p["E_L"])
    k39 = 0.5
    k40 = 30.0 + p["V_T"] - p["E_L"]
    k41 = 0.0
    constants = {
        "c_ref": c_ref,
        "substeps": substeps,
        "decay_g_ex": decay_g_ex,
        "decay_g_in": decay_g_in,
        "mean_by_g_ex": mean_by_g_ex,
        "mean_by_g_in": mean_by_g_in,
        "c_g_K": c_g_K,
        "c_g_Na": c_g_Na,
        "c_g_L": c_g_L,
        "c_E_ex": c_E_ex,
        "c_E_in": c_E_in,
        "k11": k11,
        "k12": k12,
        "c_I_e": c_I_e,
        "k14": k14,
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
        "k37": k37,
        "k38": k38,
        "k39": k39,
        "k40": k40,
        "k41": k41,
    }
    return {name: np.asarray(one, np.float64) for name, one in constants.items()}


@inline
def integrate(
    V_m,
    Act_m,
    Inact_h,
    Act_n,
    g_ex,
    g_in,
    V_before,
    refractory,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    c_g_K,
    c_g_Na,
    c_g_L,
    c_E_ex,
    c_E_in,
    k11,
    k12,
    c_I_e,
    k14,
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
    k37,
    k38,
    k39,
    k40,
    k41,
):
    """Advance one neuron by one part of a step, without input."""
    mean_g_ex = mean_by_g_ex * g_ex
    mean_g_in = mean_by_g_in * g_in
    t3 = Act_n * Act_n * Act_n * Act_n
    t4 = c_g_K * t3
    t5 = Act_m * Act_m * Act_m
    t6 = c_g_Na * t5 * Inact_h
    t7 = mean_g_ex + mean_g_in + t4 + t6 + c_g_L
    t8 = c_E_ex * mean_g_ex
    t9 = c_E_in * mean_g_in
    t10 = k11 * t3
    t11 = k12 * t5 * Inact_h
    t12 = current + t8 + t9 + t10 + t11 + c_I_e
    t13 = (t12) / t7
    t14 = V_m - t13
    t15 = k14 * t7
    t16 = exp(t15)
    t17 = t14 * t16
    t18 = t13 + t17
    t19 = k15 * t18
    t20 = k16 - t19
    t21 = abs(t20)
    t22 = t21 < k17
    t23 = k18 * t18
    t24 = t20 * t20
    t25 = k19 * t24
    t26 = t23 + t25 + k20
    t27 = exp(t20)
    t28 = t27 - k21
    t29 = (t20) / t28
    t30 = t26 if t22 else t29
    t31 = k22 * t30 * t27
    t32 = k23 * t18
    t33 = k24 - t32
    t34 = abs(t33)
    t35 = t34 < k17
    t36 = k25 * t18
    t37 = t33 * t33
    t38 = k19 * t37
    t39 = t36 + t38 + k26
    t40 = exp(t33)
    t41 = t40 - k21
    t42 = (t33) / t41
    t43 = t39 if t35 else t42
    t44 = k27 * t43
    t45 = t31 + t44
    t46 = (k27 * t43) / t45
    t47 = Act_m - t46
    t48 = k28 * t45
    t49 = exp(t48)
    t50 = t47 * t49
    t51 = t46 + t50
    t52 = t27 + k21
    t53 = (k29) / t52
    t54 = k30 * t18
    t55 = k31 - t54
    t56 = exp(t55)
    t57 = k32 * t56
    t58 = t53 + t57
    t59 = (k32 * t56) / t58
    t60 = Inact_h - t59
    t61 = k28 * t58
    t62 = exp(t61)
    t63 = t60 * t62
    t64 = t59 + t63
    t65 = k33 - t19
    t66 = abs(t65)
    t67 = t66 < k17
    t68 = t65 * t65
    t69 = k19 * t68
    t70 = t23 + t69 + k34
    t71 = k35 * t27
    t72 = t71 - k21
    t73 = (t65) / t72
    t74 = t70 if t67 else t73
    t75 = k36 * t74
    t76 = k37 * t18
    t77 = k38 - t76
    t78 = exp(t77)
    t79 = k39 * t78
    t80 = t75 + t79
    t81 = (k36 * t74) / t80
    t82 = Act_n - t81
    t83 = k28 * t80
    t84 = exp(t83)
    t85 = t82 * t84
    t86 = t81 + t85
    t87 = t86 * t86 * t86 * t86
    t88 = c_g_K * t87
    t89 = t51 * t51 * t51
    t90 = c_g_Na * t89 * t64
    t91 = mean_g_ex + mean_g_in + t88 + t90 + c_g_L
    t92 = c_E_ex * mean_g_ex
    t93 = c_E_in * mean_g_in
    t94 = k11 * t87
    t95 = k12 * t89 * t64
    t96 = current + t92 + t93 + t94 + t95 + c_I_e
    t97 = (t96) / t91
    t98 = t18 - t97
    t99 = k14 * t91
    t100 = exp(t99)
    t101 = t98 * t100
    t102 = t97 + t101
    new_V_m = flush(t102)
    new_Act_m = flush(t51)
    new_Inact_h = flush(t64)
    new_Act_n = flush(t86)
    new_g_ex = flush(decay_g_ex * g_ex)
    new_g_in = flush(g_in + (decay_g_in * g_in))
    new_V_before = V_before
    left = refractory
    return new_V_m, new_Act_m, new_Inact_h, new_Act_n, new_g_ex, new_g_in, new_V_before, left, False


@inline
def step(
    V_m,
    Act_m,
    Inact_h,
    Act_n,
    g_ex,
    g_in,
    V_before,
    refractory,
    in_ex,
    in_in,
    current,
    c_ref,
    substeps,
    decay_g_ex,
    decay_g_in,
    mean_by_g_ex,
    mean_by_g_in,
    c_g_K,
    c_g_Na,
    c_g_L,
    c_E_ex,
    c_E_in,
    k11,
    k12,
    c_I_e,
    k14,
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
    k37,
    k38,
    k39,
    k40,
    k41,
):
    """End a step: add its input."""
    held = refractory > 0
    new_g_ex = g_ex + in_ex
    new_g_in = g_in - in_in
    t3 = V_m >= k40
    t4 = V_before - V_m
    t5 = t4 > k41
    t6 = t3 & t5
    spiked = t6 & (not held)
    end_V_before = V_m
    left = np.int32(refractory - 1 if held else 0)
    left = c_ref if spiked else left
    return V_m, Act_m, Inact_h, Act_n, new_g_ex, new_g_in, end_V_before, left, spiked
