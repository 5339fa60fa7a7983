"""Teaching the value model what its numbers mean before the policy listens to them.

A reward model is trained at the end token only; at every other position its head gives
numbers of the wrong size, and the first advantages would be mostly their noise.
"""

import torch
from torch import Tensor

from heedful.core.run import Cost
from heedful.core.settings import Project
from heedful.losses.ppo import generalised_advantages, value_loss
from heedful.training.batches import epoch_order, pad_rows, token_budget_groups
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import Experience, estimate


def warm_up_value(
    models: Models, experience: Experience, config: Project, cost: Cost
) -> Experience:
    """Fit the value model to the batch's Monte-Carlo returns; returns the batch re-estimated.

    Monte-Carlo returns (lambda = 1) contain no values, so that the first, wrong ones
    leave no trace. The policy is not touched.
    """
    settings = config.ppo
    _, targets = generalised_advantages(
        experience.rewards,
        torch.zeros_like(experience.values),
        experience.mask,
        discount=settings.discount,
        gae_lambda=1.0,
    )
    for epoch in range(settings.value_warmup_epochs):
        order = epoch_order(len(experience.pairs), config.run.seed + 3, epoch)
        for start in range(0, len(order), settings.minibatch_size):
            _fit(
                models, experience, targets, order[start : start + settings.minibatch_size], config
            )
        cost.add_tokens(
            models.num_value_parameters, trained=sum(len(pair) for pair in experience.pairs)
        )
    return estimate(
        experience.pairs,
        experience.logprobs,
        experience.rewards,
        _values(models, experience, config),
        experience.mask,
        settings,
    )


def _fit(
    models: Models, experience: Experience, targets: Tensor, minibatch: list[int], config: Project
) -> None:
    """One value step on squared errors, unclipped."""
    pairs = [experience.pairs[index] for index in minibatch]
    denominator = sum(len(pair.completion_ids) for pair in pairs)
    lengths = [len(pair) for pair in pairs]
    for group in token_budget_groups(lengths, config.model.microbatch_tokens):
        rows = pad_rows([pairs[index] for index in group], models.pad_id, models.device)
        part = experience.select([minibatch[index] for index in group])
        width = part.mask.shape[1]
        values = models.value.module.values(
            rows.input_ids, rows.prompt_lengths, rows.completion_lengths, width
        )
        wanted = targets[[minibatch[index] for index in group], :width]
        loss, _ = value_loss(
            values, part.values, wanted, part.mask, clip_range=None, denominator=denominator
        )
        models.value.backward(loss)
    models.value.step(config.ppo.value_learning_rate)


@torch.no_grad()
def _values(models: Models, experience: Experience, config: Project) -> Tensor:
    """The value model's numbers for the whole batch, [B, C]."""
    values = torch.zeros_like(experience.values)
    lengths = [len(pair) for pair in experience.pairs]
    for group in token_budget_groups(lengths, config.model.microbatch_tokens):
        rows = pad_rows([experience.pairs[index] for index in group], models.pad_id, models.device)
        values[group] = models.value.module.values(
            rows.input_ids, rows.prompt_lengths, rows.completion_lengths, values.shape[1]
        )
    return values
