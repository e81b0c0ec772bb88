"""One module a neuron model: `propagators` (parameters to constants) and `step` (one neuron, dt).

A module defines

- ``STATES``, ``RECEPTORS``: names in the order of the arguments of `step`;
- ``CONSTANTS``: name -> "real", "double" (float64) or "count" (int32), in the order in which `step`
  takes them;
- ``propagators(parameters, dt)``: float64 scalars or arrays in, the constants out;
- ``step(*states, *inputs, current, *constants) -> (*states, spiked)``: branch-free, in `inline`;
  inputs arrive in the receptor's unit, `current` in pA.

and, if the model needs it,

- ``integrate(*states, current, *constants) -> (*states, spiked)``: called "substeps" times
  before `step`, each time for dt/substeps; `propagators` computes the constants for this length.
  The neuron spikes if any call returns a spike;
- ``DRAWS``: for each random number that `step` takes after `current` its kind, "uniform" in (0, 1)
  or "normal";
- ``TIME = True``: `step` takes the times at which the step begins and ends, ms (float64), after the
  random numbers;
- ``RELAY = True``: `step` returns the number of spikes instead of a bool.

`distsnn.codegen` wraps a step into the loop over neurons, for float32 and float64, for constants
that are shared or one per neuron.
"""
