"""Classification tasks made from generated English."""
