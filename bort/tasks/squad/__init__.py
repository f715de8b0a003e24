"""SQuAD 1.1 and 2.0: windows of passages, answers from spans, files and scores."""
