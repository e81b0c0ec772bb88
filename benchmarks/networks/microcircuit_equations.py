"""The microcircuit, with its neurons written as equations in place of the built-in ones."""

from dataclasses import replace

from distsnn.examples import microcircuit
from distsnn.network import Network, NeuronModel

LIF = NeuronModel(
    equations="""
        dV_m/dt = -(V_m - E_L)/tau_m + (I_syn + I_e)/C_m : mV
        dI_syn/dt = -I_syn/tau_syn : pA
    """,
    threshold="V_m >= V_th",
    reset="V_m = V_reset",
    refractory="t_ref",
    receptors={"syn": "I_syn"},
    parameters={
        "C_m": (250.0, "pF", "> 0"),
        "tau_m": (10.0, "ms", "> 0"),
        "tau_syn": (0.5, "ms", "> 0"),
        "t_ref": (2.0, "ms"),
        "E_L": (-65.0, "mV"),
        "V_reset": (-65.0, "mV"),
        "V_th": (-50.0, "mV"),
        "I_e": (0.0, "pA"),
    },
    initial={"V_m": "E_L"},
    name="own_lif",
)


def build(scale: float = 0.1) -> Network:
    """Return the microcircuit at a scale."""
    network = microcircuit.build(scale=scale)
    populations = [
        replace(one, model=LIF(**{name: one.model.value(name) for name in LIF.parameters}))
        for one in network.populations
    ]
    return replace(network, populations=populations)
