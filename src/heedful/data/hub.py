"""Rows of a data set on the Hugging Face hub, through the optional package `datasets`."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from heedful.core.errors import DataError

HUB_PREFIX = "hub:"


def read_hub_rows(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of `hub:owner/dataset[:split]`, numbered from 1; the split is `train` by default.

    Raises:
        DataError: `datasets` is not installed, or has no such data set.
    """
    dataset, _, split = name.removeprefix(HUB_PREFIX).partition(":")
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise DataError(
            f"{name}: reading the hub needs the package `datasets`",
            "Install it with: pip install datasets. Or download the file and give its path.",
        ) from error
    try:
        rows = datasets.load_dataset(dataset, split=split or "train")
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: {error}", "Check the name, the split and the network.") from error
    for number, row in enumerate(rows, start=1):
        yield number, dict(row)
