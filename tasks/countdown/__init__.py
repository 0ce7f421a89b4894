"""Countdown: combine a few given numbers to reach a target."""
