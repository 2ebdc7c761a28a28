"""Evaluation: pictures of held-out prompts, judged by rewards, compared and tabulated."""
