"""Several rewards over the same samples: outcomes, budgets for errors, weights, gates."""
