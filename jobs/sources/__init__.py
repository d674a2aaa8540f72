"""One module per public data format, and ``folder`` for a shop's own files; all land in the same raw tables.

A source has one function for each raw table it can fill, named like the table::

    def events(spark: SparkSession, data: str, after: date | None, day: date) -> DataFrame

It gives the rows that arrived in (after, day] (``after`` None: all history), in columns named as in the contract; what
it lacks it leaves out. Events and reviews carry ``day``, the day they arrived; it is null where no date can be read.
Snapshots (items, users, campaigns) are the state known at ``day``. Rows that can't be understood aren't dropped: they
carry ``_rule``, ``_reason`` and ``_source``.
"""
