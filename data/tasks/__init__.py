"""Data of the benchmark tasks: files, downloads, caches and gold labels."""
