"""`python -m tests.corpus`: write REPORT.md anew."""

from __future__ import annotations

from tests.corpus.measure import REPORT, measure, report

if __name__ == "__main__":
    REPORT.write_text(report(measure()), encoding="utf-8")
    print(REPORT.name, "written")
