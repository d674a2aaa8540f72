"""Small frames of the lake's tables."""

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

import schemas


@pytest.fixture(scope="session")
def frame(spark):
    """``frame("raw.items", {"item_id": "apple"}, ...)``: rows of that table; columns left out are null."""

    def make(name, *rows):
        schema = StructType.fromDDL(schemas.table(name).ddl)
        return spark.createDataFrame(pa.Table.from_pylist(list(rows), to_arrow_schema(schema, timezone="UTC")), schema)

    return make
