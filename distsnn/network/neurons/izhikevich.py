"""Izhikevich's simple neuron."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class Izhikevich(EquationNeuron):
    """Izhikevich's simple neuron (NEST's izhikevich).

    Between spikes, with times in ms and potentials in mV::

        dV_m/dt = 0.04 V_m² + 5 V_m + 140 - U_m + I_e
        dU_m/dt = a (b V_m - U_m)

    At V_m >= V_th the neuron spikes, V_m is set to c and U_m grows by d.

    With ``consistent_integration=1`` both are integrated by forward Euler over dt, and a weight is
    added to V_m before the threshold test. With 0 the step is the published one: V_m takes two
    steps of dt/2, U_m one of dt with the new V_m, and a weight is a current during that step; it is
    meant for dt = 1 ms. The error of either falls with dt itself.

    Source: Izhikevich (2003), IEEE Trans Neural Netw 14:1569; doi:10.1109/TNN.2003.820440.
    """

    name: ClassVar[str] = "izhikevich"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "izhikevich", "GeNN": "Izhikevich"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        published = 1 - consistent_integration : 1
        drive = 140*mV/ms + (I_e + I_stim)*mV/(pA*ms) + published*input(delta)/ms - U_m : mV/ms
        slope = (0.04*V_m/mV + 5)*V_m/ms + drive : mV/ms
        V_first = V_m + (1 - 0.5*published)*dt*slope : mV
        slope_first = (0.04*V_first/mV + 5)*V_first/ms + drive : mV/ms
        V_end = V_first + 0.5*published*dt*slope_first : mV
        dV_m/dt = (V_end - V_m)/dt : mV  # membrane potential
        dU_m/dt = a*(b*where(consistent_integration > 0, V_m, V_end) - U_m) : mV/ms  # recovery
        """,
        threshold="V_m >= V_th",
        reset="V_m = c; U_m += d",
        events={"floor": ("V_m < V_min", "V_m = V_min")},
        receptors={"delta": "V_m += consistent_integration*weight"},
        initial={"V_m": -65.0, "U_m": -13.0},
        method="euler",
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_min", "V_th"),)

    a: Value = parameter(default=0.02, unit="1/ms", doc="rate of recovery")
    b: Value = parameter(default=0.2, unit="1/ms", doc="sensitivity of recovery")
    c: Value = parameter(default=-65.0, unit="mV", doc="potential after a spike")
    d: Value = parameter(default=8.0, unit="mV/ms", doc="recovery by a spike")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current, which counts as mV/ms")
    V_th: Value = parameter(default=30.0, unit="mV", doc="spike threshold")
    V_min: Value = parameter(default=-1e30, unit="mV", doc="lower bound of V_m")
    consistent_integration: Value = parameter(
        default=1.0,
        unit="1",
        doc="1: forward Euler; 0: the published step",
        low=0.0,
        high=1.0,
        integer=True,
    )
