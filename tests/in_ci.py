"""Whether this is CI, in which nothing that it installs may be skipped."""

import os

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
