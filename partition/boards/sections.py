"""Sections of a board file with board parameters: chip, core, router, links, energy."""

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
# Instead of a list of models: cores run programs, so any neuron model.
ANY_MODEL = "any"
# Which weights share a scale.
PER_RECEPTOR, PER_PROJECTION = "receptor", "projection"


@dataclass(frozen=True)
class Chip:
    """Resources of each node of the topology.

    Parameters
    ----------
    cores : BoardParameter of int
        Number of cores, including reserved cores.
    reserved : BoardParameter of int
        Number of cores that cannot host neurons.
    shared_memory : BoardParameter of int
        Memory for synapses that the cores share, bytes.
    """

    cores: BoardParameter[int] = count_field(low=1)
    reserved: BoardParameter[int] = count_field()
    shared_memory: BoardParameter[int] = count_field()


@dataclass(frozen=True)
class Core:
    """Limits of a core.

    Parameters
    ----------
    max_neurons : BoardParameter of int
        Number of neurons.
    populations : BoardParameter of int
        Number of populations whose neurons can share the core.
    in_axons : BoardParameter of int
        Number of distinct neurons whose spikes the core can receive.
    out_axons : BoardParameter of int
        Number of pairs of a neuron of the core and a core that receives its spikes.
    fan_in, fan_out : BoardParameter of int
        Number of synapses onto a neuron; number of synapses or target cores of a neuron.
    neuron_memory, synapse_memory : BoardParameter of int
        Private memory of the core for neurons and for synapses, bytes.
    bytes_per_neuron, bytes_per_row, bytes_per_synapse : BoardParameter of float
        Memory of a neuron, of the header of a synapse row, and of a synapse, bytes.
    weight_bits : BoardParameter of int
        Number of bits of a weight, including a sign bit if weights of both signs share a scale.
    weight_scale : BoardParameter of str
        Weights that share a scale, a power of two: all weights onto one ``receptor`` of a
        population, or all weights of one ``projection``.
    delay_steps : BoardParameter of int
        Maximum delay, steps.
    models : BoardParameter of tuple of str
        Names of the supported neuron models; ``any`` if cores run programs.
    recurrent : BoardParameter of bool
        Whether recurrent networks are supported.
    plastic : BoardParameter of bool
        Whether synapses can be plastic.
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
    """Routing of packets.

    Parameters
    ----------
    scheme : BoardParameter of str
        ``multicast``: one packet per spike, copied by routing tables; ``unicast``: one packet per
        spike and target core; ``one_axon``: each neuron has one target core.
    entries : BoardParameter of int
        Maximum number of entries of a routing table.
    key_bits : BoardParameter of int
        Bits of a key.
    default_route : BoardParameter of bool
        Whether an unmatched packet leaves through the link opposite to its arrival.
    """

    scheme: BoardParameter[str] = choice_field(*SCHEMES)
    entries: BoardParameter[int] = count_field(low=1)
    key_bits: BoardParameter[int] = count_field(low=1)
    default_route: BoardParameter[bool] = bool_field()


@dataclass(frozen=True)
class Links:
    """Speed of a link between two nodes.

    Parameters
    ----------
    bandwidth : BoardParameter of float
        Maximum packet rate in each direction, 1/s.
    latency : BoardParameter of float
        Time of a hop, s.
    """

    bandwidth: BoardParameter[float] = number_field()
    latency: BoardParameter[float] = number_field()


@dataclass(frozen=True)
class Energy:
    """Energies of events, J, and powers of parts, W.

    Parameters
    ----------
    synaptic_event : BoardParameter of float
        A spike that arrives at a synapse, J.
    neuron_update : BoardParameter of float
        Update of a neuron for one time step, J.
    neuron_spike : BoardParameter of float
        A spike of a neuron, in addition to its update, J.
    packet_out : BoardParameter of float
        A packet that leaves a core, J.
    hop_x, hop_y : BoardParameter of float
        A hop of a packet along x, or along any other direction, J.
    idle_chip : BoardParameter of float
        A chip in use, W.
    active_core : BoardParameter of float
        A core in use, in addition to the idle chip, W.
    """

    synaptic_event: BoardParameter[float] = number_field()
    neuron_update: BoardParameter[float] = number_field()
    neuron_spike: BoardParameter[float] = number_field()
    packet_out: BoardParameter[float] = number_field()
    hop_x: BoardParameter[float] = number_field()
    hop_y: BoardParameter[float] = number_field()
    idle_chip: BoardParameter[float] = number_field()
    active_core: BoardParameter[float] = number_field()
