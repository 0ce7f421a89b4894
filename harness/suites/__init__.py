"""Shipped sweep files: ``gradfree sweep quick`` runs ``quick.yaml``."""
