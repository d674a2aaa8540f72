"""Exact top-K by inner product: float32 finds, float64 decides.

A blocked float32 product scores every pair. Almost all of them lie below a floor that the first block of items already
gives away, so they cost one comparison and are never sorted. The few that pass the floor are scored again in float64
and ordered by that score, then by position. The floor lies lower than float32 can err, so the answer is the top-K of
the float64 scores whatever the size of the blocks, the number of threads or the BLAS at hand.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

LOWEST = np.finfo(np.float32).min  # excluded pairs score -inf, which is below every floor
PENDING = 1 << 21  # pairs held before they are settled; reached only where thousands of items tie


def top_k(
    users: np.ndarray,
    items: np.ndarray,
    k: int,
    *,
    added: sparse.csr_array | None = None,
    excluded: sparse.csr_array | None = None,
    block: tuple[int, int] = (256, 4096),
) -> tuple[np.ndarray, np.ndarray]:
    """The k items with the largest score for each user; ties go to the item that stands first.

    The score is the inner product, and for the few pairs of ``added`` what stands there beside it.

    Args:
        users: float32 [n, d].
        items: float32 [m, d].
        k: how many items a user gets.
        added: [n, m], to the scores of the pairs it holds.
        excluded: [n, m], non-zero where an item must not be given to a user.
        block: users and items of one product.

    Returns:
        positions int64 [n, min(k, m)] and float64 scores of the same shape, best first. Where exclusion leaves a user
        fewer items than that, the row ends in positions -1 with scores -inf.

    Raises:
        ValueError: if a value is not finite, the shapes don't fit, or k is not positive.
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least one item a user")
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        raise ValueError(f"users {users.shape} and items {items.shape} must be [n, d] and [m, d] with the same d")
    for name, pairs in (("added", added), ("excluded", excluded)):
        if pairs is not None and pairs.shape != (len(users), len(items)):
            raise ValueError(f"{name} is {pairs.shape}; it must be ({len(users)}, {len(items)})")
    require_finite("users", users)
    require_finite("items", items)
    if added is None:
        return _top_k(users, items, k, excluded, block)
    return _with_added(users, items, k, added, excluded, block)


