"""test_explain.py PROGRAM [resnet18]: the page of `plummet explain --format html` in Chromium, against the JSON of the same
command.  PROGRAM is tests/cli/extra.c, which has a small residual network; resnet18 asks for the large one."""

import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

from browser import KEYS, Browser, check


def plummet(*arguments):
    done = subprocess.run([sys.argv[1], *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == 0, f"plummet {arguments}: {done.stderr}")
    return done.stdout


def close(a, b, rtol=1e-9):
    return abs(a - b) <= rtol * abs(b) + 1e-300


def cells(browser, selector):
    """What the numbers of a table's rows are, in full."""
    return browser.run("return [...document.querySelectorAll(arguments[0])].map(r => [...r.querySelectorAll('td[data-value]')]"
                       ".map(c => c.dataset.value === '' ? null : Number(c.dataset.value)))", selector)


def check_numbers(browser, data):
    fields = browser.run("return [...document.querySelectorAll('#layers thead th')].slice(1).map(h => h.textContent)")
    rows = cells(browser, "#layers tbody tr")
    check(len(rows) == len(data["layers"]), "a row for each layer")
    for row, layer in zip(rows, data["layers"]):
        check(row == [layer[f] for f in fields], f"row of {layer['name']}: {row}")
    for key, line in data["lines"].items():
        check(cells(browser, "#line-" + key.replace("_", "\\_")) == [[line["value"]]], f"line {key}")
    shown = browser.run("return [...document.querySelectorAll('#facts li')].map(f => [f.textContent.split(' ')[0], f.dataset.value])")
    for name, value in shown:
        check(str(data[name]) == value or (data[name] is None and value == "") or float(value) == data[name], f"fact {name}: {value}")
    check(len(browser.all("#assumptions .no")) == sum(not a["holds"] for a in data["assumptions"]), "assumptions that do not hold")
    for vs, row in zip(data["vs"], cells(browser, "#vs tbody tr")[1:]):
        want = [vs[k] for k in ("rate", "linear", "change", "trust", "df_rms")] + [l["update"] for l in vs["layers"]]
        check(row == want, f"row of {vs['optim']}")
    check(len(cells(browser, "#vs tbody tr")) == (len(data["vs"]) + 1 if data["vs"] else 0), "a row for each optimiser")
    for change, row in zip(data["what_if"], cells(browser, "#whatif tbody tr")[1:]):
        check(row[:2] == [change["L"], change["parameters"]] and row[3:5] == [change["G"], change["eta"]], f"row of {change['change']}")


def check_graph(browser, data):
    nodes = browser.all("#graph g[id]")
    check(len(nodes) == len(data["nodes"]), "a box for each node")
    edges = sum(len(n["inputs"]) for n in data["nodes"])
    check(len(browser.all("#graph path.edge")) == edges, "a line for each input")
    check(len(browser.all("#graph g.layer")) == len(data["layers"]), "a blue box for each layer")
    overlaps = browser.run("""const b = [...document.querySelectorAll('#graph rect.node')].map(r => r.getBoundingClientRect());
        return b.flatMap((p, i) => b.slice(i + 1).filter(q => p.left < q.right && q.left < p.right && p.top < q.bottom && q.top < p.bottom)).length""")
    check(overlaps == 0, "no two boxes overlap")
    if data["G"]:
        widths = browser.run("return [...document.querySelectorAll('#graph rect.share')].map(r => r.width.baseVal.value)")
        full = browser.run("return document.querySelector('#graph rect.node').width.baseVal.value")
        check(all(abs(w / full - l["contribution"] / data["G"]) < 1e-4 for w, l in zip(widths, data["layers"])), "bars are shares of G")


def check_opening(browser, data):
    layer = data["layers"][1]
    button, node = browser.one("#layer1"), browser.one(f"#node{layer['node']}")
    check(not browser.all("tr.from") and button.get_attribute("aria-expanded") == "false", "layers are closed at first")
    button.click()
    text = browser.one("tr.from").text
    check(f"{layer['s']:.4g}" in text and "sqrt(" in text, f"an open layer says where s comes from: {text}")
    check(node.get_attribute("aria-expanded") == "true", "its node knows that it is open")
    button.send_keys(KEYS.ENTER)
    check(not browser.all("tr.from"), "the Enter key closes it")
    node.send_keys(KEYS.ENTER)
    check(len(browser.all("tr.from")) == 1, "the Enter key on the node opens it")
    node.send_keys(KEYS.SPACE)
    check(not browser.all("tr.from"), "the space bar on the node closes it")
    browser.driver.refresh() # the keyboard starts at the top
    seen = []
    for _ in range(3):
        browser.driver.switch_to.active_element.send_keys(KEYS.TAB)
        seen.append(browser.run("return document.activeElement.id"))
    check(f"node{data['layers'][0]['node']}" in seen, f"Tab leads to the first layer: {seen}")


def check_recomputed(data):
    """The numbers that follow from others."""
    total = 0
    for layer in data["layers"]:
        s = math.sqrt(layer["d_out"] / (layer["d_in"] * layer["taps"]))
        check(close(layer["s"], s), f"s of {layer['name']}")
        check(close(layer["map_prescribed"], layer["taps"] * s), f"map of {layer['name']}")
        check(close(layer["op"], s, 1e-4), f"{layer['name']} is as drawn")
        if data["G"] is not None:
            check(close(layer["contribution"], s * layer["grad"] / data["L"]), f"contribution of {layer['name']}")
            check(close(layer["update"], data["eta"] * layer["per_eta"], 1e-3), f"update of {layer['name']}")
            total += s * layer["grad"] / data["L"]
    if data["G"] is not None:
        check(close(data["G"], total), "G")
        check(close(data["eta"], math.log((1 + math.sqrt(1 + 4 * data["G"])) / 2)), "eta")


def check_command(browser, folder, *arguments):
    page = folder / "page.html"
    data = json.loads(plummet("explain", *arguments, "--format", "json"))
    plummet("explain", *arguments, "--format", "html", "--out", page)
    browser.open(page)
    check_recomputed(data)
    check_numbers(browser, data)
    check_graph(browser, data)
    check_opening(browser, data)
    browser.check_page()
    print("plummet explain", *arguments)
    return data


def write_cifar(folder):
    """As many random images as a batch of 16 and a test need."""
    images = folder / "cifar-10-batches-bin"
    images.mkdir()
    numbers = random.Random(1)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (images / (name + ".bin")).write_bytes(b"".join(bytes([numbers.randrange(10)]) + numbers.randbytes(3072) for _ in range(8)))


def main():
    with tempfile.TemporaryDirectory() as name, Browser() as browser:
        folder = pathlib.Path(name)
        if sys.argv[2:] == ["resnet18"]:
            write_cifar(folder)
            data = check_command(browser, folder, "--arch", "resnet18", "--dataset", "cifar10", "--data", folder, "--batch-size", 16, "--step")
            check(data["samples"] == 16 and len(data["layers"]) == 21, "resnet18's step")
            return
        check_command(browser, folder, "--depth", 4, "--width", 16)
        check_command(browser, folder, "--depth", 3, "--width", 16, "--vs", "adam,sgd:0.5", "--what-if", "width*2,depth*2")
        check_command(browser, folder, "--depth", 3, "--width", 16, "--theory")
        data = check_command(browser, folder, "--arch", "block", "--width", 4, "--step")
        check([l["matrices"] for l in data["layers"]] == [9, 1, 18, 1], "the block's layers")
        # A name cannot become markup.
        table = folder / "<script>alert(1)<" "!--.csv"
        table.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{'ab'[i % 2]}\n" for i in range(40)))
        check_command(browser, folder, "--dataset", f"csv:{table}", "--label", "y", "--depth", 2, "--width", 4, "--step")
        check("<script>alert(1)<!--" in browser.driver.title, "the title has the name as it is")


main()
