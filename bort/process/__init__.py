"""The process of a command: its frame, stop requests, threads, progress, and its machine."""
