"""The results as lines, as a Markdown table, and as a picture of cost against size."""

UNITS = {"ratio": "", "difference": " µs", "memory": " MB", "seconds": " s"}
OURS, RIVAL = "#0072B2", "#D55E00"  # Okabe and Ito: distinct for color-blind readers too


def line(row, found):
    """One result in 80 columns."""
    head = f"{row.name[:26]:27}{size(found['size']):>10}"
    if found["status"] != "measured":
        return f"{head}  {found['status']}: {found['message']}"[:80]
    goal = "" if found["goal"] is None else f"{found['goal']:.3g}"
    word = {True: "reached", False: "not reached", None: found["message"] or "-"}[found["reached"]]
    word = word.partition(",")[0]
    return f"{head}{_value(found['value']):>7} {_interval(found):15}{goal:>5}  {word}"


def header():
    return f"{'row':27}{'size':>10}{'figure':>7} {'95 % interval':15}{'goal':>5}"


def summary(rows):
    """Rows with a goal: how many are reached at every size, and which are not."""
    told = {each["name"]: reached(each) for each in rows}
    whole = [name for name, state in told.items() if state == "reached"]
    rest = [f"{name} ({state})" for name, state in told.items() if state not in ("reached", "-")]
    return f"reached: {len(whole)} of {len(whole) + len(rest)}", rest


def reached(row):
    """One word on a row: reached at all sizes, not reached, or why there is no figure."""
    states = {each["status"] for each in row["results"]}
    if states != {"measured"}:
        return next(iter(sorted(states - {"measured"})), "not measured")
    marks = [each["reached"] for each in row["results"]]
    if None in marks:
        return "undecided" if any(each["message"] for each in row["results"]) else "-"
    return "reached" if all(marks) else f"not reached at {marks.count(False)} of {len(marks)} sizes"


def markdown(document):
    """The document as a Markdown page."""
    lines = ["# Kernels beside their rivals", ""]
    lines += [f"- {each}" for each in document["machine"]]
    lines += [f"- versions: {', '.join(f'{k} {v}' for k, v in document['versions'].items())}", ""]
    lines += [
        "A ratio is the rival's time over ours: above 1 ours is faster. One thread: CPU time, median of "
        "interleaved pairs, bootstrap 95 % interval. Threads and processes: shortest wall times. "
        "Every output was checked before it was timed. The limit is what the figure would be if ours took no "
        "longer than a copy of the bytes, or than the products alone in registers, timed in the same run.",
        "",
        "| what | size | rival | target | figure (95 % interval) | limit | ours ms | rival ms | reached | timed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in document["rows"] + document["curves"]:
        for found in row["results"]:
            lines.append(_markdown_row(row, found))
    return "\n".join(lines) + "\n"


def _markdown_row(row, found):
    start = f"| {row['what']} | {size(found['size'])} | {row['rival']} | {row['target']} "
    if found["status"] != "measured":
        return f"{start}| {found['status']}: {found['message'].replace('|', '/')} | | | | no | |"
    figure = f"{_value(found['value'])}{UNITS[row['unit']]}"
    if found["pairs"] > 1:
        figure += f" ({_interval(found)})"
    limit = f"{_value(found['limit'])}, {found['limited_by']}" if "limit" in found else ""
    times = [_ms(found.get(name)) for name in ("ours_seconds", "rival_seconds")]
    word = {True: "yes", False: "no", None: found["message"] or "-"}[found["reached"]]
    return f"{start}| {figure} | {limit} | {times[0]} | {times[1]} | {word} | {found['ours']} |"


def plot(curves, stem):
    """Draw cost against size, one panel a curve, as SVG and PNG; returns the paths."""
    from matplotlib import pyplot

    drawn = [(c, [r for r in c["results"] if r["status"] == "measured"]) for c in curves]
    drawn = [(curve, results) for curve, results in drawn if results]
    if not drawn:
        return []
    with pyplot.style.context(["default", {"svg.hashsalt": "cost", "font.size": 9}]):
        figure, panels = pyplot.subplots(
            2,
            len(drawn),
            figsize=(4.4 * len(drawn), 5),
            squeeze=False,
            sharex="col",
            height_ratios=(3, 2),
            facecolor="white",
            layout="constrained",
        )
        for (curve, results), (top, bottom) in zip(drawn, panels.T, strict=True):
            sizes = [each["size"] for each in results]
            look = {"markerfacecolor": "white", "markersize": 5, "linewidth": 1.3}
            for name, color, style, label in [
                ("ours_seconds", OURS, "o-", curve["what"].replace("`", "")),
                ("rival_seconds", RIVAL, "s--", curve["rival"].replace("`", "")),
            ]:
                times = [1e3 * each[name] for each in results]
                top.loglog(sizes, times, style, color=color, label=label, **look)
            ratios = [[each[name] for each in results] for name in ("value", "low", "high")]
            bottom.fill_between(sizes, *ratios[1:], color=OURS, alpha=0.25, linewidth=0)
            bottom.semilogx(sizes, ratios[0], "o-", color=OURS, **look)
            bottom.axhline(1, color="#1A1A1A", linewidth=0.8)
            bottom.set_ylim(0, 1.1 * max(1, *ratios[2]))
            top.set_ylabel("ms")
            bottom.set_ylabel("rival's time / ours")
            bottom.set_xlabel("n")
            top.legend(frameon=False, fontsize=8)
            for panel in (top, bottom):
                panel.grid(color="#DDDDDD", linewidth=0.6)
                panel.spines[["top", "right"]].set_visible(False)
        paths = [stem.with_name(f"{stem.name}{ending}") for ending in (".svg", ".png")]
        for path in paths:
            meta = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=150, facecolor="white", metadata=meta)
        pyplot.close(figure)
    return paths


def size(number):
    return " x ".join(map(str, number)) if isinstance(number, (list, tuple)) else f"{number:,}"


def _interval(found):
    return f"{_value(found['low'])} to {_value(found['high'])}"


def _value(value):
    places = next((n for n, least in enumerate((99.95, 9.995, 0.0995)) if abs(value) >= least), 3)
    return f"{value:.{places}f}"


def _ms(seconds):
    return "" if seconds is None else f"{seconds * 1e3:.3g}"
