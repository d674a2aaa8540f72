from datetime import date, datetime, timedelta
from hashlib import sha256

import pytest

import schemas
from jobs.behaviour.pseudonym import pseudonym_key, pseudonym_of
from jobs.catalogue.texts import texts
from jobs.gate import judge

NIGHT = date(2024, 3, 1)
START = datetime(2024, 2, 10, 8)


@pytest.fixture
def made(frame):
    """catalogue.texts as a frame of rows of catalogue.items, raw.items, raw.reviews and behaviour.log."""

    def made(items, shop=(), reviews=None, log=(), partitions=None, refusing=()):
        given = [frame("catalogue.items", *items), frame("raw.items", *shop), None, frame("behaviour.log", *log)]
        if reviews is not None:
            given[2] = frame("raw.reviews", *reviews)
        if partitions:
            given = [each.repartition(partitions) for each in given]
        wishes = [{"user_id": name, "preference": "no_profiling"} for name in refusing]
        return texts(*given, frame("raw.preferences", *wishes) if wishes else None, day=NIGHT)

    return made


@pytest.fixture
def told(made):
    """The columns asked for of one kind, in order."""

    def told(kind, *columns, **given):
        rows = made(**given).where(f"kind = '{kind}'").select(*columns).collect()
        return sorted((tuple(row) for row in rows), key=repr)

    return told


def item(item_id, title, brand=None, path=(), first_seen=None):
    return {"item_id": item_id, "title": title, "brand": brand, "category_path": [*path], "first_seen": first_seen}


def review(n, item_id, title, text, day=10):
    ts = datetime(2024, 2, day, 23)
    told = {"day": NIGHT, "review_id": f"r{n}", "user_id": "ann", "item_id": item_id, "ts": ts}
    return told | {"title": title, "text": text}


def event(minutes, event_type, item_id=None, query=None, session="s1", place=0):
    ts = START + timedelta(minutes=minutes)
    row = {"event_id": f"e{minutes}-{place}", "event_type": event_type, "ts": ts, "day": ts.date(), "arrived": NIGHT}
    return row | {"user_id": "ann", "session_id": session, "item_id": item_id, "query": query}


def test_an_item_gives_its_title_its_attributes_and_its_description(made):
    items = [item("apple", "Red apple", "Orchard & Sons", ("Produce", "Fruit"), date(2024, 1, 5)), item("2", "Bread")]
    shop = [{"item_id": "apple", "description": " Crisp,\n\nand sweet. "}, {"item_id": "2", "description": " "}]
    rows = {row["kind"]: row.asDict() for row in made(items, shop).where("item_id = 'apple'").collect()}
    about = {"day": NIGHT, "item_id": "apple", "language": "en", "since": date(2024, 1, 5), "times": 1}
    assert rows == {
        "title": {
            "text_id": sha256(b"title\nred apple").hexdigest()[:32],
            "kind": "title",
            "text": "Red apple",
            "about": None,
            "terms": ["red", "apple"],
            **about,
        },
        "attributes": {
            "text_id": sha256(b"attributes\norchard sons produce > fruit\nRed apple").hexdigest()[:32],
            "kind": "attributes",
            "text": "Orchard & Sons. Produce > Fruit",
            "about": "Red apple",
            "terms": ["orchard", "sons", "produce", "fruit"],
            **about,
        },
        "description": {
            "text_id": sha256(b"description\ncrisp and sweet\nRed apple").hexdigest()[:32],
            "kind": "description",
            "text": "Crisp, and sweet.",
            "about": "Red apple",
            "terms": ["crisp", "sweet"],
            **about,
        },
    }
    assert [row["kind"] for row in made(items, shop).where("text = 'Bread' OR about = 'Bread'").collect()] == ["title"]


