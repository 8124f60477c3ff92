"""Recompute an audit bundle offline: every second, every wage, every balance and every hash, with code of its own.

This directory needs nothing of the product: the standard library does all but the Ed25519 signatures, for which
`cryptography` is used where it is installed. Copy it with `verify.py` to any machine. Times are integers of
microseconds or seconds, money is integers of minor units or exact fractions; there is no float.
"""
