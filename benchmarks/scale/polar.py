"""The same log and profiles in Polars, streamed."""

import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from jobs.profiles.tastes import DOUBT, FAVOURITES, FEWEST, SAMPLE
from schemas.profiles import HALF_LIFE, HALF_LIVES, LATELY, RECENT


def run(folder: Path, out: Path, day: date) -> dict[str, float]:
    """Wall seconds of the log and of the profiles of all of it; ``out`` holds the rows of both."""
    out.mkdir(parents=True)
    began = time.perf_counter()
    _log(folder).sink_parquet(out / "log.parquet")
    logged = time.perf_counter()
    log, items = pl.scan_parquet(out / "log.parquet"), pl.scan_parquet(folder / "items.parquet")
    weights = _weights(log, items, day).collect(engine="streaming")
    kinds = items.filter(pl.col("category") != "unknown").select(pl.col("category").n_unique()).collect().item()
    sample = pl.scan_parquet(folder / "names.parquet").select("user_id").sort("user_id").head(SAMPLE)
    chosen = _chosen(weights.lazy().join(sample, on="user_id", how="semi"), kinds)
    rows = (
        _counted(log, day)
        .join(_visits(log, day), on="user_id", how="inner")
        .join(_tastes(weights.lazy(), chosen, kinds), on="user_id", how="left")
        .with_columns(pl.lit(chosen).alias("half_life_days"))
    )
    rows.sink_parquet(out / "users.parquet")
    return {"log": logged - began, "profiles": time.perf_counter() - logged}


def _log(folder: Path) -> pl.LazyFrame:
    names, items = pl.scan_parquet(folder / "names.parquet"), pl.scan_parquet(folder / "items.parquet")
    events = (
        pl.scan_parquet(folder / "events/*.parquet")
        .rename({"user_id": "source_id", "day": "arrived"})
        .join(items.select("item_id"), on="item_id", how="semi")
        .unique("event_id", keep="any")  # copies are alike
        .join(names, on="source_id", how="inner")
        .with_columns(pl.col("ts").dt.date().alias("day"), (pl.col("amount") / pl.col("quantity")).alias("unit_price"))
        .with_columns((pl.col("arrived") - pl.col("day")).alias("late_by"))
        .sort("user_id", "late_by", "ts", "event_id")
    )
    line = ["user_id", "late_by"]
    begins = pl.col("ts").diff().over(line).fill_null(pl.duration(days=1)) >= pl.duration(minutes=30)
    begun = pl.when(begins).then(pl.col("ts").dt.epoch("s")).forward_fill().over(line)
    session = pl.concat_str("user_id", begun, separator="-").alias("session_id")
    return events.with_columns(session).drop("source_id", "late_by")


def _weights(log: pl.LazyFrame, items: pl.LazyFrame, day: date) -> pl.LazyFrame:
    known = pl.col("category") != "unknown"
    group = ["category", pl.col("price").is_null()]
    comparable = pl.col("price").is_not_null() & known & (pl.len().over(group) > 1)
    rank = (pl.col("price").rank("min").over(group) - 1) / (pl.len().over(group) - 1)
    goods = items.select(
        "item_id",
        pl.when(known).then("category").alias("category"),
        "brand",
        pl.when(comparable).then(rank).alias("rank"),
    )
    age = (pl.lit(day) - pl.col("day")).dt.total_days()
    lines = (
        log.filter(pl.col("event_type") == "purchase")
        .with_columns((age < LATELY).alias("late"), age.alias("age"))
        .group_by("user_id", "item_id", "late")
        .agg(
            pl.len().cast(pl.Int64).alias("lines"),
            *((0.5 ** (pl.col("age") / each)).round(12).sum().alias(f"now_{each}") for each in HALF_LIVES),
        )
        .join(goods, on="item_id", how="inner")
    )
    shared = ["user_id", "late", "lines", *(f"now_{each}" for each in HALF_LIVES)]
    named = pl.concat(
        [
            lines.select(*shared, pl.lit(kind).alias("kind"), pl.col(kind).alias("name"), rank.alias("rank"))
            for kind, rank in (("category", pl.col("rank")), ("brand", pl.lit(None, pl.Float64)))
        ]
    )
    return (
        named.filter(pl.col("name").is_not_null())
        .group_by("user_id", "kind", "name")
        .agg(
            *(pl.sum(f"now_{each}") for each in HALF_LIVES),
            *(pl.col(f"now_{each}").filter(~pl.col("late")).sum().alias(f"then_{each}") for each in HALF_LIVES),
            pl.col("lines").filter("late").sum().alias("bought"),
            (pl.col("rank") * pl.col("lines")).sum().alias("ranks"),
            pl.col("lines").filter(pl.col("rank").is_not_null()).sum().alias("ranked"),
        )
    )


