"""One module per plasticity rule: the effect of spikes of source and target on a synapse.

A module describes one synapse and one event; loops over rows and histories of spikes are generated
(`distsnn.codegen.plasticity`). It defines

- `SOURCE`, `TARGET`: names of the source's and of the target's traces;
- `STATES`: names of a synapse's states besides its weight;
- `DECAYS`: for each trace or state that decays, the constant with its time constant (steps);
- `CONSTANTS`: the kind, "real", of each constant;
- `constants(parameters, dt)`: the constants from a description's fields by name: parameters are
  float64 arrays without axes, or with one value per synapse; `w_max` is a magnitude; dt in ms;
- `source_spike(*source, *constants)`, `target_spike(*target, *constants)`: traces, decayed to
  now, -> after a spike;
- `on_post(w, *states, *source, *target, *constants)`: weight and states after a spike of the
  target; the source's traces are decayed to it, the target's traces are just before it;
- `on_pre(w, *states, *source, *target, *constants)`: the same for a spike of the source; its
  traces are just before it, the target's traces contain spikes strictly before it.

It may also define

- `MODULATED = True`: the modulator's value at the event follows the traces in `on_post` and
  `on_pre`. It is constant if "m" is not in `DECAYS`;
- `modulator_spike(m, *constants)`: the modulator after a spike of one of its neurons;
- `between(w, *states, steps, m, *constants)`: weight and states after an interval without events, m
  being the modulator at its start. It is called before every event and every change of the
  modulator, never for reading. States do not decay separately then.

A rule that uses states of its targets instead of their spikes has `TARGET = ()` and defines

- `WATCHED`: names of these states, used after every step;
- `LATE`: states that are used some steps late;
- `LEVELS`: number of values of a step that act on synapses, if it is not one;
- `watch(*watched, *constants)`, always float64: these values, and one more. `on_post` is
  called for steps in which one of the former is not 0, with these values instead of the target's
  traces; `on_pre` takes the last value, of the step that is at the synapse with the source's spike.

All functions return tuples, also of one element. Weights are magnitudes. Everything but `steps` is
real, in the projection's precision: no literal such as 0.5 that would promote float32 to float64.
Spike functions of neurons must not use a constant that differs between synapses.
"""
