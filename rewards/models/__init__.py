"""What rewards with networks share: weights, pictures as networks see them, features."""
