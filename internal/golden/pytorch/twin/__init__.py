"""A PyTorch twin of hdas: the networks, supernets and bilevel steps once more, written from the papers.

Parameters bear the names that hdas gives them, which for chains are those of quark0/darts. What a network is made of comes as
plain lists and numbers: a DAG is {"nodes": [[[operation, state], ...], ...], "out": [state, ...]}, its states 0 and 1 are its
inputs, state i+2 is node i. A DAG still to be searched has operations of None and, besides, its "name", "candidates" and "share":
the operations of every edge, and of how many channels one is mixed.
"""
