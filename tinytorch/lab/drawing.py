"""Colors, markers and line styles of the pictures."""

# INK and PAPER become the text and background colors of the page. BLACK and WHITE stay as they are.
INK, PAPER, FAINT = "#1A1A1A", "#FFFFFF", "#808080"
BLACK, WHITE = "#111111", "#FDFDFD"
# Okabe and Ito, "Color Universal Design", 2008, without the yellow, which is hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
STYLE = {"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK}
STYLE |= {"xtick.color": INK, "ytick.color": INK, "figure.facecolor": PAPER}
STYLE |= {"axes.facecolor": PAPER, "grid.color": INK, "grid.alpha": 0.15, "grid.linewidth": 0.6}
