"""What a reward has to hold to: checks that `tdmr1 rewards check` and an author's tests share."""
