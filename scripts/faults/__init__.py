"""Faults put into a sweep from outside: kills, failing file operations, damaged files."""
