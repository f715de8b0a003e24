"""Agora: fine-tuning that lets a small model reach its teacher when data is scarce.

Pure Python and NumPy: models come in behind `TimaeusTrainer`, `SocratesLabeller` and `Proposer`.

Source: arXiv 2010.07990 (the algorithm), arXiv 2010.10499, section 4 (its use).
"""
