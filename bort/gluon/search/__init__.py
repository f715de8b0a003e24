"""The search on MXNet: trains and times candidates."""
