"""The sections of a board's description that hold figures: chip, core, router, links, energy."""

from dataclasses import dataclass

from distsnn.partition.boards.board_parameters import (
    BoardParameter,
    bool_field,
    choice_field,
    count_field,
    name_list_field,
    number_field,
)

MULTICAST, UNICAST, ONE_AXON = "multicast", "unicast", "one_axon"
SCHEMES = (MULTICAST, UNICAST, ONE_AXON)
# Instead of a list of models: whatever fits, as cores run programs.
ANY_MODEL = "any"
# Which weights share a scale.
PER_RECEPTOR, PER_PROJECTION = "receptor", "projection"


@dataclass(frozen=True)
class Chip:
    """What each node of the topology holds.

    Parameters
    ----------
    cores : Figure of int
        Cores, the reserved ones included.
    reserved : Figure of int
        Cores that cannot host neurons.
    shared_memory : Figure of int
        Memory for synapses that its cores share, bytes.
    """

    cores: BoardParameter[int] = count_field(low=1)
    reserved: BoardParameter[int] = count_field()
    shared_memory: BoardParameter[int] = count_field()


@dataclass(frozen=True)
class Core:
    """What one core can hold.

    Parameters
    ----------
    max_neurons : Figure of int
        Neurons.
    populations : Figure of int
        Populations whose neurons may share the core.
    in_axons : Figure of int
        Distinct neurons whose spikes it can receive.
    out_axons : Figure of int
        Pairs of one of its neurons and a core that receives its spikes.
    fan_in, fan_out : Figure of int
        Synapses onto one neuron; synapses or destinations of one neuron.
    neuron_memory, synapse_memory : Figure of int
        The core's own memory for neurons and for synapses, bytes.
    bytes_per_neuron, bytes_per_row, bytes_per_synapse : Figure of float
        What a neuron, the header of a source's row, and a synapse take.
    weight_bits : Figure of int
        Bits of a weight's size; one of them is the sign's where weights of both signs share a
        scale.
    weight_scale : Figure of str
        Which weights share a scale, a power of two: those onto one ``receptor`` of a population,
        or those of one ``projection``.
    delay_steps : Figure of int
        The longest delay, steps.
    models : Figure of tuple of str
        Neuron models it can run, by name; ``any`` where cores run programs.
    recurrent : Figure of bool
        Whether neurons may reach themselves through others.
    plastic : Figure of bool
        Whether synapses can learn.
    """

    max_neurons: BoardParameter[int] = count_field(low=1)
    populations: BoardParameter[int] = count_field(low=1)
    in_axons: BoardParameter[int] = count_field()
    out_axons: BoardParameter[int] = count_field()
    fan_in: BoardParameter[int] = count_field()
    fan_out: BoardParameter[int] = count_field()
    neuron_memory: BoardParameter[int] = count_field()
    synapse_memory: BoardParameter[int] = count_field()
    bytes_per_neuron: BoardParameter[float] = number_field()
    bytes_per_row: BoardParameter[float] = number_field()
    bytes_per_synapse: BoardParameter[float] = number_field()
    weight_bits: BoardParameter[int] = count_field(low=1)
    weight_scale: BoardParameter[str] = choice_field(PER_RECEPTOR, PER_PROJECTION)
    delay_steps: BoardParameter[int] = count_field(low=1)
    models: BoardParameter[tuple[str, ...]] = name_list_field()
    recurrent: BoardParameter[bool] = bool_field()
    plastic: BoardParameter[bool] = bool_field()


@dataclass(frozen=True)
class Router:
    """How packets find their way.

    Parameters
    ----------
    scheme : Figure of str
        ``multicast``: one packet a spike, copied by tables of keys and masks; ``unicast``: one
        packet for each core that is reached; ``one_axon``: a neuron reaches one core.
    entries : Figure of int
        Entries of a multicast table.
    key_bits : Figure of int
        Bits of a key.
    default_route : Figure of bool
        Whether a packet that no entry matches goes straight on.
    """

    scheme: BoardParameter[str] = choice_field(*SCHEMES)
    entries: BoardParameter[int] = count_field(low=1)
    key_bits: BoardParameter[int] = count_field(low=1)
    default_route: BoardParameter[bool] = bool_field()


@dataclass(frozen=True)
class Links:
    """What a link between two nodes can do.

    Parameters
    ----------
    bandwidth : Figure of float
        Packets/s in each direction.
    latency : Figure of float
        Time of one hop, s.
    """

    bandwidth: BoardParameter[float] = number_field()
    latency: BoardParameter[float] = number_field()


@dataclass(frozen=True)
class Energy:
    """What is spent on what, in J, and powers in W.

    Parameters
    ----------
    synaptic_event : Figure of float
        One spike arriving at one synapse, J.
    neuron_update : Figure of float
        One neuron for one time step, J.
    neuron_spike : Figure of float
        One neuron that spikes, beyond its update, J.
    packet_out : Figure of float
        One packet that leaves a core, J.
    hop_x, hop_y : Figure of float
        One packet over one link along x, or along another direction, J.
    idle_chip : Figure of float
        A chip that is switched on, W.
    active_core : Figure of float
        A core that works, beyond the idle chip, W.
    """

    synaptic_event: BoardParameter[float] = number_field()
    neuron_update: BoardParameter[float] = number_field()
    neuron_spike: BoardParameter[float] = number_field()
    packet_out: BoardParameter[float] = number_field()
    hop_x: BoardParameter[float] = number_field()
    hop_y: BoardParameter[float] = number_field()
    idle_chip: BoardParameter[float] = number_field()
    active_core: BoardParameter[float] = number_field()
