"""Decoding steps one after another; on a GPU as a captured graph, where enough are to come.

A step of a small model is hundreds of small kernels, and starting them from Python takes
longer than running them. A graph starts them all at once. It is captured for one number of
rows and one capacity of the cache, and again when either changes, which costs as much as a
few steps and compiles nothing.
"""

import torch
from torch import Tensor

from heedful.generation.decoder import Decoder
from heedful.generation.static_cache import StaticCache

# Capturing runs the step a few times; fewer steps to come than this are taken as they are.
_FEWEST = 8
_WARM_UP = 2  # libraries choose their kernels, and allocate, before anything is captured


class Steps:
    """`decoder.step` on `cache`, captured where that pays.

    Args:
        decoder: See `Decoder`.
        cache: Whoever writes its lengths sets its width before a step.
        longest: How many steps are to come at most.
    """

    def __init__(self, decoder: Decoder, cache: StaticCache, longest: int) -> None:
        self._decoder = decoder
        self._cache = cache
        self._pays = decoder.device.type == "cuda" and longest >= _FEWEST
        self._graph: torch.cuda.CUDAGraph | None = None
        self._of: Tensor | None = None  # the block that the graph reads
        self._ids = self._logits = torch.empty(0)

    def __call__(self, ids: Tensor) -> Tensor:
        """Logits `[rows, V]`, valid until the next call."""
        self._cache.reserve(self._cache.rows, self._cache.width + 1)
        if not self._pays:
            return self._decoder.step(ids, self._cache)
        if self._graph is None or self._of is not self._cache.keys[0]:
            self._capture(ids)
        assert self._graph is not None, "captured above"
        self._ids.copy_(ids)
        self._graph.replay()
        self._cache.width += 1
        return self._logits

    def _capture(self, ids: Tensor) -> None:
        """Capture a step; what it does to the cache is undone."""
        self._graph = None  # frees its memory first
        self._ids = ids.clone()
        lengths, width = self._cache.lengths.clone(), self._cache.width
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._decoder.step(self._ids, self._cache)
                self._restore(lengths, width)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._logits = self._decoder.step(self._ids, self._cache)
        self._restore(lengths, width)
        self._graph, self._of = graph, self._cache.keys[0]

    def _restore(self, lengths: Tensor, width: int) -> None:
        # In place: the graph reads them where they are.
        self._cache.lengths.copy_(lengths)
        self._cache.width = width
