import type { HazardName } from './model.js';

/** Why the cells of a hazard are as they are: what is surprising in them, and what a clock's maker takes from it. */
export const REASONS: Readonly<Record<HazardName, string>> = {
  update:
    'A latch sends readers on with the old copy while the new base is already past: the value is right, but may be above one that a reader of the new copy returns next, if the new rate is slower. Windows that touch cure that, since no counter reading has two segments then: latch-window refuses between the old end and the flip, two-window has both copies at hand and refuses only where its writer is late. A seqlock whose writer reads the counter inside the write section is in order as long as accesses are; lfence;rdtsc lets the second load of the count go before the counter, so that x86 does not promise it (no run on a real CPU has shown it). With the counter read before the section, as Linux does, it lags in any case.',
  'writer-stalled':
    'What tells the protocols apart here is not safety but who waits: readers of a seqlock wait for as long as the writer stands, those of a latch go on with the copy that they are sent to, until its window ends where it has one.',
  'writer-killed':
    'As a stall that never ends: a seqlock that was left odd gives no value again until a successor has published. The page itself is safe at every store: where there are two copies no writer writes the one that readers are sent to, and where there is one its readers wait. Of two windows a copy that was announced for a tick to come and is replaced after it (revised) lags: some readers have used it by then.',
  'writer-restarted':
    "A successor reads nothing of the page but its count (two-window: the bases, and the tags, besides), and of two copies never writes the one that readers are sent to (of one, it holds its readers), so that it need not know where its predecessor died. The naive ones show what that is for: one more than an odd count is even while the copy is half-written; the kernel's latch, which writes both copies, sends readers to a torn one if its writer died in the second half and another begins anew; and keeping a fixed copy of two sends them to one that was being written. Of two windows that are offered the later one is kept: by the time readers are sent to the one that has the counter now, they may have used the other.",
  'counter-behind':
    'Without a window a counter behind the base reads as the base, as in Linux: the clock stands, and says nothing. With one it is refused by the same comparison that finds the end, since the difference is unsigned. The follow-up’s sketch never ends while the count stands, and so returns nothing where it is explored; stepped, the writer comes, and what it returns then is wrong. That is why its cells differ here, and wherever a hazard leaves the count as it is.',
  'window-expired':
    "Without a window a copy is believed however old it is. The sketch of the mail, as written, leaves its loop without a value here: continue in a do-while goes to the condition, and an unchanged count ends the loop. The follow-up's sketch never ends instead.",
  'counter-wrapped':
    "Through zero inside a window nothing happens, since all differences are modulo 2^64. Back into a window nobody can tell the second time from the first: a rule is broken, and every reader is wrong. (The follow-up's sketch never returns while the count stands.)",
  'adjust-held':
    'Held means that the copy readers are sent to is one that refuses: for a seqlock the odd count does it, for the others a copy that refuses is published first. Holding the writer back is not enough, since readers of a latch go on with the other copy. A reader that took the old copy and then the moved counter finds another count. Where one copy alone refuses (one held: of a latch the copy that nobody is sent to, of two windows the one beside the copy in use) readers go on with the other, and with the moved counter.',
  'adjust-held-unfenced':
    'Without a full fence the store that holds readers back can still be in the store buffer when the counter moves: then the count is unchanged, the old copy is believed with the new counter. In program order alone nothing is wrong, which is why only the memory models show it, and neither single steps nor, in any reasonable time, threads.',
  'adjust-unheld':
    'A jump that stays inside the window cannot be seen by any reader: neither count nor generation has changed. A window catches only jumps that leave it.',
  'counter-unfenced':
    'Without the lfence the counter may be read before the copy that it is used with is loaded, hence before its base. A reader without a window takes that for the base; one with a window refuses, so that two-window stays in order, and latch-window lags as it does anyhow.',
  'migration-different':
    "The second load of the count differs from the first, and the read is made again. That holds only while the counts differ, which nothing promises: no specification says that two hosts' counts must, and a count that is behind comes to the one first read when its own writer publishes: a reader without a generation then takes a copy that is half the one host's. With one it is refused, if the generation is loaded before the count.",
  'migration-equal':
    "The race of the mail: begun on one host, ended on the other, with equal counts. Old words with the new counter, or words of both: another host's time. A generation that changes with the host is seen, be it compared with the copy's tag or only with itself, since the page is the new host's and its tags are too. Where the rates change before (rates change), a latch lags as it does under any update: that is no matter of migration.",
  'migration-own-page':
    "The page lies in the guest's memory, and comes along: its count never changes. A reader that starts afterwards sees the same new generation twice, so that comparing the generation with itself finds nothing; only the tag of the copy tells that it was computed for another counter. Every reader is refused until the writer has published again.",
  'writer-killed-after-migration':
    'The counter moves down with a guest, its writer publishes once for the new generation and dies, and the copy of the old generation is still on offer beside the new one, with the later base. Readers that are tagged know which one to believe, and so must the next writer: bases of two generations say nothing of each other. One that keeps the later base (tags ignored) finds no line to go on from and starts anew from its source, and where that was behind what the page had given in this generation, values go back. A latch and a seqlock have one copy that readers are sent to, and nothing to choose. Without tags the old copy is believed by the new counter, as in every migration of a page.',
  'generation-late':
    "Between the counter's change and the generation's the old tag fits, and the old copy is used with the new counter. The generation must change while no CPU of the guest runs.",
  'generation-early':
    'If nobody publishes in between, readers that are tagged are refused, and safe. A writer that does publish puts the new tag on the old counter, and is believed once the counter has moved. So early is no better than late, unless the writer is stopped too.',
  'count-aba':
    "With a count that comes back while a copy is rewritten, torn words are accepted. 64 bits do not come back within a read; a guest that is put back to an earlier state and is not told does. (While nothing is published the follow-up's sketch never returns.)",
};
