"""Typed configurations and command-line flags made from them."""
