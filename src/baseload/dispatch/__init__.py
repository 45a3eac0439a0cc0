"""Dispatch: which offer serves a call, and why. Pure: time, health and load are arguments.

In:     the offers of a model, their rates, the expected tokens of a call.
Out:    the merit order: eligible offers by expected cost, and the reason for each that is not eligible.
May import: errors, money, msgspec.
"""
