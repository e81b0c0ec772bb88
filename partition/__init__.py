"""Which rank simulates which blocks of neurons."""
