"""Text of Wikipedia in any language, from its published dumps."""
