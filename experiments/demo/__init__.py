"""The demonstration: from raw text to a small student that has learnt from a teacher."""
