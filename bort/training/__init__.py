"""Settings and schedules that every training shares, as pure values."""
