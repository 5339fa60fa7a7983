"""Sampling by transformers' own `generate`: the slow reference for the native engine.

It runs any architecture that transformers can generate from, one completion at a time,
so that noise depends on (seed, completion) alone. That noise is not the native engine's:
the two agree when greedy, and in distribution otherwise. The model's own generation
config (repetition penalties, a default top-k) is deliberately not consulted.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList

from heedful.core.protocols import Generated, GenerationRequest
from heedful.core.records import SamplingParameters
from heedful.generation.inference import inference, token_limits
from heedful.generation.requests import Decode, Transcripts, check_requests


class TransformersEngine:
    """Samples through `model.generate`, see the module.

    Args:
        eos_ids: Tokens that end a completion.
        decode: Token ids to text, without special tokens.
    """

    def __init__(self, model: PreTrainedModel, *, eos_ids: Collection[int], decode: Decode) -> None:
        self._model: Any = model
        self._eos_ids = frozenset(eos_ids)
        self._decode = decode

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Generated]]:
        """One inner list of `num_completions` for each request, in the order asked.

        Raises:
            DataError: A request is empty or does not belong to the model's vocabulary.
            ModelError: A request exceeds the model's context, or the model's logits are
                not numbers.
        """
        vocab_size, context = token_limits(self._model)
        check_requests(requests, vocab_size=vocab_size, context=context)
        device = self._model.device
        forked = [device] if device.type == "cuda" else []
        with inference(self._model), _plain_generation(self._model), torch.random.fork_rng(forked):
            return [
                [self._complete(request, k, on_progress) for k in range(request.num_completions)]
                for request in requests
            ]

    def _complete(
        self, request: GenerationRequest, k: int, on_progress: Callable[[int], None] | None
    ) -> Generated:
        digest = hashlib.blake2b(f"{request.seed}:{k}".encode(), digest_size=6).digest()
        torch.manual_seed(int.from_bytes(digest, "little"))
        transcript = Transcripts(1, request.sampling.max_tokens, self._eos_ids, self._decode)
        transcript.open([0], [request])
        recorder = _Recorder(transcript, request.sampling.temperature == 0, on_progress)
        ids = torch.tensor([request.prompt_ids], device=self._model.device)
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=_generation_config(request.sampling),
            stopping_criteria=StoppingCriteriaList([recorder]),
        )
        assert recorder.generated is not None, "a transcript ends at max_tokens"
        return recorder.generated


class _Recorder(StoppingCriteria):
    """Reads each token as `generate` draws it, and stops it when the transcript ends."""

    def __init__(
        self, transcript: Transcripts, greedy: bool, on_progress: Callable[[int], None] | None
    ) -> None:
        self.generated: Generated | None = None
        self._transcript = transcript
        self._greedy = greedy
        self._on_progress = on_progress

    def __call__(
        self,
        input_ids: Tensor,
        scores: tuple[Tensor, ...] | None,
        **kwargs: object,  # noqa: ARG002  the signature is transformers'
    ) -> Tensor:
        # `generate` may ask again after the end: it checks late on a GPU.
        if self.generated is None:
            assert scores is not None, "output_scores is set"
            token_id = int(input_ids[0, -1])
            logprob = 0.0 if self._greedy else float(scores[-1][0].log_softmax(-1)[token_id])
            for _, generated in self._transcript.append(np.array([token_id]), np.array([logprob])):
                self.generated = generated
            if self._on_progress is not None:
                self._on_progress(1)
        return torch.full((1,), self.generated is not None, device=input_ids.device)


def _generation_config(sampling: SamplingParameters) -> GenerationConfig:
    drawing = {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
    }
    return GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        return_dict_in_generate=True,
        output_scores=True,
        **(drawing if sampling.temperature > 0 else {"do_sample": False}),
    )


@contextmanager
def _plain_generation(model: Any) -> Iterator[None]:
    """Hide the model's own generation config, from which `generate` fills what is unset."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
