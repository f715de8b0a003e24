"""Agora on MXNet: trains Timaeus, asks Socrates, makes new examples."""
