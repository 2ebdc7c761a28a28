"""How files name the matrices of a LoRA, and which layer of a network each name means.

LAYER.lora_A.weight, LAYER.lora_B.weight             diffusers, peft
LAYER.lora_A.ADAPTER.weight                          peft, of a model's own state
LAYER.lora_down.weight, LAYER.lora_up.weight         kohya
LAYER.lora.down.weight, LAYER.lora.up.weight         trainers for Z-Image
LAYER.lora_linear_layer.down.weight, ...up.weight    diffusers before peft
LAYER.alpha                                          any of these, a number

LAYER may have prefixes, and underscores for dots, as kohya's `lora_unet_...` has; it is looked up
among the layers of the network at hand.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

_MATRIX = re.compile(
    r"(?P<layer>.+)\.lora(?:_linear_layer)?[._](?P<matrix>A|B|down|up)"
    r"(?:\.(?P<adapter>[^.]+))?\.weight"
)
_ALPHA = re.compile(r"(?P<layer>.+)\.alpha")
_PREFIXES = (
    "transformer_",
    "diffusion_model_",
    "base_model_",
    "model_",
    "module_",
    "unet_",
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
)
"""Flat, as `_flat` writes them: of diffusers, ComfyUI, peft, torch, kohya, OneTrainer, LyCORIS."""

OTHERS = {
    "lora_magnitude_vector": "DoRA",
    "dora_scale": "DoRA",
    "lokr_": "LoKr",
    "hada_": "LoHa",
    "oft_": "OFT",
    "ia3_": "IA3",
    "lora_embedding_": "a LoRA of an embedding",
    "lora_mid": "a LoRA of a convolution in three factors",
    ".diff": "differences of weights",
}
"""What a file of adapters may hold instead of a LoRA, by a part of its names."""


@dataclasses.dataclass(frozen=True)
class Alias:
    """What a layer of another library's code is here.

    Attributes:
        layers: whose weights are its rows, in this order and in equal parts; three where it is
            queries, keys and values in one.
        swapped: the halves of its rows, scale and shift, stand the other way round.
        own: it is a layer of the network itself.
    """

    layers: tuple[str, ...]
    swapped: bool = False
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name in a file says.

    Attributes:
        layer: as the file writes it.
        part: "A", "B" or "alpha".
        adapter: its name in peft, if it has one.
    """

    layer: str
    part: str
    adapter: str | None = None


class LayerNames:
    """The layers of a network by all names that files have for them.

    Args:
        layers: names in the network.
        aliases: LAYER of another library's code -> what it is here; those of layers that the
            network lacks do not count.
        others: names of what else is in the network, which no LoRA here adapts.
    """

    def __init__(
        self, layers: Iterable[str], aliases: Mapping[str, Alias], others: Iterable[str] = ()
    ) -> None:
        own = {layer: Alias((layer,), own=True) for layer in layers}
        there = {name: alias for name, alias in aliases.items() if own.keys() >= {*alias.layers}}
        self._known = {_flat(name): alias for name, alias in (there | own).items()}
        self._others = {_flat(name): name for name in others}

    def find(self, layer: str) -> Alias | None:
        """What a layer in a file is here; None: no linear layer of this network."""
        return next((self._known[n] for n in _without_prefixes(layer) if n in self._known), None)

    def other(self, layer: str) -> str | None:
        """What a layer in a file is here, where that is something else than a linear layer."""
        return next((self._others[n] for n in _without_prefixes(layer) if n in self._others), None)


def parse(name: str) -> Entry | None:
    """What a name in a file says; None: nothing of a LoRA."""
    if found := _MATRIX.fullmatch(name):
        part = {"down": "A", "up": "B"}.get(found["matrix"], found["matrix"])
        return Entry(found["layer"], part, found["adapter"])
    if found := _ALPHA.fullmatch(name):
        return Entry(found["layer"], "alpha")
    return None


def is_of_text_encoder(layer: str) -> bool:
    """Whether a layer in a file is one of a pipeline's text encoders."""
    return re.match(r"(text_encoder|lora_te\d?_|te\d?\.)", layer) is not None


def _without_prefixes(layer: str) -> Iterator[str]:
    """The layer in a file, flat, with fewer and fewer prefixes."""
    flat: str | None = _flat(layer)
    while flat is not None:
        yield flat
        flat = next((flat.removeprefix(p) for p in _PREFIXES if flat.startswith(p)), None)


def _flat(name: str) -> str:
    """As kohya writes it. The layers of a network still differ."""
    return name.replace(".", "_")
