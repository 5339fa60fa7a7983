"""Checks the tensor shapes and dtypes in the signatures of `heedful.losses` under test."""

import sys

from jaxtyping import install_import_hook

# A test collected earlier may have imported the room unchecked; import it again, checked.
for name in [name for name in sys.modules if f"{name}.".startswith("heedful.losses.")]:
    del sys.modules[name]
# The numeric tower: an int is welcome where a float is asked for, as to mypy.
install_import_hook(
    "heedful.losses", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)
