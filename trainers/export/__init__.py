"""What others draw with: weights, scheduler, a model card with its code."""
