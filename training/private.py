"""DP-SGD (Abadi et al. 2016): users are drawn by themselves, each one's gradient is clipped, noise is added to the sum.

What is protected is a user with all that they did: a user's gradient is that of all their queries of the step, over
candidates drawn from the catalogue, and no other user's data has a part in it.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import nn

from training.accounting import Guarantee
from training.data import Night
from training.objective import Objective
from training.recipe import Recipe
from training.secret import Secret
from training.weeks import Weeks

Batch = dict[str, torch.Tensor]
Noise = Callable[[int], np.ndarray]  # how many -> float64[how many]


def clipped_sum(
    losses: Callable[[Batch], torch.Tensor], users: Iterable[Batch], learning: list[nn.Parameter], clip: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The sum of the users' gradients, each made no longer than ``clip``.

    Args:
        losses: of one user; the first is what is descended.
        learning: P numbers in all.

    Returns:
        float64[P], and the mean of the losses; None without users.
    """
    total, told, count = torch.zeros(sum(each.numel() for each in learning), dtype=torch.float64), None, 0
    for user in users:
        found = losses(user)
        parts = torch.autograd.grad(found[0], learning, allow_unused=True, materialize_grads=True)
        gradient = torch.cat([part.flatten() for part in parts]).double()
        total = total.to(gradient.device)
        total += gradient * (clip / gradient.norm()).clamp(max=1.0)
        told, count = found.detach() + (0.0 if told is None else told), count + 1
    return total, None if told is None else told / count


class PrivateObjective(Objective):
    """An objective whose gradient is the private one, whatever descends it."""

    def forward(self, users: Iterable[Batch], noise: Noise | None) -> torch.Tensor:
        """As ``Objective.forward``, of a micro-batch of users.

        The loss is their mean. Its gradient is the clipped sum, with the noise where this micro-batch brings it, over
        the number of users expected: it is that of a linear function which is 0 where the weights stand.
        """
        learning = [each for each in self.parameters() if each.requires_grad]
        total, told = clipped_sum(super().forward, users, learning, self.recipe.private.clip)
        if noise is not None:
            total += torch.from_numpy(noise(len(total))).to(total.device)
        slopes = (total / self.recipe.users).float().split([each.numel() for each in learning])
        line = sum((each * slope.view_as(each)).sum() for each, slope in zip(learning, slopes, strict=True))
        told = line.new_zeros(1 + 2 * len(self.tasks)) if told is None else told
        return torch.cat([told[:1] + (line - line.detach()), told[1:]])


class PrivateWeeks(Weeks):
    """Weeks of one user at a time; who takes part in a step is the key's to say."""

    def __init__(self, night: Night, recipe: Recipe, secret: Secret):
        super().__init__(night, recipe)
        self.secret, people = secret, len(night.user_ids)
        self.guarantee = Guarantee.of(recipe.private, recipe.users * recipe.shards, people, recipe.steps)

    def users(self, step: int, shard: int) -> Iterator[dict[str, np.ndarray]]:
        """A batch for each user of the micro-batch, see :meth:`draw`; those who have nothing to ask have none."""
        for user, seed in self.secret.drawn(step, self.night.user_ids, self.guarantee.sample_rate):
            if seed % self.recipe.shards == shard and len(self.moments[user]):
                rng = np.random.default_rng(seed)
                row = self._user(user, False, rng)
                yield self._dated(self._number({name: value[None] for name, value in row.items()}, rng))

    def noise(self, step: int, shard: int) -> Noise | None:
        """Of the step's sum, which the first micro-batch brings for all of them, whatever the number of ranks."""
        if shard or not self.guarantee.noise_multiplier:
            return None
        scale = self.guarantee.noise_multiplier * self.guarantee.clip
        return lambda size: scale * self.secret.normal(step, size)
