"""What the recommender says of a pair of user and item beside its relevance, and of a user alone.

p(click | shown) and p(purchase | click) multiply to p(purchase | shown), as in the entire-space model of Ma et al.
(2018); where a source logs no clicks, the second stands for the product. The money of a purchase is lognormal, so that
spend is zero-inflated lognormal (Wang, Liu and Miao 2019): a probability times the mean of what is paid if anything is.
"""

import torch
from torch import nn
from torch.nn import functional as F

PAIRED = ("click", "purchase", "spend")  # an inner product of a user's and an item's vector
LOGITS = PAIRED[:2]


class Heads(nn.Module):
    """Vectors whose inner products are logits of click and purchase, and the logarithm of what a purchase brings.

    What an item usually brings is counted, not learned; the head learns by how much a purchase of this user differs.
    """

    def __init__(self, text_width: int, dim: int, items: int, width: int):
        super().__init__()
        self.item_norm, self.user_norm = nn.LayerNorm(dim - 1), nn.LayerNorm(dim)
        # without its bias, which is of a moment, and counts by the relevance
        self.items = nn.ModuleDict({name: nn.Linear(dim - 1, width) for name in PAIRED})
        self.users = nn.ModuleDict({name: nn.Linear(dim, width) for name in PAIRED})
        # start: what was shown is clicked and bought by its relevance
        self.gain, self.offset = nn.Parameter(torch.full((2,), 0.3)), nn.Parameter(torch.zeros(2))
        self.usual = nn.Embedding(items + 1, 1).requires_grad_(False)  # log money of a purchase; 0 is any item
        self.log_deviation = nn.Parameter(torch.tensor([-0.7]))  # of log money from its mean
        self.variety = nn.Linear(dim, 1)
        self.query = nn.Linear(text_width, dim)
        nn.init.zeros_(self.usual.weight)
        for part in [*self.users.values(), self.variety, self.query]:
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def of_items(self, vectors: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """float32[..., width + 1] for each of PAIRED, of item vectors [..., D] and int64[...] indices, 0 = unknown."""
        vectors = self.item_norm(vectors[..., :-1])
        found = [self.items[name](vectors).float() for name in PAIRED]
        last = (torch.ones_like(found[0][..., :1]),) * 2 + (self.usual(index),)
        return tuple(torch.cat(pair, dim=-1) for pair in zip(found, last, strict=True))

    def of_users(self, users: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """float32[..., width + 2] for each of LOGITS, the last what a point of relevance adds; width + 1 for spend."""
        users = self.user_norm(users)
        found = [self.users[name](users).float() for name in PAIRED]
        ones = torch.ones_like(found[0][..., :1])
        told = [
            torch.cat([each, ones * offset, ones * gain], dim=-1)
            for each, offset, gain in zip(found, self.offset, self.gain, strict=False)
        ]
        return (*told, torch.cat([found[-1], ones], dim=-1))

    def accepted(self, users: torch.Tensor) -> torch.Tensor:
        """float32[...]: logit of how far apart, from 0 to 1, the categories of what the user takes next lie."""
        return self.variety(self.user_norm(users)).squeeze(-1).float()

    def of_queries(self, encodings: torch.Tensor) -> torch.Tensor:
        """float32[N, D] of the encodings [N, E] of what people type: its inner products with items are relevance."""
        return self.query(F.normalize(encodings, dim=-1)).float()

    @property
    def excess(self) -> torch.Tensor:
        """float32[1]: the logarithm of a lognormal's mean is so far above the mean of its logarithm."""
        return torch.exp(2 * self.log_deviation) / 2


def logits(users: torch.Tensor, items: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Of pairs: users [..., width + 2], items [..., width + 1] and relevance scores [...]."""
    return (users[..., :-1] * items).sum(-1) + users[..., -1] * scores


def exposure_losses(
    click: torch.Tensor, purchase: torch.Tensor, clicked: torch.Tensor, bought: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross entropies in nats of clicks and of purchases, each over all that was shown; 0 where nothing was.

    The second is of p(click) * p(purchase | click), so that what is learned of purchases is learned from everything
    that was shown, and not from what happened to be clicked.

    Args:
        click, purchase: logits float32[N].
        clicked: 0, 1, or NaN where nobody logged it: there ``purchase`` is the logit of p(purchase | shown).
        bought: 0 or 1; what was bought without being clicked, where clicks are known, wasn't bought by being shown.
        weights: 0 or more; they undo the sampling of what was shown.
    """
    told = ~clicked.isnan()
    of_click = F.binary_cross_entropy_with_logits(click, torch.where(told, clicked, 0.0), reduction="none")
    joint = F.logsigmoid(purchase) + torch.where(told, F.logsigmoid(click), 0.0)
    neither = torch.log(-torch.expm1(joint.clamp(max=-1e-6)))
    of_purchase = -torch.where(torch.where(told, bought * clicked, bought) > 0, joint, neither)
    return _mean(of_click, weights * told), _mean(of_purchase, weights)


def spend_loss(means: torch.Tensor, log_deviation: torch.Tensor, paid: torch.Tensor) -> torch.Tensor:
    """Mean negative log likelihood, in nats, of the logarithms of what was paid; 0 where nothing was.

    Args:
        means: float32[N] of log money. log_deviation: float32[1]. paid: float32[N] money, NaN where unknown.
    """
    told = paid > 0
    apart = (torch.log(torch.where(told, paid, 1.0)) - means) * torch.exp(-log_deviation)
    return _mean(apart**2 / 2 + log_deviation, told.float())


def variety_loss(logit: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy in nats of how far apart the categories of what was taken lie, NaN where one item was."""
    told = ~taken.isnan()
    entropy = F.binary_cross_entropy_with_logits(logit, torch.where(told, taken, 0.0), reduction="none")
    return _mean(entropy, told.float())


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (torch.where(weights > 0, values, 0.0) * weights).sum() / weights.sum().clamp(min=1e-9)
