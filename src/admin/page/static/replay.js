// Replays: of one delivery, of those that were chosen, of all that match a filter. Each is confirmed first.

import { read, send } from "./api.js";
import { confirm } from "./confirm.js";
import { note } from "./dom.js";
import { count, counted } from "./words.js";

/** Calls at once, for those that were chosen. */
const AT_ONCE = 4;

/** Deliveries that are counted at most before a replay of all that match. */
const COUNTED = 10000;

/** Deliveries of a page, as many as the API gives. */
const PAGE = 500;

const ANEW = "The listener is called again, with attempts of its own.";

/** Replays one; resolves with the id of the new delivery, or null. */
export async function replayOne(id) {
  const question = async () => ({ text: `Deliver this event again? ${ANEW}`, yes: "Replay 1 delivery" });
  if (!(await confirm("Replay this delivery", question))) return null;
  try {
    const { id: begun } = await send(`/deliveries/${id}/replay`);
    note("A new delivery of this event began.");
    return begun;
  } catch (error) {
    note(`It was not replayed: ${error.message}.`, true);
    return null;
  }
}

/** Replays those of these ids; resolves with whether anything was tried. */
export async function replayThese(ids) {
  const number = counted(ids.length, "delivery", "deliveries");
  const question = async () => ({ text: `Deliver the events of ${number} again? ${ANEW}`, yes: `Replay ${number}` });
  if (!(await confirm("Replay what is selected", question))) return false;
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
  tell(begun, failures);
  return true;
}

/** Replays all that match `filter`, as the API takes it; resolves with whether anything was tried. */
export async function replayAll(filter) {
  const number = (found) =>
    found > COUNTED ? `more than ${count(COUNTED)} ${filter.state} deliveries` : counted(found, `${filter.state} delivery`, `${filter.state} deliveries`);
  const question = async (signal, progress) => {
    const found = await countAll(filter, signal, (soFar) => progress(`Counting… ${count(soFar)}`));
    if (found === 0) return { text: `No ${filter.state} delivery matches.` };
    const text = `Deliver the events of ${number(found)} again${where(filter)}? ${ANEW} An event that is on its way already is left alone.`;
    return { text, yes: `Replay ${number(found)}` };
  };
  if (!(await confirm("Replay all that match", question))) return false;
  note("Replaying…");
  try {
    const { replayed, unavailable } = await send("/deliveries/replay", filter);
    tell(replayed, unavailable.map((replica) => `${replica} does not answer`));
  } catch (error) {
    note(`They were not all replayed: ${error.message}.`, true);
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

function tell(begun, failures) {
  const done = `${counted(begun, "new delivery", "new deliveries")} began`;
  const why = [...new Set(failures)].join("; ");
  note(failures.length ? `${done}; not all: ${why}.` : `${done}.`, failures.length > 0);
}
