"""What may leave the house: cohorts, and figures with noise. Tables of profiles and insight."""

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

LONGEST = 366  # nights of a window that a budget may have
RELEASES = {
    "buyers": "people who bought an item in the last 28 days, each counted for at most 50 items; by item_id",
    "people": "users, by their segment in profiles.users",
    "value": "mean money of a user in 91 days, each up to NIGHT_MOST_VALUE; likewise",
    "ages": "users, by age as in profiles.cohorts",
    "units": "units bought in the last 7 days, a user's with a Euclidean norm of at most 10; by category",
}

RELEASED = Table(
    name="insight.released",
    doc="Figures with noise that may leave the house, one row a release; differentially private for each user.",
    columns=(
        DAY,
        Column(
            "release",
            "string",
            "; ".join(f"{name}: {doc}" for name, doc in RELEASES.items()),
            required=True,
            one_of=tuple(RELEASES),
        ),
        Column("figures", "map<string,double>", "with noise; those that drown in it are left out", required=True),
        Column("scale", "double", "standard deviation of the noise; of value, on the sums", required=True, above=0),
        Column("bound", "double", "how far one user changes the figures, as a Euclidean norm", required=True, above=0),
        Column("threshold", "double", "smaller figures of ages are left out; null for the others", above=0),
        Column("rho", "double", "what it spent of zero-concentrated differential privacy", required=True, above=0),
        Column("delta", "double", "and what its threshold spent", required=True, minimum=0, maximum=1),
    ),
    keep_days=YEAR,
    key=("release",),
)

BUDGET = Table(
    name="insight.budget",
    doc="What insight.released spent, tonight and in a window of nights; where it was too much, that nothing is told.",
    columns=(
        DAY,
        Column("released", "boolean", "whether the night has rows in insight.released", required=True),
        Column("told", "string", "why, in one sentence", required=True),
        Column("rho", "double", "the night's, the sum over its releases", required=True, minimum=0),
        Column("delta", "double", "likewise, of thresholds", required=True, minimum=0),
        Column("epsilon", "double", "the night's at NIGHT_DELTA", required=True, minimum=0),
        Column("window", "int", "nights that share a budget", required=True, minimum=1, maximum=LONGEST),
        Column("window_rho", "double", "of the costliest window with this night, a sum", required=True, minimum=0),
        Column("window_delta", "double", "likewise, of thresholds", required=True, minimum=0),
        Column("window_epsilon", "double", "the window's at most_delta", required=True, minimum=0),
        Column("most_epsilon", "double", "that a window may have", required=True, above=0),
        Column("most_delta", "double", "the delta at which a window is judged", required=True, above=0, maximum=1),
    ),
    keep_days=YEAR,
    key=("day",),
    may_be_empty=False,
)
