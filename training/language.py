"""What pre-training minimises: the language model's own objective, and which text tells about which item."""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

from training.corpus import Corpus
from training.packing import Packed, means, pack, visible
from training.parts import Pretraining
from training.precision import mixed

NO_LABEL = -100
MASKED, RANDOM = 0.8, 0.9  # of the tokens to be guessed, these shares are masked, or masked or another token (BERT)


class Texts:
    """Draws micro-batches of texts: a function of seed, step and shard alone.

    Args:
        taught: float32[texts of the corpus, E], what a teacher says of them; None without one.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        plan: Pretraining,
        *,
        mask: int | None,
        seed: int,
        taught: np.ndarray | None = None,
    ):
        self.corpus, self.plan, self.mask, self.seed, self.taught = corpus, plan, mask, seed, taught
        encodings = tokenizer.encode_batch(corpus.texts)
        self.ids = [[i for i, real in zip(e.ids, e.attention_mask, strict=True) if real] for e in encodings]
        self.special = [
            [s for s, real in zip(e.special_tokens_mask, e.attention_mask, strict=True) if real] for e in encodings
        ]
        self.vocabulary = tokenizer.get_vocab_size()
        self.pad = tokenizer.padding["pad_id"]
        paired = np.unique(corpus.pairs)
        self.alone = np.setdiff1d(np.arange(len(corpus.texts)), paired)

    def draw(self, step: int, shard: int) -> dict[str, np.ndarray]:
        """At most ``plan.texts`` texts: pairs, and in their share of the corpus texts that belong to no pair.

        Returns:
            ids, labels, segment, position: int64[R, L]; a label is NO_LABEL where nothing is to be guessed.
            pairs: int64[P, 2], segments; both texts differ from pair to pair.
            taught: float32[segments, E], where there is a teacher.
        """
        rng = np.random.default_rng([self.seed, step, shard])
        share = 2 * len(self.corpus.pairs) / max(2 * len(self.corpus.pairs) + len(self.alone), 1)
        wanted = min(round(share * self.plan.texts / 2), len(self.corpus.pairs))
        pairs = self.apart(self.corpus.pairs[rng.choice(len(self.corpus.pairs), wanted, replace=False)])
        others = rng.choice(self.alone, min(self.plan.texts - 2 * wanted, len(self.alone)), replace=False)
        return self.batch(pairs, others, rng)

    @staticmethod
    def apart(pairs: np.ndarray) -> np.ndarray:
        """Those of the pairs whose texts no other has: of two items with one description neither would be wrong."""
        for column in (1, 0):
            pairs = pairs[np.unique(pairs[:, column], return_index=True)[1]]
        return pairs

    def batch(self, pairs: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A micro-batch of these pairs and these other texts."""
        named, places = np.unique(pairs, return_inverse=True)
        texts = np.concatenate([named, others])
        ids, special = [self.ids[text] for text in texts], [self.special[text] for text in texts]
        packed = pack(ids, special, self.plan.pack, self.pad)
        seen, labels = self._hide(packed, rng)
        drawn = {
            "ids": seen,
            "labels": labels,
            "segment": packed.segment,
            "position": packed.position,
            "pairs": places.reshape(-1, 2),
        }
        return drawn if self.taught is None else {**drawn, "taught": self.taught[texts]}

    def _hide(self, packed: Packed, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What the model sees, and what it is to guess."""
        if self.mask is None:  # the next token of the same text
            following = np.roll(packed.segment, -1, axis=1)
            following[:, -1] = -1
            goes_on = (packed.segment == following) & (packed.segment >= 0)
            return packed.ids, np.where(goes_on, np.roll(packed.ids, -1, 1), NO_LABEL)
        guessed = (rng.random(packed.ids.shape) < self.plan.masked) & ~packed.special
        fate = rng.random(packed.ids.shape)
        seen = np.where(guessed & (fate < MASKED), self.mask, packed.ids)
        other = guessed & (fate >= MASKED) & (fate < RANDOM)
        seen = np.where(other, rng.integers(0, self.vocabulary, packed.ids.shape), seen)
        return seen, np.where(guessed, packed.ids, NO_LABEL)


class TextObjective(nn.Module):
    """A language model with its head, the temperature of the pairs, and the way from its encodings to a teacher's.

    Args:
        model: masked (its head is called ``cls``) or causal (``lm_head``), as Hugging Face makes it.
        taught: width of the teacher's encodings; 0 without one.

    Raises:
        ValueError: if it has no such head.
    """

    def __init__(self, model: nn.Module, plan: Pretraining, *, causal: bool, bfloat16: bool, taught: int = 0):
        super().__init__()
        self.model, self.plan, self.causal, self.bfloat16 = model, plan, causal, bfloat16
        self.head = next((name for name in ("cls", "lm_head") if hasattr(model, name)), None)
        if self.head is None:
            raise ValueError(f"backbone {type(model).__name__} has no head called cls or lm_head to pre-train with")
        self.log_scale = nn.Parameter(torch.tensor([3.0]))  # one over the temperature: e^3 = 20
        if taught:
            self.match = nn.Linear(model.config.hidden_size, taught)  # its bias takes away what all texts share
            nn.init.eye_(self.match.weight)  # a student made of its teacher's layers starts near it
            nn.init.zeros_(self.match.bias)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """float32[4]: the loss (nats), its parts of tokens and of pairs (nats per one), and the share of pairs right.

        A pair is right when of the micro-batch's titles its own is nearest to its text. With a teacher, float32[5]: the
        last is 1 - cosine of what is said of a text and what the teacher says, the mean over texts. Reimers and
        Gurevych (2020) take the squared distance; but fine-tuning looks at directions alone, and a cosine weighs the
        same beside the tokens whatever the length of a teacher's vectors.
        """
        with mixed(batch["ids"].device.type, self.bfloat16):
            seen = visible(batch["segment"], causal=self.causal)
            base = self.model.base_model
            states = base(input_ids=batch["ids"], attention_mask=seen, position_ids=batch["position"]).last_hidden_state
            guessed = batch["labels"] != NO_LABEL
            logits = getattr(self.model, self.head)(states[guessed])
        tokens = F.cross_entropy(logits.float(), batch["labels"][guessed], reduction="sum") / guessed.sum().clamp(min=1)
        texts = means(states, batch["segment"], int(batch["segment"].max()) + 1)
        pairs, right = self._pairs(texts, batch["pairs"])
        loss = tokens + self.plan.pair_weight * pairs
        if "taught" not in batch:
            return torch.stack([loss, tokens, pairs, right])
        apart = 1 - F.cosine_similarity(self.match(texts), batch["taught"]).mean()
        return torch.stack([loss + self.plan.teacher_weight * apart, tokens, pairs, right, apart])

    def _pairs(self, texts: torch.Tensor, pairs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(pairs) < 2:
            return texts.new_zeros(()), texts.new_zeros(())
        texts = F.normalize(texts, dim=-1)
        logits = texts[pairs[:, 0]] @ texts[pairs[:, 1]].T * self.log_scale.clamp(max=4.6).exp()
        own = torch.arange(len(pairs), device=logits.device)
        both = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        return both, (logits.argmax(1) == own).float().mean()
