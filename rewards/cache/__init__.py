"""Scores kept on disk, and what tells one reward's scores from another's."""
