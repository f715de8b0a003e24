"""From text files to shards of token ids."""
