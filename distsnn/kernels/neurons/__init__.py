"""One module a neuron model: `propagators` (parameters to constants) and `step` (one neuron, dt).

A module defines

- ``STATES``, ``RECEPTORS``: names in the order in which `step` takes them;
- ``CONSTANTS``: name -> "real", "double" (float64) or "count" (int32), in the order in which `step`
  takes them;
- ``propagators(parameters, dt)``: float64 scalars or arrays in, the constants out;
- ``step(*states, *inputs, current, *constants) -> (*states, spiked)``: branch-free, in `inline`;
  inputs arrive in the receptor's unit, `current` in pA.

and, where the model needs it,

- ``integrate(*states, current, *constants) -> (*states, spiked)``: called before `step`, as often
  as the constant "substeps" says, each time over dt/substeps; what of the constants depends on the
  length of a part is `propagators`' business. The neuron spikes if any of the calls says so;
- ``DRAWS``: for each random number that `step` takes after `current` its kind, "uniform" in (0, 1)
  or "normal";
- ``TIME = True``: `step` takes the times at which the step begins and ends, ms (float64), after the
  random numbers;
- ``RELAY = True``: `step` returns the number of spikes in place of a bool.

`distsnn.codegen` wraps a step into the loop over neurons, for float32 and float64, for constants
that are shared or one per neuron.
"""