def test_texts_that_differ_in_case_punctuation_and_spaces_are_one(told):
    items = [
        item("3", "Apple, red", "Own", ("Fruit",), date(2024, 1, 9)),
        item("2", "apple  (RED)", None, ("Fruit",), date(2024, 1, 7)),
        item("4", "Apple, red", "Own", ("Fruit",)),
        item("1", "apple-red", None, ("Fruit",)),
        item("5", "Apple + red"),
    ]
    columns = ("text", "about", "item_id", "since", "times")
    assert told("title", *columns, items=items) == [
        ("Apple + red", None, "5", NIGHT, 1),
        ("Apple, red", None, "1", date(2024, 1, 7), 4),
    ]
    assert told("attributes", *columns, items=items) == [
        ("Fruit", "apple  (RED)", "2", date(2024, 1, 7), 1),
        ("Fruit", "apple-red", "1", NIGHT, 1),
        ("Own. Fruit", "Apple, red", "3", date(2024, 1, 9), 2),
    ]


def test_items_without_a_name_and_texts_without_two_letters_or_digits_are_left_out(made):
    items = [item("7", "Item 7", "Own", ("Fruit",)), item("8", "Item 7"), item("9", "🍎🍎", "A")]
    items += [item("10", "x!"), item("11", "7 7"), item("12", "苹果"), item("13", "茶"), item("14", "ชา")]
    found = made(items).select("kind", "text").collect()
    assert sorted(tuple(row) for row in found) == [(("title"), text) for text in ("7 7", "Item 7", "ชา", "苹果")]


def test_a_long_text_ends_with_a_word(told):
    words = "apples " * 285  # 1,995 characters
    long = {
        "1": words + "red, " + "x" * 50,  # "red," ends on the 1,999th
        "2": words + "green " + "x" * 50,  # "green" on the 2,000th
        "3": words + "orange " + "x" * 50,  # "orange" on the 2,001st
        "4": "apples " + "苹果" * 1500,
        "5": words + "green",
    }
    items = [item(n, f"Title {n}") for n in long]
    shop = [{"item_id": n, "description": text} for n, text in long.items()]
    found = dict(told("description", "item_id", "text", items=items, shop=shop))
    assert found == {
        "1": words + "red,",
        "2": words + "green",
        "3": words.rstrip(),
        "4": "apples " + "苹果" * 996 + "苹",
        "5": words + "green",
    }


def test_reviews_are_headline_and_body_about_the_title(told):
    items = [item("2", "Red apple", first_seen=date(2024, 1, 1)), item("1", "Red apple"), item("3", "Bread")]
    reviews = [
        review(1, "2", "Great", "So crisp."),
        review(2, "1", "GREAT!", "so crisp", day=8),
        review(3, "3", "Great", "So crisp."),
        review(4, "3", None, "Stale"),
        review(5, "3", "Dry", None),
        review(6, "3", None, None),
        review(7, "gone", "Great", "So crisp."),
    ]
    columns = ("text", "about", "item_id", "since", "times")
    assert told("review", *columns, items=items, reviews=reviews) == [
        ("Dry.", "Bread", "3", date(2024, 2, 10), 1),
        ("GREAT! so crisp", "Red apple", "1", date(2024, 2, 8), 2),
        ("Great. So crisp.", "Bread", "3", date(2024, 2, 10), 1),
        ("Great. So crisp.", None, None, date(2024, 2, 10), 1),
        ("Stale", "Bread", "3", date(2024, 2, 10), 1),
    ]


def test_a_review_that_comes_again_counts_once_as_it_came_last(told):
    reviews = [
        review(1, "1", None, "So crisp") | {"day": NIGHT - timedelta(days=1)},
        review(1, "1", None, "Not so crisp"),
        review(2, "1", None, "Not so crisp") | {"day": NIGHT - timedelta(days=9)},
        review(2, "1", None, "Not so crisp"),
    ]
    assert told("review", "text", "times", items=[item("1", "Red apple")], reviews=reviews) == [("Not so crisp", 2)]


