"""Parts of a recipe that are plans of their own."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Pretraining:
    """How the language model goes on reading the shop's own text before it is fine-tuned.

    Args:
        steps, warmup: optimizer steps, and those over which the learning rate rises before it falls to 0.
        shards: micro-batches a step, shared out among the ranks.
        texts: per micro-batch, at most.
        pack: tokens in a row that short texts share; 0 gives each text a row.
        masked: share of tokens to be guessed, where the backbone has a mask; a decoder guesses every next one.
        pair_weight: of the loss of text pairs (does this text tell about that item) beside the tokens'.
        lr: learning rate.
        evaluate_every: steps between two looks at the held-out texts, and between two checkpoints.
        layers: how many of the backbone's layers are kept, evenly spaced; None keeps all.
        teacher: a larger backbone, as a folder or name, whose encodings of the texts are learned; None goes without.
        teacher_weight: of that loss beside the tokens'.
    """

    steps: int
    warmup: int = 20
    shards: int = 2
    texts: int = 128
    pack: int = 64
    masked: float = 0.15
    pair_weight: float = 1.0
    lr: float = 2e-4
    evaluate_every: int = 50
    layers: int | None = None
    teacher: str | None = None
    teacher_weight: float = 1.0


@dataclass(frozen=True)
class Sentiment:
    """How the language model is fine-tuned on rated reviews.

    Args:
        steps, warmup: optimizer steps, and those over which the learning rates rise before they fall to 0.
        shards: micro-batches a step, shared out among the ranks.
        texts: reviews per micro-batch.
        max_tokens: of a review; what follows isn't read.
        tuned_layers: how many of the backbone's last layers learn; None is all, with the embeddings.
        lr, head_lr: learning rates of these and of the head.
        checkpoint_every: steps between two checkpoints.
    """

    steps: int = 400
    warmup: int = 20
    shards: int = 2
    texts: int = 32
    max_tokens: int = 128
    tuned_layers: int | None = 2
    lr: float = 2e-4
    head_lr: float = 2e-3
    checkpoint_every: int = 50


@dataclass(frozen=True)
class Privacy:
    """How fine-tuning keeps what it learned of any one user from being told (DP-SGD: Abadi et al. 2016).

    Args:
        epsilon, delta: of the differential privacy that the whole training has for each user with all that they did;
            the noise follows from them. An infinite epsilon adds none.
        clip: longest gradient of one user; infinite leaves all as they are.
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 1.0

    def __post_init__(self):
        for wrong, why in (
            (not self.epsilon > 0, f"epsilon is {self.epsilon}, not above 0"),
            (not 0 < self.delta < 1, f"delta is {self.delta}, not between 0 and 1"),
            (not self.clip > 0, f"clip is {self.clip}, not above 0"),
            (self.clip == inf and self.epsilon < inf, "clip is infinite: no noise is enough then"),
        ):
            if wrong:
                raise ValueError(f"private: {why}")
