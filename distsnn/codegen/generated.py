"""Kernels of user-defined models: their texts are generated once and kept in the user's cache.

A text is code, so it is verified as machine code is (`distsnn.cache_folder`). Only the generation
of a text imports sympy.
"""

from collections.abc import Callable
from functools import cache

from distsnn.cache_folder import CacheFolder, make_directory, text_head
from distsnn.codegen.modules import load
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.stored_kernels import text_file, text_folder
from distsnn.network.equations.transmission_model import TransmissionModel


@cache
def generated_kernel_module(
    model: NeuronModel, *, any_parts: bool = False, ordered: tuple[tuple[str, str], ...] = ()
) -> str:
    """Return the import name of a neuron model's kernel module, which is loaded.

    Parameters
    ----------
    model, any_parts, ordered
        As of `codegen.equations.kernel_text`.
    """

    def generate() -> str:
        from distsnn.codegen.equations import kernel_text

        return kernel_text(model, any_parts=any_parts, ordered=ordered)

    return _load(text_file(model, any_parts=any_parts, ordered=ordered), generate)


@cache
def generated_rule_module(model: PlasticityModel) -> str:
    """Return the import name of a rule's kernel module, which is loaded."""

    def generate() -> str:
        from distsnn.codegen.plasticity_rules import rule_module_text

        return rule_module_text(model)

    return _load(text_file(model), generate)


@cache
def generated_transmission_module(model: TransmissionModel) -> str:
    """Return the import name of a synapse model's kernel module, which is loaded."""

    def generate() -> str:
        from distsnn.codegen.transmission import transmission_text

        return transmission_text(model)

    return _load(text_file(model), generate)


def _load(name: str, generate: Callable[[], str]) -> str:
    """Return the import name of the module whose text a file contains, or will contain."""
    texts = _texts()
    content = texts.read(name)
    if content is None:
        content = generate().encode()
        texts.write(name, content)
    return load(content.decode()).__name__


def _texts() -> CacheFolder:
    directory = make_directory(text_folder())
    return CacheFolder(directory, "a kernel's text", "the text is generated again", text_head)
