"""The architecture search on MXNet: training and timing of candidates."""
