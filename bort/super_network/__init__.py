"""Super-networks without a framework: the space of sub-networks, sampling, settings, folders."""
