"""The process of a command: errors and exit status, stop requests, threads, progress, machine."""
