"""Super-networks on MXNet: sub-networks as models of their own, and their training."""
