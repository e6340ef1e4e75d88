// Programs that the tests start, and end with themselves.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

const TARGET = `${ROOT}${process.env.CARGO_TARGET_DIR ?? "target"}`;

export const OPERATOR = `${TARGET}/debug/webhook-operator`;
export const CLUSTER = `${ROOT}target/cluster/webhook-cluster`;
export const SCREENSHOTS = `${TARGET}/page/screenshots`;

/** Starts a program; resolves with it and its first line of stdout that begins with `ready `. */
export async function start(path, args, { env = {}, stdin = "ignore" } = {}) {
  const child = spawn(path, args, { env: { ...process.env, ...env }, stdio: [stdin, "pipe", "pipe"] });
  const errors = [];
  createInterface({ input: child.stderr }).on("line", (line) => errors.push(line));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const ready = new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => line.startsWith("ready ") && resolve(line.slice("ready ".length)));
    child.once("error", reject);
    ended.then(() => reject(new Error(`${path} ended:\n${errors.slice(-40).join("\n")}`)));
  });
  const stop = async () => {
    child.stdin?.end();
    if (child.exitCode === null) child.kill("SIGTERM");
    await ended;
  };
  return { ready: await ready, stop };
}

/** Runs a program to its end; resolves with what it wrote to stdout. */
export async function run(path, args, { env = {}, input = "" } = {}) {
  const child = spawn(path, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  let [out, errors] = ["", ""];
  child.stdout.on("data", (part) => (out += part));
  child.stderr.on("data", (part) => (errors += part));
  child.stdin.end(input);
  const code = await new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
  if (code !== 0) throw new Error(`${path} ${args.join(" ")}: ${code}\n${errors}`);
  return out;
}
