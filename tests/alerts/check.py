#!/usr/bin/env python3
"""Checks the alerts, the runbook, the dashboard and what /metrics answers, with promtool.

Python's own library is enough. What is rendered goes to target/alerts.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TESTS = PROJECT / "tests/alerts"
CHART = PROJECT / "charts/webhook-operator"
TARGET = PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")
WORK = TARGET / "alerts"

# What the rules and the dashboard take from elsewhere.
FOREIGN = {
    # kube-state-metrics
    "kube_pod_container_info",
    "kube_pod_container_status_ready",
    "kube_pod_container_status_restarts_total",
    "kube_statefulset_replicas",
    "kube_statefulset_status_replicas_ready",
    # cAdvisor
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    # Prometheus itself
    "ALERTS",
}
# Units that Grafana knows, of which the dashboard may take any (its package @grafana/data, valueFormats/categories).
UNITS = {"none", "short", "percentunit", "s", "bytes", "Bps", "ops", "reqps", "bool", "bool_yes_no", "dateTimeFromNow"}
# A word that opens a bracket is a function, or one of these.
KEYWORDS = {"by", "on", "without", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"}


def require(holds, message):
    """Ends with the message where something does not hold."""
    if not holds:
        sys.exit(f"tests/alerts: {message}")


def run(*command, **options):
    """Runs a program that must succeed; what it prints is shown where it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    require(done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def render_rules():
    """The rules of the chart, as a file of Prometheus: what is under `spec` of the PrometheusRule."""
    helm = TARGET / "cluster/helm"
    require(helm.exists(), f"no {helm}: run `make cluster`")
    environment = {**os.environ, "KUBECONFIG": "/dev/null"}  # never the cluster of who runs this
    manifest = run(
        helm, "template", "webhook-operator", CHART, "--namespace", "webhook-operator", "--kube-version", "1.34.4",
        "--set", "prometheusRule.enabled=true", "--show-only", "templates/prometheusrule.yaml", env=environment,
    )
    spec = manifest.split("\nspec:\n")[1]
    return re.sub("^  ", "", spec, flags=re.MULTILINE)


def metrics_of(expression):
    """The names of the metrics in an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", expression)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare)
    return {word for word in words if word not in KEYWORDS and not re.fullmatch(r"\d.*|[smhdwy]|inf|e", word)}


def known_metrics():
    """The names of docs/metrics.md, with what a histogram adds to its own."""
    names = set(FOREIGN)
    for cells, kind in re.findall(r"^\| (`.*?) \| (\w+) \|", (PROJECT / "docs/metrics.md").read_text(), re.MULTILINE):
        for name in re.findall(r"`(\w+)`", cells):
            suffixes = ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]
            names.update(f"webhook_operator_{name}{suffix}" for suffix in suffixes)
    return names


def check_names(expressions):
    """Metrics, and the values of `outcome` and `reason`, are such as the operator has."""
    known = known_metrics()
    # The tests of src/routes/outcome.rs compare them with the code.
    words = set(re.findall(r"`(\w+)`", (PROJECT / "docs/metrics.md").read_text()))
    for expression in expressions:
        used = metrics_of(expression)
        require(used, f"no metric in {expression}")
        require(used <= known, f"unknown: {used - known} in {expression}")
        for values in re.findall(r'\b(?:outcome|reason)[!=~]+"([^"]*)"', expression):
            require("$" in values or set(values.split("|")) <= words, f"unknown outcome or reason: {values}")


def check_runbook(alerts, rules):
    """Each alert has a section and a test that sees it fire, and leads to the section; each section is of an alert."""
    sections = re.findall("^## (.*)$", (PROJECT / "docs/runbook.md").read_text(), re.MULTILINE)
    require(sorted(alerts) == sorted(sections), f"alerts and sections differ: {set(alerts) ^ set(sections)}")
    tests = "".join(path.read_text() for path in TESTS.glob("*.yaml"))
    for alert, rule in zip(alerts, re.split(r"- alert: ", rules)[1:]):
        url = f"runbook_url: docs/runbook.md#{alert.lower()}"
        require(url in rule, f"{alert} does not lead to its section")
        require(f"{url}\n" in tests, f"no test sees {alert} fire")
        require(re.search(r"severity: (critical|warning)\n", rule), f"{alert} has no severity")
        require("summary: " in rule and "description: " in rule, f"{alert} does not say what is wrong")


def rule_expressions(rules):
    """The expressions of a file of rules: the rest of the line, or the lines that are indented further."""
    found = re.findall(r"^( *)expr: (?:\|-\n((?:\1 .*\n)+)|(.*)\n)", rules, re.MULTILINE)
    return [block or line for _, block, line in found]


def panels(dashboard):
    """All panels but the rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard):
    """The expressions of panels, annotations and variables, each variable replaced by what Grafana may put there."""
    found = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    found += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            call = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])
            require(call, f"variable {variable['name']}: {variable['query']}")
            found.append(call[1])
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    for expression in found:
        used = set(re.findall(r"\$(\w+)", expression)) - {"__rate_interval", "__range"}
        require(used <= names, f"no variable {used - names}: {expression}")
    plain = [re.sub(r"\[\$\w+", "[5m", expression) for expression in found]
    return [re.sub(r"\$\w+", "a|b", expression) for expression in plain]


