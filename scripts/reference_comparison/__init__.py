"""Our algorithms beside reference implementations: same functions, seeds and budgets."""
