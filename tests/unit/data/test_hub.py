"""The hub through `datasets`, which need not be there."""

import importlib.util

import pytest

from heedful.core.errors import DataError
from heedful.data.hub import read_hub_rows


@pytest.mark.skipif(
    importlib.util.find_spec("datasets") is not None, reason="`datasets` is installed"
)
def test_without_the_package_it_says_what_to_install() -> None:
    with pytest.raises(DataError, match="needs the package `datasets`") as caught:
        next(read_hub_rows("hub:owner/name:test"))
    assert "pip install datasets" in str(caught.value.hint)