def check_dashboard(dashboard):
    """Panels have a place of their own, a text that explains them, a unit and a data source to choose."""
    require(len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]), "an id of a panel is not its own")
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        require(place["x"] + place["w"] <= 24, f"{panel['title']} is too far right")
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        require(not cells & taken, f"{panel['title']} lies over another panel")
        taken |= cells
    for panel in panels(dashboard):
        require(panel.get("description"), f"{panel['title']} is not explained")
        defaults = [panel["fieldConfig"]["defaults"].get("unit")]
        overrides = panel["fieldConfig"]["overrides"]
        units = defaults + [one["value"] for each in overrides for one in each["properties"] if one["id"] == "unit"]
        require(set(units) <= UNITS, f"{panel['title']}: unknown unit in {units}")
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        require(all(source["uid"] == "${datasource}" for source in sources), f"{panel['title']}: a fixed data source")


def write_recording_rules(expressions):
    """Expressions as a file that promtool parses. JSON is YAML."""
    rules = [{"record": f"dashboard:{index}", "expr": each} for index, each in enumerate(expressions)]
    (WORK / "dashboard.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))


def check_metrics(promtool):
    """What a running operator answers passes `promtool check metrics`."""
    program = TARGET / "debug/webhook-operator"
    require(program.exists(), f"no {program}: run `make build`")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(TESTS / "standalone/shop.yaml", folder)
        ports = [f"--{port}-addr=127.0.0.1:0" for port in ("trigger", "app-api", "admin")]
        # Ends a program that hangs, and with it the wait for its lines.
        command = ["timeout", "120", program, "standalone", "--manifests", folder, "--data-dir", f"{folder}/data", *ports]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as operator:
            try:
                text = triggered_metrics(operator)
            finally:
                operator.terminate()
    for name in ("triggers_total", "attempts_total", "dead_letters_total", "store_commit_writes_bucket"):
        require(f"\nwebhook_operator_{name}" in text, f"/metrics has no {name}:\n{text}")
    run(promtool, "check", "metrics", input=text)
    return text.count("# TYPE ")


def triggered_metrics(operator):
    """Waits for the operator, triggers each webhook, and reads /metrics once an event was given up."""
    lines = {}
    while "ready" not in lines or "webhook" not in lines:
        line = operator.stdout.readline()
        require(line, "the operator did not begin to serve")
        ready = re.match(r"ready .*admin=(\S+)", line)
        url = re.search(r"http\S+/apps/\S+", line)
        lines.update({"ready": ready[1]} if ready else {"webhook": url[0]} if url else {})
    urllib.request.urlopen(urllib.request.Request(lines["webhook"], b"{}"), timeout=30).close()
    for _ in range(600):
        with urllib.request.urlopen(f"{lines['ready']}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        if "webhook_operator_dead_letters_total{" in text:
            return text
        time.sleep(0.1)  # nothing tells when a listener was called
    sys.exit(f"tests/alerts: no event was given up\n{text}")


def main():
    promtool = run(TESTS / "promtool.sh").strip().splitlines()[-1]
    WORK.mkdir(parents=True, exist_ok=True)
    rules = render_rules()
    (WORK / "rules.yaml").write_text(rules)
    run(promtool, "check", "rules", WORK / "rules.yaml")
    alerts = re.findall(r"- alert: (\w+)", rules)
    check_runbook(alerts, rules)
    check_names(rule_expressions(rules))
    print(f"{len(alerts)} alerts, each with a section of the runbook")

    for test in TESTS.glob("*.yaml"):
        shutil.copy(test, WORK)
    run(promtool, "test", "rules", *sorted(test.name for test in TESTS.glob("*.yaml")), cwd=WORK)
    print("the alerts fire when they should")

    dashboard = json.loads((CHART / "files/dashboards/webhook-operator.json").read_text())
    check_dashboard(dashboard)
    expressions = queries(dashboard)
    check_names(expressions)
    write_recording_rules(expressions)
    run(promtool, "check", "rules", WORK / "dashboard.yaml")
    print(f"{len(panels(dashboard))} panels, {len(expressions)} queries")
    print(f"/metrics passes, with {check_metrics(promtool)} families")


main()
