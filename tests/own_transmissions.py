"""Synapse models with states of sources, written as equations: also what built-in ones are."""

from distsnn.network import TransmissionModel

# Facilitation alone, with the use of a first spike as the initial value (Markram et al. 1998).
FACILITATING = TransmissionModel(
    traces="du/dt = (U - u)/tau_fac : 1 (pre)  # share of the resources that the next spike uses",
    on_pre="used = u; u += U*(1 - u)",
    transmit="w*used",
    ranges={"u": ">= 0 and <= 1"},
    parameters={"U": (0.2, "1", ">= 0 and <= 1"), "tau_fac": (40.0, "ms", "> 0")},
    name="facilitating",
)

# The three states of `Tsodyks`, by source.
TSODYKS = TransmissionModel(
    traces="""
        dx/dt = (1 - y - x)/tau_rec : 1 (pre)
        dy/dt = -y/tau_psc : 1 (pre)
        du/dt = -u/tau_fac : 1 (pre)
    """,
    on_pre="""
        u += U*(1 - u)
        released = u*max(x, 0)
        x -= released
        y += released
    """,
    transmit="w*released",
    parameters={
        "U": (0.5, "1", ">= 0 and <= 1"),
        "tau_psc": (3.0, "ms", "> 0"),
        "tau_fac": (20.0, "ms"),
        "tau_rec": (80.0, "ms", "> 0"),
    },
    name="tsodyks_of_sources",
)

DEPRESSING = TransmissionModel(
    traces="""
        dx/dt = (1 - x)/tau_rec : 1 (pre)  # resources available
        du/dt = -u/tau_fac : 1 (pre)  # share of them that the last spike used, fading
    """,
    on_pre="u += U*(1 - u); released = u*x; x -= released",
    transmit="w*released",
    parameters={
        "U": (0.5, "1", ">= 0 and <= 1"),
        "tau_rec": (800.0, "ms", "> 0"),
        "tau_fac": (0.0, "ms"),
    },
    name="depressing",
)
