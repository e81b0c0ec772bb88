"""Which rank simulates which blocks of neurons, and which core of a board hosts which."""
