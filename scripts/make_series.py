#!/usr/bin/env python3
"""Writes corpus/series/*.csv from the data sets of Python's statsmodels package (pip install statsmodels).

Usage: make_series.py OUT_DIR

Only sets whose COPYRIGHT text in statsmodels says that they are in the public domain are taken. Each file begins with
comment lines that name the source and quote that text; then comes a header and one row a step, values as %.9g (enough
for a float32), missing values as NA. Columns named @... are labels, not values.
"""
import importlib
import os
import sys

import numpy as np
import pandas as pd


def data(name):
    module = importlib.import_module("statsmodels.datasets." + name)
    text = module.data if hasattr(module, "data") and hasattr(module.data, "COPYRIGHT") else module
    if "public domain" not in text.COPYRIGHT.lower():
        raise SystemExit(f"{name}: its COPYRIGHT does not say public domain: {text.COPYRIGHT.strip()}")
    return module.load_pandas().data, " ".join(text.COPYRIGHT.split())


def sunspots():
    d, c = data("sunspots")
    return "sunspots", c, "yearly mean sunspot numbers 1700-2008; NOAA National Geophysical Data Center", \
        d.YEAR.astype(int), d[["SUNACTIVITY"]].set_axis(["number"], axis=1), "@year"


def nile():
    d, c = data("nile")
    return "nile", c, "yearly flow of the Nile at Aswan 1871-1970 in 1e8 m^3; Cobb (1978), Biometrika 65.2, 243-51", \
        d.year.astype(int), d[["volume"]].set_axis(["flow"], axis=1), "@year"


def co2():
    d, c = data("co2")
    return "co2", c, "weekly atmospheric CO2 at Mauna Loa 1958-2001 in ppm, 59 weeks missing; Keeling and Whorf (2004), " \
        "CDIAC, Oak Ridge National Laboratory", d.index.strftime("%Y-%m-%d"), d[["co2"]], "@week"


def elnino():
    d, c = data("elnino")
    months = d.drop(columns="YEAR").rename(columns=str.lower)
    return "elnino", c, "sea surface temperature of the region Nino 1+2 in degrees C, one column a month 1950-2010; " \
        "NOAA, ERSST.V3B", d.YEAR.astype(int), months, "@year"


def elnino_monthly():
    d, c = data("elnino")
    months = d.drop(columns="YEAR")
    labels = [f"{int(y)}-{m + 1:02d}" for y in d.YEAR for m in range(12)]
    flat = pd.DataFrame({"temperature": months.to_numpy().ravel()})
    return "elnino-monthly", c, "the same sea surface temperatures as in elnino.csv, one row a month; NOAA, ERSST.V3B", \
        labels, flat, "@month"


def macrodata():
    d, c = data("macrodata")
    labels = [f"{int(y)}Q{int(q)}" for y, q in zip(d.year, d.quarter)]
    return "macrodata", c, "quarterly macroeconomic series of the United States 1959-2009; Federal Reserve Bank of St. " \
        "Louis (FRED) and Bureau of Labor Statistics", labels, d.drop(columns=["year", "quarter"]), "@quarter"


def danish():
    d, c = data("danish_data")
    labels = [f"{t.year}Q{(t.month + 2) // 3}" for t in d.index]
    return "danish-money", c, "quarterly Danish money demand data 1974-1987: log real money, log real income, log price, " \
        "bond rate, deposit rate; Johansen and Juselius (1990)", labels, d, "@quarter"


def longley():
    d, c = data("longley")
    return "longley", c, "yearly macroeconomic series of the United States 1947-1962; Longley (1967), NIST StRD", \
        d.YEAR.astype(int), d.drop(columns="YEAR").rename(columns=str.lower), "@year"


def stackloss():
    d, c = data("stackloss")
    return "stackloss", c, "21 days of an ammonia oxidation plant: loss, air flow, water temperature, acid " \
        "concentration; Brownlee (1965)", range(1, len(d) + 1), d.rename(columns=str.lower), "@day"


def grunfeld():
    d, c = data("grunfeld")
    table = d.pivot(index="year", columns="firm", values="invest")
    table.columns = [f.lower().replace(" ", "_") for f in table.columns]
    return "grunfeld", c, "yearly gross investment of 11 firms 1935-1954, millions of 1947 dollars; Grunfeld (1950), " \
        "Kleiber and Zeileis (2008)", table.index.astype(int), table, "@year"


SETS = [sunspots, nile, co2, elnino, elnino_monthly, macrodata, danish, longley, stackloss, grunfeld]


def number(x):
    return "NA" if np.isnan(x) else "%.9g" % x


def main(out):
    os.makedirs(out, exist_ok=True)
    for make in SETS:
        name, copyright_text, about, labels, values, label = make()
        with open(os.path.join(out, name + ".csv"), "w", newline="\n") as f:
            f.write(f"# {about}\n# Licence: public domain (statsmodels says: \"{copyright_text}\")\n")
            f.write("# Made by scripts/make_series.py from Python's statsmodels package\n")
            f.write(",".join([label, *values.columns]) + "\n")
            for text, row in zip(labels, values.to_numpy(dtype=float)):
                f.write(",".join([str(text), *map(number, row)]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
