// A service whose timestamps are smeared and carry their bound, and a client that holds them against the kernel's clock.
//
//   node examples/smeared-timestamps.js
//
// A leap second is supposed an hour from now, so that Google's smear is under way. Ends by itself, with 1 if a timestamp was
// not as it should be.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClockPage,
  leapTimeline,
  openClock,
  parsePolicy,
  smearedNsAt,
  smearOf,
  Timekeeper,
  withPlacedLeap,
} from 'latchclock';

const HOUR_NS = 3_600_000_000_000n;
const REQUESTS = 10;

/** Nanoseconds since 1970 as RFC 3339. */
function textOf(ns) {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`;
}

const page = ClockPage.create();
// Where the writer comes an instant late, a request waits for it.
const clocks = page.allClocks({ outOfWindow: 'spin' });
const realtime = openClock('realtime');
const timeline = leapTimeline();
const taiNs = realtime.now() + BigInt(timeline.leaps.at(-1).taiOffsetAfter) * 1_000_000_000n + HOUR_NS;
const policy = 'google-24h';
const timekeeper = await Timekeeper.start({ page, smear: { policy, leap: { taiNs, sign: 1 } } });

// The service: all clocks of one reading, so that they belong together. 64-bit numbers are decimal strings.
const server = createServer((_request, response) => {
  try {
    const { ns, boundNs } = clocks.read();
    if (boundNs === null) throw new Error('the writer of the page states no bound');
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        time: textOf(ns['smeared-realtime']),
        smearedNs: String(ns['smeared-realtime']),
        saneNs: String(ns['sane-realtime']),
        taiNs: String(ns.tai),
        boundNs: String(boundNs),
      }),
    );
  } catch (error) {
    // Better no time than a wrong one.
    response.writeHead(503).end(JSON.stringify({ code: error.code, message: error.message }));
  }
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

// The client. It knows the policy, but nothing of the page.
const placed = withPlacedLeap(timeline, taiNs, 1);
const smear = smearOf(parsePolicy(policy), placed.leaps.at(-1), placed);
const wrong = [];
let last = 0n;
console.log(
  "smeared time                    smeared - UTC   bound   between the kernel's clock before and after",
);
for (let request = 0; request < REQUESTS; request++) {
  const before = realtime.now();
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
  const answer = await response.json();
  const after = realtime.now();
  if (!response.ok) throw new Error(`the service has no time: ${answer.message}`);
  const [smeared, sane, tai, bound] = ['smearedNs', 'saneNs', 'taiNs', 'boundNs'].map((key) =>
    BigInt(answer[key]),
  );
  const isBetween = before - bound <= sane && sane <= after + bound;
  if (!isBetween) wrong.push(`${answer.time}: the kernel's clock was elsewhere`);
  if (smeared < last) wrong.push(`${answer.time}: went back`);
  // The policy's exact value at this TAI, of which the page's copy is a straight line, in whole ns.
  const off = smeared - smearedNsAt(smear, tai);
  if (off < -1n || off > 1n) wrong.push(`${answer.time}: ${off} ns from the policy`);
  last = smeared;
  const offset = (Number(smeared - sane) / 1e6).toFixed(6).padStart(12);
  const around = `${isBetween ? 'yes' : 'NO'}, ${(Number(after - before) / 1e6).toFixed(3)} ms apart`;
  console.log(`${answer.time}  ${offset} ms  ${String(bound).padStart(3)} ns  ${around}`);
  await sleep(100);
}
server.close();
server.closeAllConnections();
await timekeeper.stop();

for (const line of wrong) console.error(line);
console.log(wrong.length === 0 ? `${REQUESTS} timestamps, all within their bounds` : 'not all held');
process.exitCode = wrong.length === 0 ? 0 : 1;
