"""What every training on MXNet shares: flat parameters, optimizers, checkpoints."""
