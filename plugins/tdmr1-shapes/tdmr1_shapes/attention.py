"""Joint attention of image and text (Esser et al. 2024, arXiv 2403.03206), for short sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tdmr1.core.lora_linear import autocast_dtype
from tdmr1_shapes.pointwise import rms_norm


class JointAttention:
    """Processor of an `SD3Transformer2DModel` whose queries and keys are normalised.

    What diffusers' own gives, but for rounding. Queries and keys leave their norms in float32;
    here they, and what attention makes of them, go on in the dtype of the values.
    """

    def __call__(
        self,
        attn: Any,  # noqa: ANN401  # diffusers' Attention
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: None = None,
    ) -> tuple[Tensor, Tensor]:
        """Of image tokens (B, I, width) and text tokens (B, T, width); both likewise."""

        def heads(tokens: Tensor) -> Tensor:
            return tokens.view(*tokens.shape[:2], attn.heads, -1).transpose(1, 2)

        def normed(projected: Tensor, norm: Any) -> Tensor:  # noqa: ANN401  # diffusers' RMSNorm
            return rms_norm(heads(projected), norm.weight, norm.eps)

        def tokens(heads: Tensor) -> Tensor:
            return heads.transpose(1, 2).flatten(2)

        image, text = hidden_states, encoder_hidden_states
        if (dtype := autocast_dtype(image)) is not None:  # once, not in each of six layers
            image, text = image.to(dtype), text.to(dtype)
        query, key, value = (
            torch.cat(parts, dim=2)
            for parts in (
                (
                    normed(attn.to_q(image), attn.norm_q),
                    normed(attn.add_q_proj(text), attn.norm_added_q),
                ),
                (
                    normed(attn.to_k(image), attn.norm_k),
                    normed(attn.add_k_proj(text), attn.norm_added_k),
                ),
                (heads(attn.to_v(image)), heads(attn.add_v_proj(text))),
            )
        )
        attended = attention(query, key, value)
        count = image.shape[1]
        image, text = tokens(attended[:, :, :count]), tokens(attended[:, :, count:])
        return attn.to_out[0](image), text if attn.context_pre_only else attn.to_add_out(text)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v of (B, heads, T, d) each.

    With 24 tokens on a processor in bfloat16, PyTorch's fused attention takes twice the time of
    its parts forwards, and ten times backwards; so does a softmax in bfloat16, three times.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(query, key, value)
    scores = query @ key.mT * query.shape[-1] ** -0.5
    attended: Tensor = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    return attended
