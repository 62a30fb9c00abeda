"""``python -m avssl``: the same as the command ``avssl``."""

import sys

from avssl.cli.main import main

sys.exit(main())
