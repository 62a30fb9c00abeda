"""Where does the sound of a video come from?   python scripts/localize_sound.py VIDEO -o OUT.mp4 [--run RUN]

The same as ``avssl localize``; ``--help`` lists the options.
"""

from __future__ import annotations

import sys

from avssl.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["localize", *sys.argv[1:]]))
