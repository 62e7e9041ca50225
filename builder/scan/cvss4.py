"""CVSS 4.0 scores (https://www.first.org/cvss/v4.0/specification-document, section 8).

A vector belongs to one of 270 macro vectors, which has a score; inside it the score sinks with the distance
from the worst vector of the macro vector, towards the scores of the next lower ones. A macro vector is six
digits; here the third and the sixth ("EQ3+EQ6") stand together, as the specification joins them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

_BASE: Mapping[str, str] = {
    "AV": "NALP",
    "AC": "LH",
    "AT": "NP",
    "PR": "NLH",
    "UI": "NPA",
    "VC": "HLN",
    "VI": "HLN",
    "VA": "HLN",
    "SC": "HLN",
    "SI": "HLN",
    "SA": "HLN",
}
"""Base metrics and their values, the worst first."""
_MORE: Mapping[str, str] = {"E": "APU", "CR": "HML", "IR": "HML", "AR": "HML"}
"""Metrics that may be missing ("X"): then the worst value counts."""
_LEVELS = {**_BASE, **_MORE, "SC": "?HLN", "SI": "SHLN", "SA": "SHLN"}
_SCORES = """
0000 100 98 95 100 93 91 93 89 81   0001 99 95 92 96 87 81 90 80 68   0010 98 95 90 93 89 81 88 78 69
0011 95 92 84 92 81 65 80 70 48     0021 92 82 72 79 69 50 69 55 27   0100 99 95 92 95 90 84 92 82 72
0101 97 92 85 91 83 71 81 71 53     0110 95 92 85 92 80 70 84 71 50   0111 93 85 73 82 72 59 70 52 30
0121 86 75 52 71 52 29 63 29 17     1000 98 94 91 94 86 77 87 74 63   1001 95 87 81 89 74 64 75 63 49
1010 94 88 76 86 74 59 72 57 52     1011 89 77 67 76 58 50 57 52 25   1021 83 70 54 65 58 26 53 21 13
1100 95 88 76 90 75 61 77 68 52     1101 90 76 70 77 62 53 66 59 30   1110 89 76 62 74 57 47 61 57 24
1111 78 67 58 59 57 23 52 29 16     1121 71 59 30 58 26 15 23 13 6    2000 93 86 75 86 74 56 70 52 40
2001 87 72 58 74 61 34 54 40 22     2010 85 74 62 72 55 46 53 34 19   2011 75 55 51 57 41 19 36 19 8
2021 64 51 20 47 21 11 24 9 4       2100 88 73 60 73 59 41 54 45 20   2101 75 53 50 55 40 20 43 22 11
2110 75 58 40 61 48 20 46 17 8      2111 55 45 21 51 18 9 18 7 2      2121 53 24 14 24 12 5 10 3 1
"""
"""EQ1, EQ2, EQ3 and EQ6, then the scores in tenths: three (EQ5) for each of EQ4 (section 8.3, table)."""
_WORST: Mapping[str, Mapping[str, str]] = {
    "AV PR UI": {"0": "NNN", "1": "ANN NLN NNP", "2": "PNN ALP"},
    "AC AT": {"0": "LN", "1": "HN LP"},
    "VC VI VA CR IR AR": {
        "00": "HHHHHH",
        "01": "HHLMMH HHHMMM",
        "10": "LHHHHH HLHHHH",
        "11": "LHLHMH LHHHMM HLHMHM HLLMHH LLHHHM",
        "21": "LLLHHH",
    },
    "SC SI SA": {"0": "HSS", "1": "HHH", "2": "LLL"},
}
"""For each group of metrics the worst vectors of each of its levels (section 8.3)."""
_DEPTH: tuple[Mapping[str, int], ...] = (
    {"0": 1, "1": 4, "2": 5},
    {"0": 1, "1": 2},
    {"00": 7, "01": 6, "10": 8, "11": 8, "21": 10},
    {"0": 6, "1": 5, "2": 4},
)
"""For each group the distance from its level's worst to its best vector."""
_LOWER: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {"0": ("1",), "1": ("2",)},
    {"0": ("1",)},
    {"00": ("01", "10"), "01": ("11",), "10": ("11",), "11": ("21",)},
    {"0": ("1",), "1": ("2",)},
    {"0": ("1",), "1": ("2",)},
)
"""For each group the next lower levels; the last group is E (EQ5), whose levels hold one vector each."""

