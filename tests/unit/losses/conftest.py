"""Checks the tensor shapes and dtypes in the signatures of `heedful.losses` under test."""

import sys

from jaxtyping import install_import_hook

# A test collected earlier may have imported the room unchecked; import it again, checked.
for name in [name for name in sys.modules if f"{name}.".startswith("heedful.losses.")]:
    del sys.modules[name]
install_import_hook("heedful.losses", "beartype.beartype")
