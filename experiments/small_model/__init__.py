"""One command from a fine-tuned or plain encoder and a task to a small model, ready to serve."""
