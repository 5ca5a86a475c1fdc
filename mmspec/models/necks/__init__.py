"""Decoders and feature pyramids."""

from .infmae_decoder import InfMAEDecoder

__all__ = ["InfMAEDecoder"]
