"""A headless Chromium, driven through chromedriver's own protocol (W3C WebDriver) with Python's standard library."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]


def missing():
    """What there is not, of the two programs that a browser needs here; None if both are there."""
    absent = [name for name in ("chromedriver", "chromium") if shutil.which(name) is None]
    return f"needs {' and '.join(absent)} (Debian: apt-get install chromium chromium-driver)" if absent else None


class Browser:
    """One window. ``with Browser(folder) as browser``: the folder, new and empty, is the browser's own."""

    def __init__(self, folder, width=1200, height=900):
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            started = next(line for line in self._driver.stdout if "started successfully on port" in line)
            port = re.search(r"on port (\d+)", started)[1]
            self._root = f"http://127.0.0.1:{port}/session"
            arguments = [*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"]
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments},
                "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            }
            session = self._ask("POST", self._root, {"capabilities": {"alwaysMatch": wanted}})
            self._root += f"/{session['sessionId']}"
        except BaseException:
            self._stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self._ask("DELETE", self._root)
        finally:
            self._stop()

    def _stop(self):
        self._driver.terminate()
        self._driver.wait(timeout=30)
        self._driver.stdout.close()

    def _ask(self, method, url, body=None):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with NO_PROXY.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def open(self, url):
        self._ask("POST", f"{self._root}/url", {"url": url})

    def run(self, script, *arguments):
        """What a script returns; its arguments are ``arguments[0]`` and so on."""
        return self._ask("POST", f"{self._root}/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, seconds=60):
        """The first value of a script that is true, or an error with what the page says."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.1)
        shown = self.run("return document.body.innerText")
        raise AssertionError(f"waited {seconds} s for: {script}\nthe page: {shown}")

    def click(self, selector, text=None):
        """Clicks, as a person would, on the first visible element of a CSS selector, with this text if one is given."""
        find = """
            return [...document.querySelectorAll(arguments[0])].find(element => element.offsetParent !== null
                && (arguments[1] === null || element.innerText.replace('✓', '').trim() === arguments[1]))
        """
        element = self.wait(find, selector, text)
        self._ask("POST", f"{self._root}/element/{element[ELEMENT]}/click")

    def type(self, selector, text):
        """Types into the first element of a CSS selector; into a field for files, the path of one."""
        element = self.wait("return document.querySelector(arguments[0])", selector)
        self._ask("POST", f"{self._root}/element/{element[ELEMENT]}/value", {"text": text})

    def prefer(self, scheme):
        """Sets the colours that the system prefers, "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self._ask("POST", f"{self._root}/goog/cdp/execute", command)

    def drag(self, selector, start, end):
        """Drags the mouse over the first visible element of a CSS selector, between two shares of its width."""
        find = """
            const element = [...document.querySelectorAll(arguments[0])].find(one => one.offsetParent !== null);
            if (!element) return null;
            element.scrollIntoView({block: 'center', behavior: 'instant'});
            const box = element.getBoundingClientRect();
            return [box.left, box.top + box.height / 2, box.width];
        """
        left, middle, width = self.wait(find, selector)
        moves = [
            {"type": "pointerMove", "duration": 100, "x": round(left + width * share), "y": round(middle)}
            for share in (start, end)
        ]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, moves[1], {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self._ask("POST", f"{self._root}/actions", {"actions": [mouse]})

    def resize(self, width, height):
        """Gives the page a size in CSS pixels; a window cannot be as narrow as a telephone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self._ask("POST", f"{self._root}/goog/cdp/execute", command)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self._ask("GET", f"{self._root}/screenshot")))

    def addresses(self):
        """Every address that the page has asked for since the last call."""
        entries = self._ask("POST", f"{self._root}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def complaints(self):
        """What the page has written to its console as errors since the last call."""
        entries = self._ask("POST", f"{self._root}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
