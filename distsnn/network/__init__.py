"""Network descriptions: frozen, validated and serialisable.

`blocks` and `quanta` derive from it how it is cut up and how weights are rounded.
"""

from typing import TYPE_CHECKING, Any

from distsnn.network import neurons, synapses  # noqa: F401 (registers the models)
from distsnn.network.base import Description
from distsnn.network.currents import ConstantCurrent, NoiseCurrent, SineCurrent, StepCurrent
from distsnn.network.description import Network
from distsnn.network.distributions import (
    Distribution,
    Exponential,
    Lognormal,
    Normal,
    TruncatedNormal,
    Uniform,
)
from distsnn.network.edges import ConnectionFile, ConnectionList
from distsnn.network.eprop import eprop_iaf
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations, NeuronModel
from distsnn.network.equations.plasticity_model import (
    EquationSynapse,
    PlasticityModel,
    RuleEquations,
)
from distsnn.network.equations.transmission_model import (
    EquationTransmission,
    TransmissionEquations,
    TransmissionModel,
)
from distsnn.network.homeostasis import Homeostasis, NormaliseWeights, SynapticScaling
from distsnn.network.model import (
    Neuron,
    Parameter,
    State,
    SubsteppedNeuron,
    SynapseModel,
    parameter,
)
from distsnn.network.multisynapse import (
    aeif_cond_alpha_multisynapse,
    aeif_cond_beta_multisynapse,
    iaf_psc_alpha_multisynapse,
    iaf_psc_exp_multisynapse,
)
from distsnn.network.neurons.aeif_cond_alpha import AeifCondAlpha
from distsnn.network.neurons.aeif_cond_exp import AeifCondExp
from distsnn.network.neurons.aeif_psc_alpha import AeifPscAlpha
from distsnn.network.neurons.aeif_psc_delta_clopath import AeifPscDeltaClopath
from distsnn.network.neurons.aeif_psc_exp import AeifPscExp
from distsnn.network.neurons.amat2_psc_exp import Amat2PscExp
from distsnn.network.neurons.eprop_iaf import EpropIaf
from distsnn.network.neurons.eprop_readout import EpropReadout
from distsnn.network.neurons.gif_cond_exp import GifCondExp
from distsnn.network.neurons.gif_psc_exp import GifPscExp
from distsnn.network.neurons.glif_psc import GlifPsc
from distsnn.network.neurons.glif_psc_double_alpha import GlifPscDoubleAlpha
from distsnn.network.neurons.hh_cond_exp_traub import HhCondExpTraub
from distsnn.network.neurons.hh_psc_alpha import HhPscAlpha
from distsnn.network.neurons.iaf_bw_2001 import IafBw2001
from distsnn.network.neurons.iaf_cond_alpha import IafCondAlpha
from distsnn.network.neurons.iaf_cond_alpha_mc import IafCondAlphaMc
from distsnn.network.neurons.iaf_cond_exp import IafCondExp
from distsnn.network.neurons.iaf_cond_exp_sfa_rr import IafCondExpSfaRr
from distsnn.network.neurons.iaf_psc_alpha import IafPscAlpha
from distsnn.network.neurons.iaf_psc_delta import IafPscDelta
from distsnn.network.neurons.iaf_psc_exp import IafPscExp
from distsnn.network.neurons.iaf_psc_exp_shared import IafPscExpShared
from distsnn.network.neurons.izhikevich import Izhikevich
from distsnn.network.neurons.leaky_integrator import LeakyIntegrator
from distsnn.network.neurons.mat2_psc_exp import Mat2PscExp
from distsnn.network.neurons.parrot_neuron import ParrotNeuron
from distsnn.network.neurons.poisson_neuron import PoissonNeuron
from distsnn.network.neurons.pp_cond_exp_mc_urbanczik import PpCondExpMcUrbanczik
from distsnn.network.neurons.pp_psc_delta import PpPscDelta
from distsnn.network.neurons.spike_source import SpikeSource
from distsnn.network.plastic_synapse import ModulatedSynapse, PlasticSynapse, StateDrivenSynapse
from distsnn.network.point_process import pp_psc_delta_random
from distsnn.network.populations import Population, PopulationView, Target
from distsnn.network.projections import Projection
from distsnn.network.projections import delay_bounds as delay_bounds
from distsnn.network.projections import delay_steps as delay_steps
from distsnn.network.recordings import (
    Recording,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SynapseRange,
)
from distsnn.network.registry import get_neuron_model as get_neuron_model
from distsnn.network.registry import model_names as model_names
from distsnn.network.registry import neuron_model, synapse_model
from distsnn.network.rules import (
    AllToAll,
    ConnectionRule,
    FixedIndegree,
    FixedOutdegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
)
from distsnn.network.stimuli import (
    GammaInput,
    Piecewise,
    PoissonInput,
    RateInput,
    Sine,
    SpikeInput,
    Stimulus,
)
from distsnn.network.synapses.bcm_synapse import BCM
from distsnn.network.synapses.bernoulli_synapse import Bernoulli
from distsnn.network.synapses.clopath_synapse import ClopathSTDP
from distsnn.network.synapses.contrastive_synapse import ContrastiveSTDP
from distsnn.network.synapses.diehl_cook_synapse import DiehlCookSTDP
from distsnn.network.synapses.eprop_synapse import Eprop, EpropToReadout
from distsnn.network.synapses.jonke_synapse import JonkeSTDP
from distsnn.network.synapses.nmda_synapse import NmdaSynapse
from distsnn.network.synapses.oja_synapse import Oja
from distsnn.network.synapses.quantal_stp_synapse import QuantalSTP
from distsnn.network.synapses.stdp_dopamine_synapse import DopamineSTDP
from distsnn.network.synapses.stdp_pl_synapse_hom import STDPPowerLaw
from distsnn.network.synapses.stdp_synapse import STDP
from distsnn.network.synapses.stdp_triplet_synapse import TripletSTDP
from distsnn.network.synapses.tsodyks2_by_synapse import Tsodyks2BySynapse
from distsnn.network.synapses.tsodyks2_synapse import Tsodyks2
from distsnn.network.synapses.tsodyks_synapse import Tsodyks
from distsnn.network.synapses.urbanczik_synapse import UrbanczikSenn
from distsnn.network.synapses.vogels_sprekeler_synapse import VogelsSTDP
from distsnn.network.values import Value
from distsnn.network.values import distribution_code as distribution_code
from distsnn.network.values import magnitude_of as magnitude_of
from distsnn.network.values import mean_of as mean_of
from distsnn.network.values import value_bounds as value_bounds
from distsnn.public_api import no_such_name

