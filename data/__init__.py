"""What knows files: text to shards, shards to examples, readers of task files, generated English."""
