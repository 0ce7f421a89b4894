"""gradfree: the benchmark harness for gradient-free tuning of language models."""
