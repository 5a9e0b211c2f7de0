"""Opens pages in headless Chromium at two widths, and asks what of their text overlaps, is cut or broken."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
WIDTHS = {1280: 900, 390: 844}
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--virtual-time-budget=60000",
    "--dump-dom",
)
RUN = """
const pages = %s, found = {};
let waiting = 0;
for (const [name, text] of Object.entries(pages)) for (const [width, height] of %s) {
  waiting++;
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:${height}px;border:0;display:block`;
  frame.onload = () => {
    found[`${name} at ${width}`] = faultsOf(frame.contentDocument, width);
    frame.remove();
    if (!--waiting) document.getElementById("found").textContent = JSON.stringify(found);
  };
  frame.srcdoc = text;
  document.body.append(frame);
}
"""


def faults(pages: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Return the faults of each page at each width, by "name at width"."""
    script = Path(__file__).with_name("check.js").read_text() + RUN % (
        json.dumps(dict(pages)).replace("</", "<\\/"), json.dumps(list(WIDTHS.items())),
    )  # fmt: skip
    wrapper = folder / "check.html"
    wrapper.write_text(f'<!doctype html><body><pre id="found"></pre><script>{script}</script></body>')
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    text = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert text, done.stderr[-2000:]
    return dict(json.loads(html.unescape(text[1])))
