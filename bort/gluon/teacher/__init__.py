"""Teachers that run on MXNet or another engine."""
