// The page beside `run`, in a cluster: real tokens, and what roles let their owners see.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { examine, fits, launch, open } from "./support/browser.js";
import { crds, eventually, folder, listener, ports, trigger } from "./support/operator.js";
import { CLUSTER, OPERATOR, run, start } from "./support/program.js";
import { pathOf, shop, webhook } from "./support/shop.js";

let [browser, calls, cluster, home, data, operator] = [];

before(async () => {
  [home, data, calls] = await Promise.all([folder(), folder(), listener()]);
  cluster = await start(CLUSTER, ["control-plane", "--port", "0", "--dir", home.path], { stdin: "pipe" });
  await kubectl(["apply", "--server-side", "-f", "-"], await crds());
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  for (const name of ["webhook-operator", "team-a"]) await kubectl(["create", "namespace", name]);
  await kubectl(["apply", "-f", "-"], [shop(calls.url), webhook("paid", 1)].map((one) => JSON.stringify(one)).join("\n---\n"));
  await allow("reader", "list,get");
  await allow("owner", "list,get,create");
  const free = "127.0.0.1:0";
  operator = await start(OPERATOR, [
    "run", "--namespace", "webhook-operator", "--data-dir", data.path, "--listener-allow-url", "--listener-allow-cidr", "127.0.0.0/8",
    "--trigger-addr", free, "--app-api-addr", free, "--admin-addr", free,
  ], { env: { KUBECONFIG: `${home.path}/kubeconfig` } });
  Object.assign(operator, ports(operator.ready));
  for (let number = 0; number < 3; number += 1) {
    await eventually("an event that is taken", async () => (await trigger(`${operator.trigger}${pathOf(1)}`, "{}")).status === 202);
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await operator?.stop();
  await cluster?.stop();
  await calls?.stop();
  await home?.drop();
  await data?.drop();
});

function kubectl(args, input) {
  const env = { KUBECONFIG: `${home.path}/kubeconfig`, KUBERC: "off", KUBECACHEDIR: `${home.path}/kubectl-cache` };
  return run(CLUSTER, ["kubectl", ...args], { env, input });
}

/** A ServiceAccount of `team-a` that may do this with its deliveries. */
async function allow(name, verbs) {
  const place = ["--namespace", "team-a"];
  await kubectl(["create", "serviceaccount", name, ...place]);
  await kubectl(["create", "role", name, `--verb=${verbs}`, "--resource=webhooks.lenra.io/deliveries", ...place]);
  await kubectl(["create", "rolebinding", name, `--role=${name}`, `--serviceaccount=team-a:${name}`, ...place]);
}

async function tokenOf(name) {
  return (await kubectl(["create", "token", name, "--namespace", "team-a", "--audience", "webhook-operator", "--duration", "1h"])).trim();
}

async function signIn(page, token) {
  const dialog = page.getByRole("dialog", { name: "Token required" });
  await dialog.getByLabel("Token").fill(token);
  await dialog.getByRole("button", { name: "Use this token" }).click();
  return dialog;
}

test("a token is asked for, kept in memory alone, and asked for again when it is no good", async () => {
  const { page, context, close } = await open(browser, operator.admin, "/#/deliveries?namespace=team-a");
  const dialog = page.getByRole("dialog", { name: "Token required" });
  await dialog.getByText("kubectl create token").waitFor();
  await examine(page, "token");
  // There is no way around it.
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  assert.equal(await dialog.count(), 1);
  await signIn(page, "nobody.knows.it");
  await dialog.getByRole("alert").getByText("Your token is invalid.").waitFor();
  const token = await tokenOf("reader");
  await signIn(page, token);
  await eventually("its deliveries", async () => (await page.locator("tbody tr").count()) === 3);
  const kept = await page.evaluate(async () => JSON.stringify([
    { ...localStorage }, { ...sessionStorage }, document.cookie, location.href, await indexedDB.databases(), await caches.keys(), document.documentElement.outerHTML,
  ]));
  assert.ok(!kept.includes(token));
  assert.deepEqual(await context.cookies(), []);
  await page.getByRole("button", { name: "Forget token" }).click();
  await dialog.waitFor();
  await signIn(page, token);
  await page.locator("tbody tr").first().waitFor();
  await page.reload();
  await dialog.waitFor();
  await close();
});

test("who may see one namespace is told to choose it, and which right a replay needs", async () => {
  const { page, close } = await open(browser, operator.admin, "/");
  await signIn(page, await tokenOf("reader"));
  const problem = page.getByRole("alert");
  await problem.getByText("You may not list webhooks/deliveries.lenra.io in all namespaces; specify a namespace.").waitFor();
  await examine(page, "forbidden");
  await page.getByLabel("Namespace").fill("team-a");
  await page.keyboard.press("Enter");
  await page.getByRole("row", { name: /team-a\/shop/ }).waitFor();
  assert.equal(await problem.isVisible(), false);
  // The namespace goes along.
  await page.getByRole("link", { name: "Deliveries", exact: true }).click();
  await eventually("its deliveries", async () => (await page.locator("tbody tr").count()) === 3);
  await page.locator("tbody a.id").first().click();
  await page.getByRole("button", { name: "Replay", exact: true }).click();
  await page.getByRole("button", { name: "Replay 1 delivery" }).click();
  await page.getByRole("status").getByText("you may not create webhooks/deliveries.lenra.io in the namespace team-a").waitFor();
  await close();
});

test("who may replay does so, in a narrow window too", async () => {
  const { page, close } = await open(browser, operator.admin, "/#/deliveries?namespace=team-a", { viewport: { width: 360, height: 740 } });
  await fits(page);
  await examine(page, "token-narrow");
  await signIn(page, await tokenOf("owner"));
  await page.getByLabel("Select all shown").check();
  await page.getByRole("button", { name: "Replay selected (3)" }).click();
  await page.getByRole("button", { name: "Replay 3 deliveries" }).click();
  await page.getByRole("status").getByText("3 new deliveries created.").waitFor();
  await close();
});

test("the API tells nothing to who has no token, and nothing of one namespace to the owner of another", async () => {
  for (const path of ["/api/apps", "/api/webhooks", "/api/deliveries"]) {
    const status = async (query, headers) => (await fetch(`${operator.admin}${path}${query}`, { headers })).status;
    const headers = { authorization: `Bearer ${await tokenOf("owner")}` };
    assert.equal(await status("", {}), 401);
    assert.equal(await status("?namespace=team-a", headers), 200);
    assert.equal(await status("?namespace=team-b", headers), 403);
    assert.equal(await status("", headers), 403);
  }
});
