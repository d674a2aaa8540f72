import pytest
from pyspark.sql import functions as F

from jobs.catalogue.terms import language, terms, words


@pytest.fixture
def read(spark):
    """(language, terms) of each text."""

    def read(*texts):
        split = spark.createDataFrame([(text,) for text in texts], "text string").withColumn(
            "words", words(F.col("text"))
        )
        known = split.withColumn("language", language(F.col("text"), F.col("words")))
        found = known.select("language", terms(F.col("words"), F.col("language"))).collect()
        return [tuple(row) for row in found]

    return read


def test_english_words_without_stop_words(read):
    assert read("The Baker’s half-fat MILK, 1 l for you", "Don't rock'n'roll -- 'quoted' 3-pack", "No sugar") == [
        ("en", ["baker's", "half-fat", "milk", "1", "l"]),
        ("en", ["don't", "rock'n'roll", "quoted", "3-pack"]),
        ("en", ["no", "sugar"]),
    ]


def test_chinese_pairs_of_characters_without_stop_words(read):
    assert read("新鲜红苹果,茶", "我们的苹果和梨", "是的 可以 在", "不含糖") == [
        ("zh", ["新鲜", "鲜红", "红苹", "苹果", "茶"]),
        ("zh", ["们的", "的苹", "苹果", "果和", "和梨"]),
        ("zh", []),
        ("zh", ["不含", "含糖"]),
    ]


def test_characters_outside_of_the_basic_plane_are_whole(read):
    assert read("𠮷野家🍜") == [("zh", ["𠮷野", "野家"])]


def test_mixed_and_unknown_scripts(read):
    assert read(
        "iPhone15手机壳的 case cover",  # 4 of 19 letters are Han
        "USB 充电线",  # 3 of 6
        "红苹果りんご",
        "사과 苹果",
        "ชาเขียว ร้อน",
        "12345",
        "Яблоко the red",
    ) == [
        ("en", ["iphone15", "手机", "机壳", "壳的", "case", "cover"]),
        ("zh", ["usb", "充电", "电线"]),
        ("other", ["红苹", "苹果", "りんご"]),
        ("other", ["사과", "苹果"]),
        ("other", ["ชาเขียว", "ร้อน"]),
        ("other", ["12345"]),
        ("other", ["яблоко", "the", "red"]),
    ]


def test_latin_texts_with_accents_are_english_by_their_stop_words(read):
    assert read(
        "Crème brûlée with vanilla", "Süße Äpfel", "Café au lait, a b c d e f g", "Les crêpes in a " + "b " * 16
    ) == [
        ("en", ["crème", "brûlée", "vanilla"]),
        ("other", ["süße", "äpfel"]),
        ("en", ["café", "au", "lait", "b", "c", "d", "e", "f", "g"]),
        ("en", ["les", "crêpes", *"b" * 16]),
    ]
    assert read("Les crêpes in a " + "b " * 17) == [("other", ["les", "crêpes", "in", "a", *"b" * 17])]
