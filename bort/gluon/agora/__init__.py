"""Agora on MXNet: training of Timaeus, labels of Socrates, proposals for new examples."""
