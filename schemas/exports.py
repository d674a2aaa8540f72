"""What may leave the house: cohorts. Tables of profiles and insight."""

from schemas.behaviour import USER
from schemas.contract import DAY, QUARTER, YEAR, Column, Table
from schemas.control import SEGMENTS

# what a cohort is told by, the most useful first: the last ones are the first to say ANY
COHORT = ("segment", "loyalty", "topic", "age", "income")
ANY, UNKNOWN = "any", "unknown"

USER_COHORTS = Table(
    name="profiles.cohorts",
    doc="The group that a user may be exported in: of at least k people who are told the same; no_profiling has none.",
    columns=(
        DAY,
        USER,
        Column("segment", "string", "of profiles.segments, unknown without a purchase, or any", required=True),
        Column("loyalty", "string", "segment of profiles.users, or any", required=True, one_of=(*SEGMENTS, ANY)),
        Column("topic", "string", "the largest of profiles.topics, unknown, or any", required=True),
        Column(
            "age",
            "string",
            "as the shop has it, years by decades; unknown, or any",
            required=True,
            sensitivity="sensitive",
        ),
        Column("income", "string", "as the shop has it; unknown, or any", required=True, sensitivity="sensitive"),
    ),
    keep_days=QUARTER,
    key=("user_id",),
    anonymous=COHORT,
)

COHORTS = Table(
    name="insight.cohorts",
    doc="How many people are in each cohort of profiles.cohorts, at least k.",
    columns=(
        DAY,
        *(Column(name, "string", "as in profiles.cohorts", required=True) for name in COHORT),
        Column("people", "bigint", "users who are told the same", required=True, minimum=1),
    ),
    keep_days=YEAR,
    key=COHORT,
    anonymous=COHORT,
    people="people",
)
