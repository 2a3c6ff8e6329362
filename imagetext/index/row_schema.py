"""The tables of rows.sqlite, as format 3 has them. Formats 1 and 2 have the first eight columns of `pictures` alone."""

COLUMNS = ("row", "id", "path", "sha256", "bytes", "mtime_ns", "width", "height")
DESCRIPTION = ("taken", "tags", "captions")  # NULL, '[]' and '[]' where nothing is known

CREATE = (
    """
CREATE TABLE pictures (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    path BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    taken TEXT,
    tags TEXT NOT NULL,
    captions TEXT NOT NULL
)""",
    # (tag_key(tag), row) of each tag of each picture
    "CREATE TABLE tags (tag TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (tag, row)) WITHOUT ROWID",
    # contentless: it holds the inverted lists alone, the texts stand in `pictures`
    """
CREATE VIRTUAL TABLE texts USING fts5(
    captions, tags, path, content='', tokenize='porter unicode61 remove_diacritics 2'
)""",
)

# Made after the rows are in, which is faster. The first covers every filter by numbers, so that also one that cannot
# use its order reads a tenth of what the table would be.
INDEX = (
    "CREATE INDEX measures ON pictures (taken, mtime_ns, bytes, width, height)",
    "CREATE INDEX paths ON pictures (path)",
    "INSERT INTO texts (texts) VALUES ('optimize')",
)

INSERT_PICTURE = f"INSERT INTO pictures VALUES ({', '.join('?' * (len(COLUMNS) + len(DESCRIPTION)))})"
INSERT_TAG = "INSERT OR IGNORE INTO tags VALUES (?, ?)"
INSERT_TEXTS = "INSERT INTO texts (rowid, captions, tags, path) VALUES (?, ?, ?, ?)"

SELECT = f"SELECT {', '.join((*COLUMNS, *DESCRIPTION))} FROM pictures"
SELECT_OLD = f"SELECT {', '.join(COLUMNS)}, NULL, '[]', '[]' FROM pictures"
