"""Synapses of NMDA receptors, whose gating saturates."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.distributions import Distribution
from distsnn.network.equations.transmission_model import (
    EquationTransmission,
    TransmissionEquations,
)
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import TAIL, Value, value_bounds

# Largest alpha * tau_rise, beyond which a spike opens all receptors.
_LARGEST = 100.0


@synapse_model
class NmdaSynapse(EquationTransmission):
    """Saturating gating of NMDA receptors, as a jump at each spike (as in NEST's iaf_bw_2001).

    The gating s of a source follows ds/dt = -s/tau_decay + alpha x (1 - s), dx/dt = -x/tau_rise; a
    spike adds 1 to x. With tau_rise far below tau_decay and below the intervals between spikes,
    each spike makes s jump by k_0 + k_1 s, with k_1 = exp(-alpha tau_rise) - 1. A spike acts with
    weight * jump, on a receptor that decays with tau_decay, such as ``NMDA`` of `IafBw2001`.

    In NEST the source's neuron model computes the jump and sends it with its spike; here it is a
    property of the projection, and any neuron may be the source.

    Source: Wang (1999), J Neurosci 19:9587; Brunel & Wang (2001), J Comput Neurosci 11:63.
    """

    name: ClassVar[str] = "nmda_synapse"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "a part of `iaf_bw_2001`",
        "Brian2": "equations, not approximated",
    }
    equations: ClassVar[TransmissionEquations] = TransmissionEquations(
        """
        r = tau_rise/tau_decay : 1
        opening = alpha*tau_rise : 1
        k_0 = opening**r*lower_gamma(1 - r, opening) : 1
        k_1 = -opening*exprel(-opening) : 1
        ds/dt = -s/tau_decay : 1 (pre)  # gating, which a spike raises at once
        """,
        on_pre="""
            jump = k_0 + k_1*s
            s += jump
        """,
        transmit="w*jump",
        ranges={"s": ">= 0 and <= 1"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("tau_rise", "tau_decay"),)

    alpha: Value = parameter(default=0.5, unit="1/ms", doc="rate of opening", above=0.0)
    tau_rise: Value = parameter(default=2.0, unit="ms", doc="decay of x", above=0.0)
    tau_decay: Value = parameter(default=100.0, unit="ms", doc="decay of s", above=0.0)

    def check(self, size: int, *, where: str) -> None:
        """Check shapes and ranges of all parameters for `size` sources.

        Raises
        ------
        DescriptionError
            For the first parameter that cannot be simulated.
        """
        super().check(size, where=where)
        opening, _ = self._extremes()
        if opening > _LARGEST:
            raise DescriptionError(
                "alpha * tau_rise is too large",
                where=where,
                value=opening,
                allowed=f"<= {_LARGEST:g}",
            )

    def max_factor(self) -> float:
        """Return a bound of the jumps: they grow with alpha tau_rise and tau_rise/tau_decay."""
        opening, ratio = self._extremes()
        return min(opening / (1.0 - ratio), math.pow(opening, ratio) * math.gamma(1.0 - ratio))

    def _extremes(self) -> tuple[float, float]:
        """Return the largest alpha * tau_rise and tau_rise/tau_decay."""
        low, high = (
            {
                name: value_bounds(value, TAIL)[side] if isinstance(value, Distribution) else value
                for name, value in ((name, self.value(name)) for name in self.parameters())
            }
            for side in (0, 1)
        )
        opening = np.max(np.multiply(high["alpha"], high["tau_rise"]), initial=0.0)
        ratio = np.max(np.divide(high["tau_rise"], low["tau_decay"]), initial=0.0)
        return float(opening), float(ratio)