def _chosen(weights: pl.LazyFrame, kinds: int) -> int:
    mine = weights.filter(pl.col("kind") == "category")
    told = mine.with_columns(pl.sum(f"then_{each}").over("user_id").alias(f"all_{each}") for each in HALF_LIVES)
    told = told.filter((pl.col("bought") > 0) & (pl.col(f"all_{max(HALF_LIVES)}") > 0))
    likely = [
        (
            ((1 - DOUBT) * pl.col(f"then_{each}") / pl.col(f"all_{each}") + DOUBT / kinds).log() * pl.col("bought")
        ).sum().alias(str(each))
        for each in HALF_LIVES
    ]  # fmt: skip
    found = told.select(pl.sum("bought"), *likely).collect().row(0, named=True)
    if found["bought"] < FEWEST:
        return HALF_LIFE
    return max(HALF_LIVES, key=lambda each: (found[str(each)], each == HALF_LIFE))


def _counted(log: pl.LazyFrame, day: date) -> pl.LazyFrame:
    recent = pl.col("day") > day - timedelta(days=RECENT)
    return log.group_by("user_id").agg(
        pl.len().alias("events"),
        pl.min("day").alias("first_day"),
        pl.max("day").alias("last_day"),
        pl.col("amount").filter(recent).sum().alias("value"),
        (pl.sum("discount") / (pl.sum("discount") + pl.sum("amount"))).alias("discount_share"),
    )


def _visits(log: pl.LazyFrame, day: date) -> pl.LazyFrame:
    baskets = (
        log.filter(pl.col("event_type") == "purchase")
        .group_by("user_id", "basket_id")
        .agg(pl.min("ts").alias("began"), pl.max("day").alias("last"))
    )
    days = pl.col("began").dt.date().unique().sort()
    recent = (pl.col("last") > day - timedelta(days=RECENT)).sum()
    return baskets.group_by("user_id").agg(
        pl.len().alias("baskets"),
        (recent / (RECENT / 7)).alias("frequency"),
        (pl.lit(day) - pl.max("last")).dt.total_days().alias("recency_days"),
        days.diff().dt.total_days().median().alias("cadence_days"),
        *((pl.col("began").dt.weekday() == number + 1).mean().alias(f"day_{number}") for number in range(7)),
    )


def _tastes(weights: pl.LazyFrame, chosen: int, kinds: int) -> pl.LazyFrame:
    weights = weights.with_columns(pl.col(f"now_{chosen}").round(9).alias("weight"))  # sums that are alike tie
    share = (pl.col("weight") / pl.sum("weight")).alias("share")
    parts = [weights.group_by("user_id").agg((pl.sum("ranks") / pl.sum("ranked")).alias("price_level"))]
    for kind, name, by in (
        ("category", "categories", "weight"),
        ("brand", "brands", "weight"),
        ("category", "intent", "bought"),
    ):
        mine = weights.filter((pl.col("kind") == kind) & (pl.col(by) > 0)).sort("user_id", -pl.col(by), "name")
        told = pl.struct("name", (pl.col(by) / pl.sum(by)).alias("share")).head(FAVOURITES).alias(name)
        parts.append(mine.group_by("user_id", maintain_order=True).agg(told))
    entropy = weights.filter((pl.col("kind") == "category") & (pl.col("weight") > 0)).group_by("user_id").agg(share)
    entropy = entropy.select(
        "user_id", (-(pl.col("share") * pl.col("share").list.eval(pl.element().log())).list.sum()).alias("variety")
    ).with_columns((pl.col("variety") / pl.lit(float(kinds)).log()).clip(upper_bound=1.0))
    rows = parts[0].join(entropy, on="user_id", how="left")
    for part in parts[1:]:
        rows = rows.join(part, on="user_id", how="left")
    return rows
