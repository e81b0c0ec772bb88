"""One module per rule of plasticity: what spikes of source and target do to a synapse.

A module knows one synapse and one event; loops over rows and histories of spikes are generated
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
  target; the source's traces are decayed to it, the target's are those just before it;
- `on_pre(w, *states, *source, *target, *constants)`: the same for a spike of the source; its own
  traces are those just before it, the target's those of spikes strictly before it.

It may also define

- `MODULATED = True`: the modulator's value at the event follows the traces in `on_post` and
  `on_pre`. It stays as it is where "m" is not in `DECAYS`;
- `modulator_spike(m, *constants)`: the modulator after a spike of one of its neurons;
- `between(w, *states, steps, m, *constants)`: weight and states after an interval without events, m
  being the modulator at its start. It is called before every event and every change of the
  modulator, never because somebody reads. States do not decay by themselves then.

A rule that follows states of its targets in place of their spikes has `TARGET = ()` and defines

- `WATCHED`: names of these states, which are taken after every step;
- `LATE`: those of them that are taken as they were some steps before;
- `LEVELS`: how many values of a step act on synapses, where it is not one;
- `watch(*watched, *constants)`, float64 whatever the precision: these values, and one more.
  `on_post` is called for steps in which one of the former is not 0, and gets them in place of the
  target's traces; `on_pre` gets the last, of the step that is at the synapse with the source's
  spike.

All return tuples, of one element too. Weights are magnitudes. Everything but `steps` is real, in
the projection's precision: no literal such as 0.5 that would promote float32 to float64. Where
neurons spike, a constant that differs from synapse to synapse must not be used.
"""