if not TYPE_CHECKING:  # to which a module with __getattr__ has any name

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name)


__all__ = [
    "BCM",
    "STDP",
    "AeifCondAlpha",
    "AeifCondExp",
    "AeifPscAlpha",
    "AeifPscDeltaClopath",
    "AeifPscExp",
    "AllToAll",
    "Amat2PscExp",
    "Bernoulli",
    "ClopathSTDP",
    "ConnectionFile",
    "ConnectionList",
    "ConnectionRule",
    "ConstantCurrent",
    "ContrastiveSTDP",
    "Description",
    "DiehlCookSTDP",
    "Distribution",
    "DopamineSTDP",
    "Eprop",
    "EpropIaf",
    "EpropReadout",
    "EpropToReadout",
    "EquationNeuron",
    "EquationSynapse",
    "EquationTransmission",
    "Exponential",
    "FixedIndegree",
    "FixedOutdegree",
    "FixedTotalNumber",
    "GammaInput",
    "GifCondExp",
    "GifPscExp",
    "GlifPsc",
    "GlifPscDoubleAlpha",
    "HhCondExpTraub",
    "HhPscAlpha",
    "Homeostasis",
    "IafBw2001",
    "IafCondAlpha",
    "IafCondAlphaMc",
    "IafCondExp",
    "IafCondExpSfaRr",
    "IafPscAlpha",
    "IafPscDelta",
    "IafPscExp",
    "IafPscExpShared",
    "Izhikevich",
    "JonkeSTDP",
    "LeakyIntegrator",
    "Lognormal",
    "Mat2PscExp",
    "ModulatedSynapse",
    "Network",
    "Neuron",
    "NeuronEquations",
    "NeuronModel",
    "NmdaSynapse",
    "NoiseCurrent",
    "Normal",
    "NormaliseWeights",
    "Oja",
    "OneToOne",
    "PairwiseBernoulli",
    "Parameter",
    "ParrotNeuron",
    "Piecewise",
    "PlasticSynapse",
    "PlasticityModel",
    "PoissonInput",
    "PoissonNeuron",
    "Population",
    "PopulationView",
    "PpCondExpMcUrbanczik",
    "PpPscDelta",
    "Projection",
    "QuantalSTP",
    "RateInput",
    "RecordSpikes",
    "RecordState",
    "RecordWeights",
    "Recording",
    "RuleEquations",
    "STDPPowerLaw",
    "Sine",
    "SineCurrent",
    "SpikeInput",
    "SpikeSource",
    "State",
    "StateDrivenSynapse",
    "StepCurrent",
    "Stimulus",
    "SubsteppedNeuron",
    "SynapseModel",
    "SynapseRange",
    "SynapticScaling",
    "Target",
    "TransmissionEquations",
    "TransmissionModel",
    "TripletSTDP",
    "TruncatedNormal",
    "Tsodyks",
    "Tsodyks2",
    "Tsodyks2BySynapse",
    "Uniform",
    "UrbanczikSenn",
    "Value",
    "VogelsSTDP",
    "aeif_cond_alpha_multisynapse",
    "aeif_cond_beta_multisynapse",
    "eprop_iaf",
    "iaf_psc_alpha_multisynapse",
    "iaf_psc_exp_multisynapse",
    "neuron_model",
    "parameter",
    "pp_psc_delta_random",
    "synapse_model",
]
