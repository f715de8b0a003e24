"""The demonstration: from raw text to a small student that is trained by distillation."""
