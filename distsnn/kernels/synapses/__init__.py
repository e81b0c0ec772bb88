"""One module per synapse model: the effect of a spike on the source's state and weights.

State and parameters of a source are one record of float64, because every spike needs all of it:

    states | constants | factor

A module has

    STATES      names of the states, the first columns of a record; those that the model's class
                does not declare are the kernel's own, such as the step of the last spike
    CONSTANTS   names of the constants, the next columns
    constants   ``constants(parameters, dt)`` returns the constants by name, each with a value per
                source, of arrays of the parameters; dt in ms
    spike       an entry, ``spike(table, records, at, last, step)``: it advances the record that
                starts at word `at` to the source's next spike, at `step` (not before the last
                spike's), and writes the factor of the spike's weights into the record's last word
    bring_up    ``bring_up(records, step)`` brings all records up to a step, not before their last
                spikes, without a spike; an array of shape (n, size) is changed. Without it,
                parameters and states of the model are not set during a run

`distsnn.kernels.source_spikes` calls the entry.
"""
