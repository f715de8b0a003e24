"""The answers of a teacher: protocol, cache and top-k logits."""
