"""Fine-tuning on MXNet."""
