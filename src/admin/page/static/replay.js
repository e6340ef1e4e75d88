// Replays of one delivery, of selected deliveries, or of all that match a filter. Each asks for confirmation.

import { read, send } from "./api.js";
import { confirm } from "./confirm.js";
import { note } from "./dom.js";
import { count, counted } from "./words.js";

/** Concurrent calls for selected deliveries. */
const AT_ONCE = 4;

/** Maximum number of deliveries counted before a replay of all matches. */
const COUNTED = 10000;

/** Page size, the maximum of the API. */
const PAGE = 500;

const EFFECT = "The listener is called again, with new attempts.";

/** Replays one; resolves with the id of the new delivery, or null. */
export async function replayOne(id) {
  const question = async () => ({ text: `Deliver this event again? ${EFFECT}`, yes: "Replay 1 delivery" });
  if (!(await confirm("Replay this delivery", question))) return null;
  try {
    const { id: created } = await send(`/deliveries/${id}/replay`);
    note("A new delivery of this event was created.");
    return created;
  } catch (error) {
    note(`Replay failed: ${error.message}.`, true);
    return null;
  }
}

/** Replays the deliveries with these ids; resolves with whether the user confirmed. */
export async function replayThese(ids) {
  const number = counted(ids.length, "delivery", "deliveries");
  const question = async () => ({ text: `Deliver the events of ${number} again? ${EFFECT}`, yes: `Replay ${number}` });
  if (!(await confirm("Replay selected deliveries", question))) return false;
  const [waiting, failures] = [[...ids], []];
  let begun = 0;
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        await send(`/deliveries/${id}/replay`);
        begun += 1;
      } catch (error) {
        failures.push(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  report(begun, failures);
  return true;
}

/** Replays all deliveries that match a `filter` of the API; resolves with whether the user confirmed. */
export async function replayAll(filter) {
  const number = (found) =>
    found > COUNTED ? `more than ${count(COUNTED)} ${filter.state} deliveries` : counted(found, `${filter.state} delivery`, `${filter.state} deliveries`);
  const question = async (signal, progress) => {
    const found = await countAll(filter, signal, (soFar) => progress(`Counting… ${count(soFar)}`));
    if (found === 0) return { text: `No ${filter.state} delivery matches.` };
    const text = `Deliver the events of ${number(found)} again${where(filter)}? ${EFFECT} Events with a pending delivery are skipped.`;
    return { text, yes: `Replay ${number(found)}` };
  };
  if (!(await confirm("Replay all matching deliveries", question))) return false;
  note("Replaying…");
  try {
    const { replayed, unavailable } = await send("/deliveries/replay", filter);
    report(replayed, unavailable.map((replica) => `no response from ${replica}`));
  } catch (error) {
    note(`Not all were replayed: ${error.message}.`, true);
  }
  return true;
}

function where({ namespace, webhook }) {
  return `${webhook ? `, of the webhook ${webhook}` : ""}${namespace ? `, in the namespace ${namespace}` : ""}`;
}

async function countAll(filter, signal, progress) {
  let [found, cursor] = [0, ""];
  do {
    const page = await read("/deliveries", { ...filter, limit: PAGE, cursor }, signal);
    found += page.items.length;
    cursor = page.cursor;
    progress(found);
  } while (cursor && found <= COUNTED);
  return found;
}

function report(begun, failures) {
  const done = `${counted(begun, "new delivery", "new deliveries")} created`;
  const why = [...new Set(failures)].join("; ");
  note(failures.length ? `${done}; some failed: ${why}.` : `${done}.`, failures.length > 0);
}
