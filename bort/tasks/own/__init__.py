"""Tasks of a user's own: their description, labels, metrics, splits and task files."""
