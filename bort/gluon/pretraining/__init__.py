"""Pre-training by distillation on MXNet."""
