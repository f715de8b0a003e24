"""Classification tasks that are made from generated English."""
