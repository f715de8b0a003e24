"""The Gluon networks: encoder, model, classifier, initial weights."""
