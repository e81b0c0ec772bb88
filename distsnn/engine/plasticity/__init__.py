"""Plastic projections of a rank: rows, histories, delivery, scaling and recording of weights."""
