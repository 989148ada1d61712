// Says when croner fires. Each line in is "expression TAB zone TAB from TAB count", the instant in milliseconds; each line
// out is "ticks" and up to so many instants after it, or "error" and a message. The first argument is croner's folder.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { Cron } = createRequire(`${process.argv[2]}/`)("croner");

function answer([expression, zone, from, count]) {
  try {
    const cron = new Cron(expression, { timezone: zone, paused: true, sloppyRanges: true });
    const ticks = cron.nextRuns(Number(count), new Date(Number(from)));
    return ["ticks", ...ticks.map((tick) => tick.getTime())].join("\t");
  } catch (error) {
    return `error\t${error.name}: ${error.message.replace(/\s+/g, " ")}`;
  }
}

const out = [];
for await (const line of createInterface({ input: process.stdin })) {
  out.push(answer(line.split("\t")));
  if (out.length === 1000) process.stdout.write(`${out.splice(0).join("\n")}\n`);
}
if (out.length) process.stdout.write(`${out.join("\n")}\n`);
