"""The language model that reads items' texts: any Hugging Face folder or name."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging


class TextEncoder(nn.Module):
    """Token ids and mask, int64[B, T] -> float32[B, E]: the mean of the backbone's last hidden states over a text."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.width = backbone.config.hidden_size

    def forward(self, token_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.backbone(input_ids=token_ids, attention_mask=attention_mask).last_hidden_state.float()
        weights = attention_mask.unsqueeze(-1).float()
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def load_backbone(folder: str) -> TextEncoder:
    """The backbone of that folder or hub name.

    Raises:
        ValueError: if it isn't one.
    """
    return TextEncoder(_read(AutoModel, folder))


def load_language_model(folder: str, *, masked: bool) -> nn.Module:
    """The backbone with the head that guesses tokens: masked ones, or the next.

    Raises:
        ValueError: if it is no backbone, or none of that kind.
    """
    return _read(AutoModelForMaskedLM if masked else AutoModelForCausalLM, folder)


def _read(kind: type, folder: str) -> nn.Module:
    transformers_logging.disable_progress_bar()
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # a head that the folder lacks starts anew, and is no fault
    try:
        model = kind.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"backbone {folder!r} is no Hugging Face model (config.json with model_type, model.safetensors): {error}"
        ) from error
    finally:
        transformers_logging.set_verbosity(level)
    _without_dropout(model)
    return model


def _without_dropout(model: nn.Module) -> None:
    """Texts that go through live must fit those in the table, and a checkpointed layer works in training mode only."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def tune(backbone: nn.Module, layers: int | None, *, lora_rank: int = 0, recompute: bool = False) -> None:
    """Choose what of the backbone learns.

    Args:
        layers: how many of the last layers learn; None is all of them, with the embeddings where there are no adapters.
        lora_rank: of the adapters that learn in their place; 0 is without.
        recompute: the layers' activations are computed again for the backward pass.

    Raises:
        ValueError: if the backbone has no stack of layers.
    """
    stack = _layers(backbone)
    chosen = list(stack) if layers is None else list(stack)[len(stack) - layers :]
    backbone.requires_grad_(layers is None and not lora_rank)
    if lora_rank and chosen:
        inside = {id(module) for layer in chosen for module in layer.modules() if isinstance(module, nn.Linear)}
        names = [name for name, module in backbone.named_modules() if id(module) in inside]
        inject_adapter_in_model(LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, target_modules=names), backbone)
    else:
        for layer in chosen:
            layer.requires_grad_(True)
    if recompute:
        backbone.gradient_checkpointing_enable({"use_reentrant": False})


def keep_layers(backbone: nn.Module, count: int) -> None:
    """Drop all but ``count`` layers, evenly spaced from the first to the last (as DistilBERT starts: Sanh et al. 2019).

    Raises:
        ValueError: if the backbone has fewer, or no stack of layers.
    """
    stack, config = _layers(backbone), backbone.config
    if not 1 <= count <= len(stack):
        raise ValueError(f"layers is {count}; backbone {type(backbone).__name__} has {len(stack)}")
    places = np.linspace(0, len(stack) - 1, count).round().astype(int)
    kept = [stack[place] for place in places]
    del stack[count:]
    for number, layer in enumerate(kept):
        stack[number] = layer
        for module in layer.modules():
            if hasattr(module, "layer_idx"):  # its place in the cache of a decoder
                module.layer_idx = number
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[place] for place in places]
    config.num_hidden_layers = count


def _layers(backbone: nn.Module) -> nn.ModuleList:
    """The backbone's stack of transformer layers, whatever its architecture calls it."""
    depth = backbone.config.num_hidden_layers
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ValueError(f"backbone {type(backbone).__name__} has no stack of {depth} layers to tune")


def fingerprint(folder: str) -> str:
    """A hash of the weights in that folder; of a hub's name, the name."""
    digest = hashlib.sha256(Path(folder).name.encode())
    for path in sorted(Path(folder).glob("*.safetensors")):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def load_tokenizer(folder: str, max_tokens: int) -> Tokenizer:
    """The backbone's tokenizer, cutting at ``max_tokens`` and padding to the longest of a batch.

    Raises:
        ValueError: if the folder has none.
    """
    pretrained = _pretrained_tokenizer(folder)
    tokenizer = Tokenizer.from_str(pretrained.backend_tokenizer.to_str())
    tokenizer.enable_truncation(max_tokens)
    pad = pretrained.pad_token or pretrained.eos_token
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer


def copy_tokenizer(folder: str, target: Path) -> None:
    """The backbone's tokenizer, beside a model made of it."""
    _pretrained_tokenizer(folder).save_pretrained(target)


def mask_token(folder: str) -> int | None:
    """The number of the tokenizer's mask; None where it has none, as a decoder's."""
    return _pretrained_tokenizer(folder).mask_token_id


def _pretrained_tokenizer(folder: str) -> PreTrainedTokenizerFast:
    try:
        pretrained = AutoTokenizer.from_pretrained(folder, use_fast=True)
        pretrained.backend_tokenizer.get_vocab_size()  # a slow one has none
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"backbone {folder!r} has no fast tokenizer (tokenizer.json): {error}") from error
    return pretrained


def tokenise(tokenizer: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and attention mask, int64[B, T], T the longest of these texts."""
    encodings = tokenizer.encode_batch(texts)
    ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
    return ids, np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
