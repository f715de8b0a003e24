"""Typed configurations and the flags made from them."""
