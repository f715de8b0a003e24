"""Gluon networks: encoder, model, classifier and initial weights."""
