"""Humans' binary likes: pictures that wait for votes, and the votes."""
