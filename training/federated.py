"""Federated averaging over shards of the users, as a SIMULATION: one process plays the server and all clients in turn.

A round (McMahan et al. 2017): every client starts from the server's weights, takes some steps on its own users alone,
and sends how far its weights moved, times its number of users. The server learns the sums of these, from vectors
that are masked for it (``training.secure_sum``), and moves by the users' mean. No network, nobody drops out, and the
clients' users are read from one lake: it tells what such training would reach and cost, and protects nobody by itself.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import torch

from training.data import Histories, Night
from training.engine import parameter_groups
from training.objective import Objective
from training.recipe import Recipe
from training.secure_sum import Party, Scale, added, gathered
from training.weeks import Weeks

BOUND = 1e5  # of what a client sends: users times how far a weight moved in a round

Optimizer = Callable[[list[dict]], torch.optim.Optimizer]


def adamw(groups: list[dict]) -> torch.optim.Optimizer:
    """The optimizer of central training; a client forgets its moments from round to round."""
    return torch.optim.AdamW(groups, weight_decay=0.0)


def check(recipe: Recipe) -> None:
    """That the recipe's model is one that clients can train on their own users alone.

    Raises:
        ValueError: if it counts over all users, is private, or tunes the language model.
    """
    if recipe.counted or recipe.private or recipe.tuned_layers:
        raise ValueError(
            f"recipe {recipe.name}: a federation needs counted=False, tuned_layers=0 and no privacy of its own"
        )


def shards(night: Night, count: int) -> list[Night]:
    """The night as each client knows it: the whole catalogue, and its own users, by a hash of their ids.

    Raises:
        ValueError: if a client has nobody.
    """
    home = np.array([int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) % count for user in night.user_ids])
    sizes = np.bincount(home, minlength=count)
    if not sizes.all():
        raise ValueError(f"{len(night.user_ids)} users are too few for {count} shards: one has nobody")
    return [_of(night, np.flatnonzero(home == place)) for place in range(count)]


def _of(night: Night, users: np.ndarray) -> Night:
    seen = night.histories
    rows = np.concatenate([np.arange(seen.offsets[user], seen.offsets[user + 1]) for user in users])
    offsets = np.concatenate([[0], np.cumsum(np.diff(seen.offsets)[users])])
    own = Histories(offsets, *(each[rows] for each in (seen.items, seen.times, seen.amounts, seen.baskets)))
    return replace(night, user_ids=[night.user_ids[user] for user in users], histories=own)


@dataclass
class Client:
    """One shard: its users, and its part in the secure sum."""

    weeks: Weeks
    party: Party

    @property
    def users(self) -> int:
        return len(self.weeks.night.user_ids)


@dataclass(frozen=True)
class Round:
    """What a round was: the clients' mean loss in nats, bytes that each sent, and seconds that masks took them all."""

    loss: float
    sent: int
    masking_seconds: float


class Federation:
    """A server with its clients.

    Args:
        objective: of the whole night's catalogue, with its table of texts; where it stands is where the server is.
        night: the training part, see :func:`training.public.public`.
        local_steps: of each client in a round.
        optimizer: of the clients, made anew each round.

    Raises:
        ValueError: if the recipe isn't one for it, or a client has nobody.
    """

    def __init__(
        self,
        objective: Objective,
        night: Night,
        recipe: Recipe,
        *,
        count: int,
        rounds: int,
        local_steps: int,
        optimizer: Optimizer = adamw,
    ):
        check(recipe)
        self.objective, self.recipe, self.optimizer = objective, recipe, optimizer
        self.rounds, self.local_steps = rounds, local_steps
        parties = gathered(count)
        self.clients = [
            Client(Weeks(each, recipe), party) for each, party in zip(shards(night, count), parties, strict=True)
        ]
        self.scale = Scale(BOUND, count)
        self.learning = [each for each in objective.parameters() if each.requires_grad]

    def run(self) -> Iterator[Round]:
        """All rounds; after each, the objective stands where the server does."""
        for number in range(self.rounds):
            yield self._round(number)

    def _round(self, number: int) -> Round:
        server = torch.nn.utils.parameters_to_vector(self.learning).detach().clone()
        sent, losses, masking = [], [], 0.0
        for client in self.clients:
            torch.nn.utils.vector_to_parameters(server.clone(), self.learning)  # which are parts of it from then on
            losses.append(self._train(client, number))
            moved = (torch.nn.utils.parameters_to_vector(self.learning).detach() - server).double().numpy()
            began = time.perf_counter()
            told = self.scale.encode(np.append(moved, 1.0) * client.users)
            sent.append(client.party.masked(told, number))
            masking += time.perf_counter() - began
        *total, users = self.scale.decode(added(sent))
        step = torch.from_numpy(np.array(total) / users).to(server.dtype)
        torch.nn.utils.vector_to_parameters(server + step, self.learning)
        return Round(float(np.mean(losses)), sent[0].nbytes, masking)

    def _train(self, client: Client, number: int) -> float:
        """A client's steps from where the objective stands; their mean loss. Rates fall to 0 over the rounds."""
        groups = parameter_groups(self.objective, self.recipe, self.recipe.steps)
        left = 1 - number / self.rounds
        optimizer = self.optimizer([{"params": each["params"], "lr": each["lr"] * left} for each in groups])
        total = 0.0
        for step in range(number * self.local_steps, (number + 1) * self.local_steps):
            batch = client.weeks.draw(step, client.party.place)
            loss = self.objective({name: torch.from_numpy(each) for name, each in batch.items()})[0]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
            optimizer.step()
            total += loss.item() / self.local_steps
        return total
