"""How long until something is found, where some runs ended before it was: medians, restricted means, log-rank and sign
tests, with intervals. A run is (what it took, was it found); one that was not is censored there.
"""
import math
import random

RESAMPLES = 1000
LEAST = 3  # runs or pairs: below there is no interval and no p to speak of


def bounds(n, low, high):
    """An interval as text; - where too few runs, or the median's order statistics, give none."""
    return "[-]" if n < LEAST or low in ("0", "0.00") and high.endswith("∞") else f"[{low}, {high}]"


def p_text(n, p):
    return f"{p:.3g}" if n >= LEAST else "-"


def direction(n, difference, p, who):
    """What a log-rank test of n pairs says: of chance nothing is said to be more or fewer."""
    if n < LEAST:
        return "too few pairs to say"
    if p >= 0.05:
        return "no difference that chance would not give"
    return f"{'more' if difference > 0 else 'fewer'} findings {who} than chance would give"


def binomial_two_sided(k, n):
    """P of a split at least as uneven as k of n, were both sides as likely."""
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(0, min(k, n - k) + 1)) / 2 ** n
    return min(1.0, 2 * tail)


def share_interval(k, n):
    """Wilson's 95 % interval of a share of k in n."""
    if n == 0:
        return 0.0, 1.0
    z, p = 1.959964, k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def median(runs):
    """(median, low, high): the order statistics hold it with 95 % whatever the distribution; inf is a censored run. With
    fewer than six runs there is no such interval, and it is everything."""
    order = sorted(t if found else math.inf for t, found in runs)
    n = len(order)
    middle = (order[(n - 1) // 2] + order[n // 2]) / 2
    low = 0
    while low < n // 2 and 2 * sum(math.comb(n, i) for i in range(0, low + 1)) / 2 ** n <= 0.05:
        low += 1
    first, last = (order[low - 1], order[n - low]) if low else (0, math.inf)
    return middle, first, last


def restricted_mean(runs, horizon):
    """What it takes on average, if nothing is waited for beyond the horizon: the area under Kaplan and Meier's curve."""
    area, alive, last, left = 0.0, 1.0, 0.0, len(runs)
    events = sorted(runs)
    i = 0
    while i < len(events) and events[i][0] <= horizon:
        t, found, gone = events[i][0], 0, 0
        while i < len(events) and events[i][0] == t:
            found += bool(events[i][1])
            gone += 1
            i += 1
        if found:
            area += alive * (t - last)
            last = t
            alive *= 1 - found / left
        left -= gone
    return area + alive * (horizon - last)


def restricted_mean_interval(runs, horizon):
    """(mean, low, high): 95 %, by drawing the runs anew; always the same draws."""
    draw = random.Random(1)
    many = sorted(restricted_mean(draw.choices(runs, k=len(runs)), horizon) for _ in range(RESAMPLES))
    cut = RESAMPLES // 40
    return restricted_mean(runs, horizon), many[cut], many[-1 - cut]


def log_rank(first, second):
    """(observed - expected, variance) of what the first runs found; strata are added up."""
    times = sorted({t for t, found in first + second if found})
    difference = variance = 0.0
    for t in times:
        n1, n2 = (sum(1 for x, _ in runs if x >= t) for runs in (first, second))
        d1, d2 = (sum(1 for x, found in runs if found and x == t) for runs in (first, second))
        n, d = n1 + n2, d1 + d2
        difference += d1 - d * n1 / n
        if n > 1:
            variance += d * (n1 / n) * (n2 / n) * (n - d) / (n - 1)
    return difference, variance


def p_of(difference, variance):
    return 1.0 if variance == 0 else math.erfc(abs(difference) / math.sqrt(2 * variance))


def ratio_interval(pairs, least=1):
    """Sum of the second over that of the first (least at least), and its 95 % bootstrap interval over pairs."""
    def ratio(some):
        return sum(b for _, b in some) / max(least, sum(a for a, _ in some))
    draw = random.Random(1)
    many = sorted(ratio(draw.choices(pairs, k=len(pairs))) for _ in range(2000))
    return ratio(pairs), many[50], many[-51]
