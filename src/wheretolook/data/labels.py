"""What a pixel of an evidence mask says."""

BACKGROUND = 0
FOREGROUND = 1
EVIDENCE = 2
MARK = 3
UNKNOWN = 255

LABELS = {
    "background": BACKGROUND,
    "foreground": FOREGROUND,
    "evidence": EVIDENCE,
    "mark": MARK,
    "unknown": UNKNOWN,
}