Levels = tuple[str, str, str, str, str]


def _table() -> Iterator[tuple[Levels, int]]:
    words = _SCORES.split()
    starts = [at for at, word in enumerate(words) if len(word) == 4]  # noqa: PLR2004 (scores are shorter)
    for at, end in pairwise([*starts, len(words)]):
        key = words[at]
        for number, score in enumerate(words[at + 1 : end]):
            yield (key[0], key[1], key[2:], str(number // 3), str(number % 3)), int(score)


_TABLE: Mapping[Levels, int] = dict(_table())


def score_v4(metrics: Mapping[str, str]) -> float | None:
    """Give the score (0.0 to 10.0) of a vector's metrics; None when it is not a whole one.

    Threat and environmental metrics count where they are given.
    """
    values = _values(metrics)
    if values is None:
        return None
    if all(values[name] == "N" for name in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0.0
    levels = _levels(values)
    here = _TABLE[levels]
    sunk = list(_shares(values, levels, here))
    # The tiny addend keeps what is exactly between two tenths in binary from being rounded down.
    return round((here - sum(sunk) / len(sunk) if sunk else here) / 10 + 1e-6, 1)


def _values(metrics: Mapping[str, str]) -> dict[str, str] | None:
    values = {}
    for name, allowed in (*_BASE.items(), *_MORE.items()):
        value = metrics.get(name, "X")
        if name in _BASE and value not in allowed:
            return None
        modified = metrics.get(f"M{name}", "X")
        value = modified if modified != "X" else value
        value = allowed[0] if value == "X" else value
        if value not in _LEVELS[name] or value == "?":
            return None
        values[name] = value
    return values


def _levels(values: Mapping[str, str]) -> Levels:
    entry = values["AV"] + values["PR"] + values["UI"]
    eq1 = "0" if entry == "NNN" else "1" if "N" in entry and values["AV"] != "P" else "2"
    eq2 = "0" if values["AC"] + values["AT"] == "LN" else "1"
    vulnerable = values["VC"] + values["VI"] + values["VA"]
    eq3 = "0" if vulnerable.startswith("HH") else "1" if "H" in vulnerable else "2"
    eq6 = "1"
    if any(values[f"V{one}"] == "H" and values[f"{one}R"] == "H" for one in "CIA"):
        eq6 = "0"
    subsequent = values["SC"] + values["SI"] + values["SA"]
    eq4 = "0" if "S" in subsequent else "1" if "H" in subsequent else "2"
    return eq1, eq2, eq3 + eq6, eq4, str(_MORE["E"].index(values["E"]))


def _shares(values: Mapping[str, str], levels: Levels, here: int) -> Iterator[float]:
    """For each group that has a lower level: how far the score sinks towards it."""
    names = [group.split() for group in _WORST]
    for group, level in enumerate(levels):
        lower = [_TABLE[_replaced(levels, group, one)] for one in _LOWER[group].get(level, ())]
        if not lower:
            continue
        if group == len(names):
            yield 0.0
            continue
        distance = _distance(values, names[group], level)
        yield (here - max(lower)) * distance / _DEPTH[group][level]


def _replaced(levels: Levels, group: int, level: str) -> Levels:
    eq1, eq2, eq3_6, eq4, eq5 = (level if at == group else one for at, one in enumerate(levels))
    return eq1, eq2, eq3_6, eq4, eq5


def _distance(values: Mapping[str, str], names: list[str], level: str) -> int:
    """Steps from the first of the level's worst vectors that is nowhere better than ``values``."""
    for worst in _WORST[" ".join(names)][level].split():
        steps = [
            _LEVELS[name].index(values[name]) - _LEVELS[name].index(at)
            for name, at in zip(names, worst, strict=True)
        ]
        if min(steps) >= 0:
            return sum(steps)
    return 0
