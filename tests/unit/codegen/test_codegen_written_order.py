"""Draws and kernels do not depend on the order in which the mappings of equal models are written.

Draws are keyed by the index of a parameter among the parameters and states, and stored states
follow the order of names in a kernel. Equal models share a class, so the class shows nothing.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import own_models
import own_rules
import own_transmissions
import pytest

from distsnn import network
from distsnn.codegen.equations import kernel_text
from distsnn.codegen.plasticity_rules import rule_module_text
from distsnn.codegen.transmission import transmission_text
from distsnn.network import NeuronModel, PlasticityModel, TransmissionModel

Model = NeuronModel | PlasticityModel | TransmissionModel
# Texts of built-in models, too, are models that a user can write.
MODELS: dict[str, Model] = {
    name: model
    for where in (own_models, own_rules, own_transmissions)
    for name, model in vars(where).items()
    if isinstance(model, Model)
} | {
    name: cls.model
    for name, cls in vars(network).items()
    if isinstance(cls, type) and isinstance(getattr(cls, "model", None), Model)
}


def mappings(model: Model) -> dict[str, Mapping[str, Any]]:
    """Return the fields that are mappings of several items."""
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, Mapping) and len(value) > 1
    }


def rewritten(model: Model) -> Model:
    """Return an equal model whose mappings are written in the reverse order."""
    return replace(
        model, **{name: dict([*value.items()][::-1]) for name, value in mappings(model).items()}
    )


def kernel(model: Model) -> str:
    if isinstance(model, NeuronModel):
        return kernel_text(model)
    if isinstance(model, PlasticityModel):
        return rule_module_text(model)
    return transmission_text(model)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if mappings(model)])
def test_a_kernel_does_not_depend_on_the_written_order(name: str) -> None:
    other = rewritten(MODELS[name])
    assert other == MODELS[name]
    assert [*other.parameters] == [*MODELS[name].parameters] == sorted(other.parameters)
    assert kernel(other) == kernel(MODELS[name])


def test_mappings_of_each_kind_are_compared() -> None:
    found = {(type(model).__mro__, name) for model in MODELS.values() for name in mappings(model)}
    for kind, names in (
        (NeuronModel, ("parameters", "receptors", "initial", "events", "hold")),
        (PlasticityModel, ("parameters", "target")),
        (TransmissionModel, ("parameters",)),
    ):
        assert {name for bases, name in found if kind in bases} >= set(names)