def _with_added(
    users: np.ndarray,
    items: np.ndarray,
    k: int,
    added: sparse.csr_array,
    excluded: sparse.csr_array | None,
    block: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs with something added are few: they are scored apart, and meet the best of the others."""
    apart = sparse.csr_array((np.ones(len(added.data), bool), added.indices, added.indptr), added.shape)
    others = apart if excluded is None else apart + excluded.astype(bool)
    positions, scores = _top_k(users, items, k, others, block)
    for row, user in enumerate(users.astype(np.float64)):
        inside = slice(added.indptr[row], added.indptr[row + 1])
        own, more = added.indices[inside], added.data[inside].astype(np.float64)
        if excluded is not None:
            free = ~np.isin(own, excluded[[row]].nonzero()[1])
            own, more = own[free], more[free]
        found = positions[row] >= 0
        everything = np.concatenate([positions[row, found], own])
        exact = np.einsum("md,d->m", items[own].astype(np.float64), user) + more
        exact = np.concatenate([scores[row, found], exact])
        leading = np.lexsort((everything, -exact))[: positions.shape[1]]
        positions[row, : len(leading)], scores[row, : len(leading)] = everything[leading], exact[leading]
    return positions, scores


def _top_k(
    users: np.ndarray, items: np.ndarray, k: int, excluded: sparse.csr_array | None, block: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest inner products of each user."""
    width = min(k, len(items))
    positions = np.full((len(users), width), -1, np.int64)
    scores = np.full((len(users), width), -np.inf)
    margin = _margin(users, items)
    for start in range(0, len(users) if width else 0, block[0]):
        chosen = slice(start, start + block[0])
        banned = None if excluded is None else excluded[chosen].tocsc()
        rows = _search(users[chosen], items, width, margin[chosen], banned, block[1])
        for row, (found, score) in enumerate(rows, start):
            positions[row, : len(found)], scores[row, : len(found)] = found, score
    return positions, scores


def require_finite(name: str, values: np.ndarray) -> None:
    """Raises ValueError with the place of the first value that is NaN or infinite."""
    good = np.isfinite(values)
    if not good.all():
        place = tuple(int(axis) for axis in np.argwhere(~good)[0])
        raise ValueError(f"{name}{list(place)} is {values[place]}; every value must be a finite number")


def _margin(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """[n]: twice the largest error of a float32 inner product of a user with any of the items.

    |fl(x'y) - x'y| <= d u / (1 - d u) |x||y| in any order of summation, with u = 2^-24 (Higham, Accuracy and Stability
    of Numerical Algorithms, 2002, section 3.1). Two is added to d for rounding the floor and a settled score to
    float32; the smallest normal number stands for products that underflow.
    """
    terms = users.shape[1] + 2
    rounding = terms * 2.0**-24 / (1 - terms * 2.0**-24)
    longest = np.sqrt(np.einsum("md,md->m", items, items, dtype=np.float64)).max(initial=0.0)
    lengths = np.sqrt(np.einsum("nd,nd->n", users, users, dtype=np.float64))
    return 2 * (rounding * lengths * longest + terms * np.finfo(np.float32).tiny)


def _search(
    users: np.ndarray, items: np.ndarray, k: int, margin: np.ndarray, banned: sparse.csc_array | None, block: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions and float64 scores of each user's best k items, best first."""
    floor = np.full(len(users), LOWEST, np.float32)
    pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start, stop in _spans(len(items), k, block):
        products = users @ items[start:stop].T
        if banned is not None:
            inside = banned[:, start:stop].tocoo()
            products[inside.row, inside.col] = -np.inf
        if start == 0:
            kth = np.partition(products, -k, axis=1)[:, -k]
            floor = np.maximum(kth - margin, LOWEST).astype(np.float32)
        # flat, because np.nonzero of two dimensions takes ten times as long
        hits = np.flatnonzero(products >= floor[:, None])
        rows, columns = np.divmod(hits, stop - start)
        pending.append((rows, columns + start, products.ravel()[hits]))
        if sum(len(part[0]) for part in pending) > PENDING:
            best = _settle(users, items, k, margin, pending)
            floor = np.array([s[-1] if len(s) == k else LOWEST for _, s in best])
            floor = np.maximum(floor - margin, LOWEST).astype(np.float32)
            pending = [_flatten(best)]
    return _settle(users, items, k, margin, pending)


def _spans(count: int, k: int, block: int) -> Iterator[tuple[int, int]]:
    """Blocks of items; the first is wide enough for its k-th score to keep nearly everything after it out."""
    start, stop = 0, min(count, max(block, 64 * k))
    while start < count:
        yield start, stop
        start, stop = stop, min(count, stop + block)


def _settle(
    users: np.ndarray, items: np.ndarray, k: int, margin: np.ndarray, pending: list[tuple[np.ndarray, ...]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The best k of each user's pending items by float64 score, then position."""
    rows, columns, products = (np.concatenate(parts) for parts in zip(*pending, strict=True))
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], np.arange(len(users) + 1))
    columns, products = columns[order], products[order]
    best = []
    for user in range(len(users)):
        own, rough = columns[bounds[user] : bounds[user + 1]], products[bounds[user] : bounds[user + 1]]
        if len(own) > k:
            own = own[rough >= np.partition(rough, -k)[-k] - margin[user]]
        exact = np.einsum("md,d->m", items[own].astype(np.float64), users[user].astype(np.float64))
        leading = np.lexsort((own, -exact))[:k]
        best.append((own[leading], exact[leading]))
    return best


def _flatten(best: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was settled, as pending pairs."""
    rows = np.repeat(np.arange(len(best)), [len(found) for found, _ in best])
    return rows, np.concatenate([f for f, _ in best]), np.concatenate([s for _, s in best]).astype(np.float32)
