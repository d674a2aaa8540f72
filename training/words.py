"""What single words and pairs of neighbours say of a class: a multinomial logistic regression of a bag of tokens.

It reads no order beyond the pair, but learns from every review in seconds, and in any language that the tokenizer can
spell, of which the language model beside it may know nothing (wide and deep: Cheng et al. 2016).
"""

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from torch import nn

PAIRS = 1 << 18  # places that pairs are hashed to
MIX = 1_000_003  # a prime
RIDGE = 0.5  # of each weight's square beside the sum of all reviews' losses
STEPS = 100  # of L-BFGS


class Words(nn.Module):
    """Token ids and mask, int64[B, T] -> float32[B, classes] logits.

    A text is the set of its tokens and neighbouring pairs, weighed by how rare they are (inverse document frequency)
    and of length 1.
    """

    def __init__(self, vocabulary: int, classes: int):
        super().__init__()
        self.vocabulary = vocabulary
        self.register_buffer("rarity", torch.zeros(vocabulary + PAIRS))
        self.register_buffer("weight", torch.zeros(vocabulary + PAIRS, classes))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        places, present = self.places(token_ids, attention_mask)
        told = self.rarity[places] * present
        length = told.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
        return ((told / length).unsqueeze(-1) * self.weight[places]).sum(1) + self.bias

    def places(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """int64[B, 2T] places in the tables, ascending, and bool of the same: true once for each that is there."""
        last = token_ids.shape[1] - 1
        after = torch.arange(1, last + 2, device=token_ids.device).clamp(max=last)  # a slice of one couldn't be traced
        paired = attention_mask * attention_mask[:, after] * (torch.arange(last + 1, device=after.device) < last)
        pairs = self.vocabulary + (token_ids * MIX + token_ids[:, after]) % PAIRS
        there = torch.cat([attention_mask, paired], dim=1)
        places = torch.cat([token_ids, pairs], dim=1)
        places = torch.where(there == 1, places, self.vocabulary + PAIRS).sort(dim=1).values
        new = torch.cat([torch.ones_like(places[:, :1], dtype=torch.bool), places[:, 1:] != places[:, :-1]], dim=1)
        return places.clamp(max=self.vocabulary + PAIRS - 1), new & (places < self.vocabulary + PAIRS)

    def fit(self, token_ids: np.ndarray, attention_mask: np.ndarray, classes: np.ndarray) -> None:
        """Learn from texts of these classes, int64[N]; each class weighs the same in all."""
        places, present = (
            each.numpy() for each in self.places(torch.from_numpy(token_ids), torch.from_numpy(attention_mask))
        )
        rows = np.repeat(np.arange(len(places)), present.sum(1))
        columns, count = np.unique(places[present], return_inverse=True)
        known = np.bincount(count)
        rarity = np.where(known > 1, np.log((1 + len(places)) / (1 + known)) + 1, 0.0)  # seen once says nothing
        table = csr_matrix((rarity[count], (rows, count)), shape=(len(places), len(columns)))
        lengths = np.sqrt(table.multiply(table).sum(1)).A1.clip(min=1e-6)
        table = csr_matrix((rarity[count] / lengths[rows], (rows, count)), shape=table.shape)
        weight, bias = _regressed(table, classes, self.weight.shape[1])
        self.rarity[torch.from_numpy(columns)] = torch.from_numpy(rarity.astype(np.float32))
        self.weight[torch.from_numpy(columns)] = torch.from_numpy(weight.astype(np.float32))
        self.bias[:] = torch.from_numpy(bias.astype(np.float32))


def _regressed(table: csr_matrix, classes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """float64[columns, count] weights and float64[count] biases of the likeliest ridge regression."""
    happened = np.eye(count)[classes]
    shares = (len(classes) / count / np.bincount(classes, minlength=count).clip(min=1))[classes]
    turned = table.T.tocsr()
    shape = (table.shape[1] + 1, count)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = theta.reshape(shape)
        logits = table @ theta[:-1] + theta[-1]
        logits -= logits.max(1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        away = shares[:, None] * (np.exp(logits) - happened)
        gradient = np.concatenate([turned @ away + RIDGE * theta[:-1], away.sum(0, keepdims=True)])
        value = -(shares * (logits * happened).sum(1)).sum() + RIDGE / 2 * np.square(theta[:-1]).sum()
        return float(value), gradient.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    theta = found.x.reshape(shape)
    return theta[:-1], theta[-1]
