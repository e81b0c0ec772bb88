"""Point process neurons whose dead time is drawn at each spike (NEST's dead_time_random)."""

from __future__ import annotations

from distsnn.network.checks import as_integer
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronModel
from distsnn.network.neurons.pp_psc_delta import PpPscDelta
from distsnn.network.registry import neuron_function
from distsnn.network.values import ValueLike

# Every stage takes a random number in each step, and a product of 5 numbers is never 0 in float32.
_MOST_STAGES = 5


@neuron_function(
    {"NEST": "`pp_psc_delta` with dead_time_random and a shape of at most 5"},
    ({"dead_time_shape": shape} for shape in range(1, _MOST_STAGES + 1)),
    dead_time_shape=2,
)
def pp_psc_delta_random(dead_time_shape: int = 1, **parameters: ValueLike) -> EquationNeuron:
    """Return point process neurons with a dead time that is drawn at each spike.

    The equations are as in `PpPscDelta`, which is NEST's pp_psc_delta, with dead_time_random
    true. Dead times have a gamma distribution with the mean dead_time, as the sum of
    dead_time_shape exponentially distributed stages. As in NEST, a neuron is dead for the whole
    steps in it. It takes 1 + dead_time_shape random numbers a step.

    Parameters
    ----------
    dead_time_shape : int
        Shape of the gamma distribution, 1 to 5; NEST allows more.
    **parameters : float, array_like (n,) or Distribution
        Parameters of `PpPscDelta`, where they differ from its defaults; dead_time is > 0, and need
        not be a multiple of dt.

    Raises
    ------
    DescriptionError
        If the shape is not allowed, or a parameter is unknown.
    """
    where = "pp_psc_delta_random, dead_time_shape"
    shape = as_integer(dead_time_shape, where=where, low=1, high=_MOST_STAGES)
    text = PpPscDelta.equations
    draws = "*".join(["uniform()"] * shape)
    specs = {
        name: (getattr(PpPscDelta, name), parameter.unit, str(parameter.allowed))
        for name, parameter in PpPscDelta.parameters().items()
    }
    model = NeuronModel(
        f"{text.equations}\nddead/dt = -1 : ms  # dead time that is left, if it is above 0",
        threshold=f"dead < 0 and {text.threshold}",
        reset=f"{text.reset}; dead = -dead_time/{shape}*log({draws})",
        receptors=text.receptors,
        parameters=specs | {"dead_time": (PpPscDelta.dead_time, "ms", "> 0")},
        name="pp_psc_delta_random",
    )
    return model(**parameters)
