"""Example models that ``distsnn run NAME`` finds; each module defines ``build() -> Network``."""
