"""What knows files: text to shards, shards to examples, generated English."""
