"""Neuron models written as equations: text in, checked trees and their integration scheme out.

Python's parser reads the text, and only known constructs are accepted (`syntax`); units are checked
(`dimensions`, `dynamics`); which equations are linear decides how they are integrated (`analysis`).
Nothing a user writes is ever evaluated as Python.
"""
