"""Networks as data, without a framework: arrays, parameter names, model folders."""
