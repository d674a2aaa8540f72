"""The commonest words of English and Chinese: they stand in texts about anything, and say of no item what it is.

Negations are not among them: "no sugar" and 不含糖 say what an item is.
"""

_ENGLISH = """
a about after all also am an and any are as at be because been before being but by can could did do does during each for
from get got had has have he her here him his how i if in into is it it's its i'm i've just me more most my of off on
one only or other our out over she should so some such than that the their them then there these they this those through
to too under up us very was we were what when where which while who will with would you your
"""
_CHINESE = """
的 了 和 是 在 我 也 就 都 而 及 与 着 或 你 他 她 它 这 那 有 很 把 被 让 给 从 对 吗 呢 吧 啊
我们 你们 他们 这个 那个 一个 因为 所以 但是 可以 非常 还是 就是 如果
"""

ENGLISH = tuple(_ENGLISH.split())
CHINESE = tuple(_CHINESE.split())
