"""Settings, learning-rate schedules and the clock of training, without a framework."""
