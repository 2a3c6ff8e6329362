"""Collections come and go: other programs' vectors become index versions, and versions become files that those read.

layout.py           how files are called, and which collection a folder holds
shards.py           a collection's files, checked and read batch by batch
pictures.py         a collection's columns to the rows of an index
gathered.py         the rows on the disk, until there is a version
same_model.py       are the vectors of the encoder that is named?
importing.py        a collection to a published version
columns.py          a version's rows to columns
exporting.py        a version to a folder of files
atomic_folder.py    a folder that is there as a whole or not at all
commands.py         `python -m indexer import` and `export`
"""
