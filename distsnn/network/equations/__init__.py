"""Neuron models written as equations: text in, checked trees and their integration scheme out.

Text is read by Python's own parser and only what is known passes on (`syntax`); units are checked
(`dimensions`, `dynamics`); which equations are linear decides how they are integrated (`analysis`).
Nothing a user writes is ever evaluated as Python.
"""
