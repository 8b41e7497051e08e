"""The listening test's page in a browser: keys, order, progress that survives, and the file that it saves."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from talkface.metrics.mos import SCALES, read_listener
from talkface.pipeline.mos import make

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

DRIVE = """<script>
const key = (k) => document.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
const told = {};
const rate = () => { key("4"); key("2"); key("5"); $("video").dispatchEvent(new Event("ended")); };
$("name").value = "Ann 7"; $("begin").requestSubmit();
told.hearing = !$("hearing").hidden;
for (let i = 0; i < 3; i++) heard(true, false);
key("4"); key("2");
told.half = [answers(), $("next").disabled];
key("5");
told.unwatched = $("next").disabled;
$("video").dispatchEvent(new Event("ended"));
told.ready = !$("next").disabled;
key("Enter");
told.place = $("place").textContent;
told.kept = Object.keys(kept("ann 7").ratings).length;
$("begin").requestSubmit();
told.again = $("place").textContent;
for (let i = 1; i < study.videos.length; i++) { rate(); $("next").click(); }
told.end = !$("end").hidden;
told.state = state;
told.orders = ["a", "A", "b", "c"].map((name) => orderFor(name).join());
document.body.insertAdjacentHTML("beforeend", "<pre id=told></pre>");
$("told").textContent = JSON.stringify(told);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="BROWSER ABSENT: chromium")
def test_a_whole_session(tmp_path: Path) -> None:
    for system in ("one", "two"):
        (tmp_path / system).mkdir()
        for video in "abc":
            (tmp_path / system / f"{video}.mp4").write_bytes(b"no picture")
    make([tmp_path / "one", tmp_path / "two"], tmp_path / "study")
    page = tmp_path / "study" / "sheet" / "index.html"
    page.write_text(page.read_text().replace("</body>", DRIVE))
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}",
               "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    found = re.search(r'<pre id="told">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, shown[-2000:]
    told = json.loads(html.unescape(found.group(1)))
    assert told["hearing"] and told["ready"] and told["end"] and told["unwatched"]
    assert told["half"] == [{"lip_sync": 4, "head_pose": 2}, True]
    assert told["place"] == told["again"] == "Video 2 of 6" and told["kept"] == 1
    first, same, *others = told["orders"]
    assert first == same and len({first, *others}) == 3, "an order of one's own, whatever the case of the name"
    codes = [s["code"] for s in json.loads((tmp_path / "study" / "key.json").read_text())["stimuli"]]
    listener = read_listener(told["state"], told["state"]["study"], codes, "saved")
    assert listener.headphones and listener.ratings[told["state"]["order"][0]] == dict(
        zip(SCALES, (4, 2, 5), strict=True)
    )
