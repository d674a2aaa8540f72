"""What a text is made of: its words, its language, and the terms that say something of an item."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.catalogue.stop_words import CHINESE, ENGLISH

HAN = r"\p{IsHan}"
KANA_OR_HANGUL = r"[\p{IsHiragana}\p{IsKatakana}\p{IsHangul}]"
WORD = r"[\p{L}\p{N}&&[^\p{IsHan}]][\p{L}\p{M}\p{N}&&[^\p{IsHan}]]*"
RUN = rf"{HAN}+|{WORD}(?:['-]{WORD})*"  # don't, t-shirt

HAN_SHARE = 0.3  # of the letters, from which a text is Chinese: brands and sizes in it are Latin
STOP_SHARE = 0.1  # of the words, from which a text with accents is English: half of what people write are stop words


def words(text: Column) -> Column:
    """Lower-cased words in order; of Chinese, overlapping pairs of characters, as Lucene's CJKAnalyzer has them.

    Scripts that are written without spaces, other than Chinese, have one word from one sign or space to the next.
    """
    plain = F.translate(F.lower(text), "’‐‑", "'--")
    runs = F.regexp_extract_all(plain, F.lit(RUN), F.lit(0))
    return F.flatten(F.transform(runs, lambda run: F.when(run.rlike(HAN), _pairs(run)).otherwise(F.array(run))))


def _pairs(run: Column) -> Column:
    """``红苹果`` as 红苹, 苹果; a character that stands alone as itself."""
    starts = F.sequence(F.lit(1), F.greatest(F.length(run) - 1, F.lit(1)))
    return F.transform(starts, lambda start: F.substr(run, start, F.lit(2)))


def language(text: Column, words: Column) -> Column:
    """``zh``, ``en`` or ``other``.

    Chinese: three tenths of the letters are Han, and none is kana or Hangul. English: most letters are Latin, and they
    are a to z alone, or a tenth of the words are English stop words; so Italian without an accent counts as English.
    """
    letters, han, latin = (F.regexp_count(text, F.lit(script)) for script in (r"\p{L}", HAN, r"\p{IsLatin}"))
    chinese = (han > 0) & (han >= HAN_SHARE * letters) & ~text.rlike(KANA_OR_HANGUL)
    plain = ~text.rlike(r"[\p{IsLatin}&&[^a-zA-Z]]")
    stop_words = F.size(F.filter(words, lambda word: word.isin(*ENGLISH)))
    english = (latin > letters / 2) & (plain | (stop_words >= STOP_SHARE * F.size(words)))
    return F.when(chinese, "zh").when(english, "en").otherwise("other")


def terms(words: Column, language: Column) -> Column:
    """``words`` without stop words: the English ones where the text is English, the Chinese ones everywhere.

    A pair of Chinese characters goes too if each of them is a stop word by itself.
    """
    characters = "".join(word for word in CHINESE if len(word) == 1)

    def is_stop(word: Column) -> Column:
        chinese = word.isin(*CHINESE) | (F.translate(word, characters, "") == "")
        return chinese | ((language == "en") & word.isin(*ENGLISH))

    return F.filter(words, lambda word: ~is_stop(word))
