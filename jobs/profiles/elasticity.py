"""How a user reacts to discounts and prices, beside everybody who buys in the same categories, and the same items.

Both compare what one user paid with what all paid, so that neither a dear category nor an item that is always on offer
counts for or against anybody; and both are shrunk to what all do, by how much users differ (empirical Bayes).
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EXACT = "decimal(28,12)"  # decimals add up to the same in any order, doubles don't
LEAST_WEIGHT = 1.0  # purchase lines that what all do counts for, at least


def elasticity(totals: DataFrame, items: DataFrame, elasticities: DataFrame) -> DataFrame:
    """One row a user who bought an item of the catalogue: ``discount_elasticity`` and ``price_elasticity``.

    Args:
        totals: profiles.totals of those who may be profiled.
        items: catalogue.items of the night.
        elasticities: catalogue.elasticities of the night.
    """
    lines = totals.select("user_id", F.inline("prices")).join(
        items.select("item_id", "category"), on="item_id", how="inner"
    )
    goods = _goods(lines, elasticities)
    mine = lines.drop("category").join(goods, on="item_id", how="inner").groupBy("user_id").agg(*_sums())
    mine = mine.select("user_id", *(F.col(name).cast("double").alias(name) for name in mine.columns[1:]))
    all_of_them = mine.agg(_agreement().alias("agreement"), _variance().alias("variance"))
    told = mine.crossJoin(F.broadcast(all_of_them))
    own = F.col("variance") * F.col("apart") / (F.col("variance") * F.col("information") + 1)
    return told.select(
        "user_id",
        _odds().alias("discount_elasticity"),
        (F.try_divide("reaction", "reacting") + own).alias("price_elasticity"),
    )


def _goods(lines: DataFrame, elasticities: DataFrame) -> DataFrame:
    """Per item: its category's share of discounted lines and elasticity, mean and variance of its price's logarithm."""
    sums = (F.sum(name).alias(name) for name in ("told", "discounted", "priced", "logs", "squares"))
    goods = lines.groupBy("item_id", "category").agg(*sums)
    shares = goods.groupBy("category").agg(
        F.try_divide(F.sum("discounted").cast("double"), F.sum("told")).alias("share")
    )
    middle = F.try_divide(F.col("logs").cast("double"), F.col("priced"))
    square = F.try_divide(F.col("squares").cast("double"), F.col("priced"))
    return (
        goods.join(F.broadcast(shares), on="category", how="inner")
        .join(F.broadcast(elasticities.select("category", "elasticity")), on="category", how="left")
        .select(
            "item_id",
            "share",
            "elasticity",
            middle.alias("middle"),
            F.greatest(square - middle * middle, F.lit(0.0)).alias("spread"),
        )
    )


def _sums() -> list[Column]:
    """Per user: lines told, discounted, and expected to be; of prices what :func:`_variance` says; and the mix."""
    reacts = F.col("elasticity").isNotNull()
    doubles = {
        "expected": F.col("told") * F.col("share"),
        "apart": F.col("logs").cast("double") - F.col("priced") * F.col("middle"),
        "information": F.col("priced") * F.col("spread"),
        "reaction": F.col("priced") * F.col("elasticity"),
    }
    return [
        F.sum("told").alias("told"),
        F.sum("discounted").alias("discounted"),
        *(F.sum(each.cast(EXACT)).alias(name) for name, each in doubles.items()),
        F.sum(F.when(reacts, F.col("priced"))).alias("reacting"),
    ]


def _agreement() -> Column:
    """Over all users: how many lines everybody's share counts for beside a user's own; null if users don't differ.

    The share of discounted lines of users of one mix is beta distributed about the mix's; moments of the beta-binomial
    (Kleinman, Proportions with Extraneous Variance, JASA 68, 1973) give the correlation of two lines of one user, r,
    and the beta's weight is 1 / r - 1.
    """
    share = F.try_divide("expected", "told")
    variance = F.col("told") * share * (1 - share)
    beyond = F.pow(F.col("discounted") - F.col("expected"), F.lit(2.0)) - variance
    pairs = variance * (F.col("told") - 1)
    correlation = F.try_divide(F.sum(beyond.cast(EXACT)).cast("double"), F.sum(pairs.cast(EXACT)).cast("double"))
    return F.when(correlation > 0, F.greatest(1 / correlation - 1, F.lit(LEAST_WEIGHT)))


def _odds() -> Column:
    """Log odds of a discounted line, everybody's taken off, 0 where users don't differ."""
    share = F.try_divide("expected", "told")
    bought = F.col("discounted") + F.col("agreement") * share
    others = F.col("told") - F.col("discounted") + F.col("agreement") * (1 - share)
    odds = F.ln(bought / others) - F.ln(share / (1 - share))
    return F.when((share > 0) & (share < 1), F.coalesce(odds, F.lit(0.0)))


def _variance() -> Column:
    """Over all users: the variance of their own elasticities d about their categories'.

    Who has elasticity b takes the price p with a density in proportion to p^b. So the sum of ln p over a user's lines,
    less that of all users for the same items (``apart``), has the mean d I and the variance I to the first order,
    where I is the sum of the items' variances of ln p (``information``). With d normal about 0 its variance v follows
    from the mean of apart^2, I + v I^2, and d itself is best told by apart / (I + 1 / v).
    """
    beyond = F.pow("apart", F.lit(2.0)) - F.col("information")
    square = F.pow("information", F.lit(2.0))
    found = F.try_divide(F.sum(beyond.cast(EXACT)).cast("double"), F.sum(square.cast(EXACT)).cast("double"))
    return F.greatest(F.coalesce(found, F.lit(0.0)), F.lit(0.0))
