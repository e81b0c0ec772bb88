"""Names of the kernels that are generated from models, and which of them exist already."""

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

from distsnn.network.model import kernel_module_of

# Number of hexadecimal digits.
HASH_LENGTH = 12
_PACKAGE = Path(__file__).parents[2]


def kernel_name(model: Any) -> str:
    """Return the name of the kernel of a model written as equations: its name and a hash."""
    values = [getattr(model, field.name) for field in fields(model)]
    return f"{model.name}_{hashlib.sha256(repr(values).encode()).hexdigest()[:HASH_LENGTH]}"


def shipped_kernel(model: Any) -> str:
    """Return the import name of a neuron model's kernel in the package; empty: it has none.

    `codegen.built_in` writes these kernels, of the models that functions such as
    `iaf_psc_exp_multisynapse` make.
    """
    name = kernel_name(model)
    is_shipped = (_PACKAGE / "kernels" / "neurons" / f"{name}.py").exists()
    return kernel_module_of("neurons", name) if is_shipped else ""
