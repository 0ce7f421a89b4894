"""First-order references: methods that use gradients."""
