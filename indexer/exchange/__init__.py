"""Other programs' vectors become index versions, and versions become files for other programs.

importing.py        `python -m indexer import`: a collection becomes a published version
collection.py       a collection's files, read batch by batch
from_columns.py     a collection's columns become the rows of an index
same_model.py       are the vectors those of the encoder that was named?
exporting.py        `python -m indexer export`: a version becomes a folder of files
to_columns.py       a version's rows become columns
"""
