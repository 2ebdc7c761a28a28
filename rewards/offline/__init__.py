"""Scoring image files that exist already."""
