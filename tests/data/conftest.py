"""The path of the script that builds the bundled tables."""

import sys

from bundled_files import ROOT

sys.path.insert(0, str(ROOT / "scripts"))  # where a script finds its own parts
