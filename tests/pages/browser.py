"""browser.py: a headless Chromium for the tests of pages, and what every page is asked.

Packages: tools/install-dependencies pages.  Without them a test says so and is skipped (status 77)."""

import sys

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("[  SKIPPED ] 1 test(s): no python3-selenium (tools/install-dependencies pages)")
    sys.exit(77)
import os
import shutil

BY, KEYS = By, Keys

# Contrast of each text with what is behind it (WCAG 2.1, 1.4.3); those below 4.5.
CONTRAST = """
const parts = c => c.match(/[\\d.]+/g).map(Number);
const light = c => { const [r, g, b] = parts(c).slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                     return .2126 * r + .7152 * g + .0722 * b; };
const clear = c => { const p = parts(c); return p.length === 4 && p[3] === 0; };
function behind(e) {
  if (e.tagName === 'text') return getComputedStyle(e.parentNode.querySelector('rect')).fill;
  for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!clear(c)) return c; }
  return getComputedStyle(document.documentElement).colorScheme.includes('dark') ? 'rgb(0, 0, 0)' : 'rgb(255, 255, 255)';
}
const bad = []; let seen = 0;
for (const e of document.querySelectorAll('body *')) {
  if (['SCRIPT', 'STYLE', 'title'].includes(e.tagName) || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  const style = getComputedStyle(e), a = light(e.tagName === 'text' ? style.fill : style.color), b = light(behind(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  seen++;
  if (ratio < 4.5) bad.push(e.tagName + ' "' + e.textContent.slice(0, 30) + '" ' + ratio.toFixed(2));
}
return [seen, bad];
"""


def check(holds, what):
    """A test's assertion: the sentence says what should hold."""
    if not holds:
        print("FAILED: " + what)
        sys.exit(1)


class Browser:
    """`with Browser() as b: b.open(path)`"""

    def __enter__(self):
        binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if not binary or not driver:
            print("[  SKIPPED ] 1 test(s): no chromium or no chromium-driver (tools/install-dependencies pages)")
            sys.exit(77)
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        words = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")  # Chromium's sandbox refuses root; only the tests' own pages are opened
        for argument in words:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(driver), options=options)
        return self

    def __exit__(self, *unused):
        self.driver.quit()

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        found = self.all(selector)
        check(len(found) == 1, f"one element is {selector}, not {len(found)}")
        return found[0]

    def open(self, path):
        self.driver.get("file://" + str(path))

    def check_page(self):
        """No console message, nothing fetched, readable in both colour schemes, no wider than a phone."""
        log = self.driver.get_log("browser")
        check(not log, f"the console is empty: {log}")
        fetched = self.run("return performance.getEntriesByType('resource').map(e => e.name)")
        check(not [f for f in fetched if not f.startswith("data:")], f"nothing is fetched: {fetched}")
        for scheme in ("light", "dark"):
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                        {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            seen, bad = self.run(CONTRAST)
            check(seen > 20 and not bad, f"every text has a contrast of 4.5 in {scheme}: {bad[:5]}")
        light = {}
        for scheme in ("light", "dark"):
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                        {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            light[scheme] = self.run("return getComputedStyle(document.body).backgroundColor")
        check(light["light"] != light["dark"], "light and dark differ")
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
        wide = self.run("return document.documentElement.scrollWidth")
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        check(wide <= 360, f"the page fits a phone: {wide} of 360")
