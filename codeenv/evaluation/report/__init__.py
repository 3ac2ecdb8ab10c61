"""The HTML report: one file with everything in it, for one run or several.

`write_report` makes it from run folders, and from tables and curves of the caller's. The page needs no network.
"""

from codeenv.evaluation.report.data import Card, Cell, Curve, ReportData, Series, Table
from codeenv.evaluation.report.page import render_report, write_report

__all__ = ["Card", "Cell", "Curve", "ReportData", "Series", "Table", "render_report", "write_report"]
