"""OpenAPI documents: text and prices in, annotated text and a report out.

Pure: `annotate.py` decides, `operations.py` finds what a document describes, `reading.py` reads either form
into the tree of `tree.py`, with the place of every value in the text, `edits.py` writes into it. What is not
edited keeps every byte: comments, order, quotes, indentation.
"""
