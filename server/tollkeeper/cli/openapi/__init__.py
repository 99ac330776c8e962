"""OpenAPI documents: text and prices in, annotated text and a report out.

Pure: `annotate.py` decides, `operations.py` finds what a document describes, `tree.py` and the two
forms beside it read a text with the place of every value, `edits.py` writes into it. What is not
edited keeps every byte: comments, order, quotes, indentation.
"""