def test_words_of_who_wants_no_profile_are_left_out(told):
    bob = pseudonym_of("bob", pseudonym_key())
    secret = event(0, "search", query="my secret", session="s2", place=1) | {"user_id": bob}
    given = {
        "items": [item("1", "Red apple")],
        "reviews": [review(1, "1", None, "So crisp"), review(2, "1", None, "My own words") | {"user_id": "bob"}],
        "log": [event(0, "search", query="apples"), secret],
    }
    assert [told(kind, "text", **given) for kind in ("review", "search")] == [
        [("My own words",), ("So crisp",)],
        [("apples",), ("my secret",)],
    ]
    assert [told(kind, "text", **given, refusing=["bob"]) for kind in ("review", "search")] == [
        [("So crisp",)],
        [("apples",)],
    ]


def test_a_search_is_about_the_first_item_touched_before_the_next_search(told):
    log = [
        event(0, "view", "bread"),
        event(1, "search", query="red fruit"),
        event(2, "impression", "bread"),
        event(3, "view", "bread", place=2),
        event(3, "purchase", "cheese", place=1),
        event(4, "view", "bread"),
        event(5, "search", query="loaf"),
        event(6, "search", query="toast"),
        event(7, "add_to_cart", "bread"),
        event(8, "search"),
        event(9, "view", "apple"),
    ]
    items = [item("cheese", "Cheese"), item("bread", "Bread")]
    assert told("search", "text", "about", "item_id", items=items, log=log) == [
        ("loaf", None, None),
        ("red fruit", "Cheese", "cheese"),
        ("toast", "Bread", "bread"),
    ]


def test_a_search_finds_nothing_later_or_in_another_session(told):
    log = [
        event(0, "search", query="half an hour"),
        event(30, "view", "apple"),
        event(100, "search", query="longer"),
        event(131, "view", "apple"),
        event(200, "search", query="next session"),
        event(201, "view", "apple", session="s2"),
        event(300, "search", query="delisted", session="s3"),
        event(301, "view", "gone", session="s3"),
    ]
    assert told("search", "text", "about", items=[item("apple", "Red apple")], log=log) == [
        ("delisted", None),
        ("half an hour", "Red apple"),
        ("longer", None),
        ("next session", None),
    ]


def test_searches_are_counted_by_what_they_found(told):
    day = 24 * 60
    log = [
        event(day, "search", query="Fruit"),
        event(day + 1, "view", "apple"),
        event(0, "search", query="fruit", session="s2"),
        event(1, "view", "apple", session="s2"),
        event(2 * day, "search", query="FRUIT!", session="s3"),
    ]
    found = told("search", "text", "about", "since", "times", items=[item("apple", "Red apple")], log=log)
    assert found == [("FRUIT!", None, date(2024, 2, 12), 1), ("Fruit", "Red apple", date(2024, 2, 10), 2)]


def test_rows_keep_the_contract_name_no_user_and_are_the_same_however_the_input_is_split(made):
    table = schemas.table("catalogue.texts")
    items = [item(str(n), f"{'Apple' if n % 2 else 'APPLE'} {n % 5}", "Own", ("Fruit",)) for n in range(40)]
    shop = [{"item_id": str(n), "description": f"Crisp {n % 3}!"} for n in range(40)]
    reviews = [review(n, str(n), "Good", f"Very, very good {n % 4}", day=n % 20 + 1) for n in range(45)]
    log = [event(n, "view" if n % 3 else "search", str(n) if n % 3 else None, f"apple {n}"[:-1]) for n in range(60)]
    judged = judge(made(items, shop, reviews, log), table)
    assert judged.where("_rule IS NOT NULL").collect() == []
    rows = sorted(judged.select(*table.column_names).collect())
    assert {row["kind"] for row in rows} == {"title", "attributes", "description", "review", "search"}
    assert len({row["text_id"] for row in rows}) == len(rows)
    assert "ann" not in repr(rows)
    for partitions in (1, 7):
        split = made(items[::-1], shop, reviews[::-1], log[::-1], partitions=partitions)
        assert sorted(split.select(*table.column_names).collect()) == rows


def test_a_shop_of_numbers_has_no_texts(made):
    assert made([item("7", "Item 7")], log=[event(0, "view", "7")]).collect() == []
