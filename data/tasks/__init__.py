"""The benchmarks' tasks: files, downloads, caches, gold labels."""
