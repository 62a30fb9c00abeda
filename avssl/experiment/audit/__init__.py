"""``avssl.audit``: duplicates, sources, leaks and shortcuts of data, before a day of training.

found = avssl.audit("videos/", task="av-correspondence")
print("\\n".join(found.lines()))
found.sources, found.duplicates, [row for row in found.leaks if row.verdict == "leak"]
"""

from avssl.experiment.audit.findings import Finding, Verdict
from avssl.experiment.audit.result import Audit
from avssl.experiment.audit.whole import audit

__all__ = ["Audit", "Finding", "Verdict", "audit"]
