"""Prediction: texts in, answers out, from any model folder and on any engine."""
