"""Values to spikes and back: normalisation, encoders, presentations of samples, decoders."""

from typing import TYPE_CHECKING, Any

from distsnn.coding.latency import LatencyCode, LinearLatency, LogarithmicLatency
from distsnn.coding.level_crossing import SendOnDelta
from distsnn.coding.linear_readout import LinearReadout
from distsnn.coding.normalisation import MinMax, Normalisation, ZScore
from distsnn.coding.packets import pulse_packets
from distsnn.coding.phase import PhaseCode
from distsnn.coding.population_code import GaussianFields, population_vector
from distsnn.coding.presentation import Presentation
from distsnn.coding.rank_order import RankOrder
from distsnn.coding.rates import PoissonRate, RateCode, RegularRate
from distsnn.coding.response_labels import ResponseLabels
from distsnn.coding.responses import (
    filtered_at_end,
    first_spike_times,
    first_to_spike,
    spike_counts,
    spike_rates,
    windowed_counts,
)
from distsnn.coding.spikes import SampleSpikes
from distsnn.public_api import no_such_name

if not TYPE_CHECKING:  # to which a module with __getattr__ has any name

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name)


__all__ = [
    "GaussianFields",
    "LatencyCode",
    "LinearLatency",
    "LinearReadout",
    "LogarithmicLatency",
    "MinMax",
    "Normalisation",
    "PhaseCode",
    "PoissonRate",
    "Presentation",
    "RankOrder",
    "RateCode",
    "RegularRate",
    "ResponseLabels",
    "SampleSpikes",
    "SendOnDelta",
    "ZScore",
    "filtered_at_end",
    "first_spike_times",
    "first_to_spike",
    "population_vector",
    "pulse_packets",
    "spike_counts",
    "spike_rates",
    "windowed_counts",
]
