"""The shop's words, each text once: titles, attributes, descriptions, reviews, searches, and what they tell about."""

from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.behaviour.consent import willing, willing_pseudonyms
from jobs.behaviour.text import cleaned
from jobs.catalogue.items import NAMELESS, READ_LENGTH
from jobs.catalogue.latest import latest
from jobs.catalogue.terms import language, terms, words
from jobs.reads import on, upto

READS = {
    "items": on("catalogue.items"),
    "shop": on("raw.items"),
    "reviews": upto("raw.reviews", optional=True),
    "log": upto("behaviour.log"),
    "wishes": on("raw.preferences", optional=True),
}

LENGTH = 2000  # characters of a text
LAST_WORD = 100  # characters; what is longer than that and without a space is cut anywhere

TOUCHES = ("view", "add_to_cart", "purchase")
SOON = "INTERVAL 30 MINUTES"  # from a search to the item that it found


def texts(
    items: DataFrame,
    shop: DataFrame,
    reviews: DataFrame | None,
    log: DataFrame,
    wishes: DataFrame | None,
    *,
    day: date,
) -> DataFrame:
    """One row a text of one kind about one title; texts that differ in case, punctuation and spaces alone are one.

    A text without two letters or digits is left out, as is an item that has its id for a name. ``since`` is the day of
    the first event (of an item nobody touched: the night), so that training can leave out what came after its cut. The
    words of who wants no profile are left out, and so no model learns from them.

    Args:
        items: catalogue.items of the night.
        shop: raw.items of the night, for the descriptions.
        reviews: raw.reviews up to the night; None where the shop has none.
        log: behaviour.log up to the night.
        wishes: raw.preferences of the night; None where the shop has none.
        day: the night.
    """
    named = items.where(F.col("title") != F.concat_ws(" ", F.lit(NAMELESS), "item_id")).select(
        "item_id", "title", "brand", "category_path", F.coalesce("first_seen", F.lit(day)).alias("since")
    )
    told = [*_of_items(named, shop), _searches(named, willing_pseudonyms(log, wishes))]
    if reviews is not None:
        told.append(_reviews(named, latest(willing(reviews, wishes), "item_id", "title", "text", "ts")))
    split = _distinct(reduce(DataFrame.unionByName, told)).withColumn("_words", words(F.col("text")))
    known = split.withColumn("language", language(F.col("text"), F.col("_words")))
    return known.select(
        F.lit(day).alias("day"),
        # a text stands on one line, so none can look like two
        F.left(F.sha2(F.concat_ws("\n", "kind", "_normal", "about"), 256), F.lit(32)).alias("text_id"),
        "kind",
        "text",
        "about",
        "item_id",
        "language",
        terms(F.col("_words"), F.col("language")).alias("terms"),
        "since",
        "times",
    )


def _of_items(named: DataFrame, shop: DataFrame) -> list[DataFrame]:
    """What the shop itself wrote."""
    path = F.when(F.size("category_path") > 0, F.concat_ws(" > ", "category_path"))
    attributes = F.concat_ws(". ", "brand", path)  # as in catalogue.items.text; empty where there are none
    described = named.join(shop.select("item_id", "description"), on="item_id", how="inner")
    return [
        _told(named, "title", text="title", about=None),
        _told(named.withColumn("_attributes", attributes), "attributes", text="_attributes"),
        _told(described, "description", text="description"),
    ]


def _reviews(named: DataFrame, reviews: DataFrame) -> DataFrame:
    """Headline and body, the headline ending like a sentence."""
    headline = F.regexp_replace(cleaned(F.left("title", F.lit(READ_LENGTH))), r"[^\p{P}]$", "$0.")
    text = F.concat_ws(" ", headline, "text")
    written = reviews.select("item_id", text.alias("text"), F.to_date("ts").alias("since"))
    return _told(_with_title(written, named), "review", text="text")


def _searches(named: DataFrame, log: DataFrame) -> DataFrame:
    """Queries, each with the first item that its user touched soon after, in the session and before they asked anew."""
    asked = F.col("event_type") == "search"
    touched = F.col("event_type").isin(*TOUCHES)
    line = Window.partitionBy("session_id").orderBy("ts", "event_id")
    so_far = line.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # only sessions with a search are worth a sort; one more, for a hash that two share, does no harm
    session = F.xxhash64("session_id").alias("_session")
    searching = F.broadcast(log.where(asked).select(session).distinct())
    searches = (
        log.where(asked | touched)
        .withColumn("_session", session)
        .join(searching, on="_session", how="left_semi")
        .withColumn("_search", F.count_if(asked).over(so_far))
        .where("_search > 0")
        .groupBy("session_id", "_search")
        .agg(
            F.min(F.when(asked, F.struct("ts", "day", "query"))).alias("_asked"),
            F.min(F.when(touched, F.struct("ts", "event_id", "item_id"))).alias("_touched"),
        )
    )
    found = F.col("_touched.ts") <= F.col("_asked.ts") + F.expr(SOON)
    queries = searches.select(
        F.when(found, F.col("_touched.item_id")).alias("item_id"),
        F.col("_asked.query").alias("query"),
        F.col("_asked.day").alias("since"),
    ).where("query IS NOT NULL")
    return _told(_with_title(queries, named), "search", text="query")


def _with_title(rows: DataFrame, named: DataFrame) -> DataFrame:
    """``title`` of the row's item; of an item that the shop no longer lists, neither title nor id."""
    titles = named.select("item_id", "title")
    listed = F.when(F.col("title").isNotNull(), F.col("item_id"))
    return rows.join(titles, on="item_id", how="left").withColumn("item_id", listed)


def _told(rows: DataFrame, kind: str, text: str, about: str | None = "title") -> DataFrame:
    """One row a telling: the columns ``text`` and ``about`` of ``rows``, with the item and the day."""
    return rows.select(
        F.lit(kind).alias("kind"),
        F.left(text, F.lit(READ_LENGTH)).alias("text"),
        F.col(about).alias("about") if about else F.lit(None).cast("string").alias("about"),
        "item_id",
        "since",
    )


def _distinct(told: DataFrame) -> DataFrame:
    """Each text once, under ``_normal``; of those that are alike, the first by alphabet."""
    # letter by letter first: most titles and attributes repeat, and what comes next is slow
    same = _merged(told.where("text IS NOT NULL").withColumn("times", F.lit(1)), "text")
    written = same.withColumn("text", _limited(cleaned(F.col("text"))))
    readable = written.where(F.col("text").rlike(r"[\p{L}\p{N}][^\p{L}\p{N}]*[\p{L}\p{N}]"))
    normal = F.trim(F.regexp_replace(F.lower("text"), r"[\p{P}\p{Z}]+", " "))
    return _merged(readable.withColumn("_normal", normal), "_normal")


def _merged(rows: DataFrame, alike: str) -> DataFrame:
    """One row for those of one kind about one title that agree in the column ``alike``."""
    return rows.groupBy("kind", "about", alike).agg(
        *([] if alike == "text" else [F.min("text").alias("text")]),
        F.min("item_id").alias("item_id"),
        F.min("since").alias("since"),
        F.sum("times").alias("times"),
    )


def _limited(text: Column) -> Column:
    """``text`` up to the last space before its limit."""
    # one more than may stay, for the limit may fall on the end of a word
    head = F.regexp_replace(F.left(text, F.lit(LENGTH + 1)), rf" [^ ]{{0,{LAST_WORD - 1}}}$", "")
    return F.when(F.length(text) > LENGTH, F.left(head, F.lit(LENGTH))).otherwise(text)
