"""Training on MXNet: the loop, flat parameters, optimizers and checkpoints."""
