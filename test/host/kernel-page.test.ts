import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { type HostFiles, machineFiles } from '../../lib/host/files.ts';
import { orNull } from '../../lib/host/host.ts';
import { BTF_PATH, findKernelPage, pageClock, readKernelPage } from '../../lib/host/kernel-page.ts';
import { getAddon } from '../../lib/native/load.ts';
import { compareLayouts, type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { kernelSegment } from '../../lib/page/kernel-page.ts';
import { PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { evaluate } from '../../lib/page/segment.ts';
import { BtfBuilder } from '../support/btf-builder.ts';
import { kernelBtf } from '../support/kernel-btf.ts';
import { type SimulatedHost, type SimulatedMode, simulatedHost } from '../support/simulated-host.ts';

const NEWEST = KNOWN_LAYOUTS.at(-1) as KernelPageLayout;
const NS = 1_000_000_000n;

const find = ({ addon, files }: SimulatedHost) => findKernelPage(addon, files);
const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

/** `layout` with every word of both copies moved, as a kernel's BTF might wrongly have it. */
function moved(
  layout: KernelPageLayout,
  field: keyof KernelPageLayout['main'],
  by: number,
): KernelPageLayout {
  const move = (at: KernelPageLayout['main']) => ({ ...at, [field]: (at[field] ?? 0) + by });
  return { ...layout, main: move(layout.main), raw: move(layout.raw) };
}

describe.each(KNOWN_LAYOUTS.map((layout) => [layout.name, layout] as const))(
  'a kernel with %s',
  (name, layout) => {
    test('is read by its BTF', () => {
      const host = simulatedHost({ layout, btf: kernelBtf(layout) });
      const proved = find(host);
      expect(proved.layout.source).toBe('btf');
      expect(compareLayouts(proved.layout, layout)).toEqual([]);
      expect(proved.btfProblem).toBeNull();
      expect(proved.page).toEqual({ region: '[vvar]', index: 0, address: host.pageAddress });
      expect(proved.proof.clocks).toEqual([...PAGE_CLOCKS]);
    });

    test('is found in the table without BTF, and no other row is taken for it', () => {
      const proved = find(simulatedHost({ layout }));
      expect(proved.layout).toBe(layout);
      expect(proved.layout.name).toBe(name);
      expect(proved.btfProblem?.message).toContain('ENOENT');
    });

    test('is found without /proc/self/maps among the pages below the vDSO', () => {
      const host = simulatedHost({ layout, maps: false });
      const proved = find(host);
      expect(proved.layout).toBe(layout);
      expect(proved.page).toMatchObject({ region: 'unnamed', address: host.pageAddress });
    });

    test('is found while it rewrites its page', () => {
      expect(find(simulatedHost({ layout, updateEveryCycles: 1_000n })).layout).toBe(layout);
    });

    test.each([
      ['ahead', { monotonicNs: 1_000n * NS, boottimeNs: 5_000n * NS }],
      ['behind', { monotonicNs: -1_000n * NS - 1n, boottimeNs: -5n * NS + 1n }],
    ])('is found in a time namespace %s of the machine', (_, inTimeNamespace) => {
      const index = layout.main.seq === 128 ? 3 : 1;
      for (const options of [{}, { btf: kernelBtf(layout) }, { maps: false }]) {
        const host = simulatedHost({ layout, inTimeNamespace, ...options });
        const proved = find(host);
        expect(compareLayouts(proved.layout, layout)).toEqual([]);
        expect(proved).toMatchObject({
          inTimeNamespace: true,
          namespaceNs: {
            realtime: 0n,
            monotonic: inTimeNamespace.monotonicNs,
            'monotonic-raw': inTimeNamespace.monotonicNs,
            'monotonic-coarse': inTimeNamespace.monotonicNs,
            boottime: inTimeNamespace.boottimeNs,
          },
        });
        expect(proved.page.address).toBe(host.pageAddress);
        if (proved.page.region === '[vvar]') expect(proved.page.index).toBe(index);
      }
    });

    test.each(['none', 'none-since-boot', 'pvclock', 'hvclock'] as const)(
      'under the clock mode %s is proved by its coarse clocks only',
      (mode: SimulatedMode) => {
        const proved = find(simulatedHost({ layout, mode, btf: kernelBtf(layout) }));
        expect(compareLayouts(proved.layout, layout)).toEqual([]);
        expect(proved.proof.clocks).toEqual(['realtime-coarse', 'monotonic-coarse']);
        expect(proved.proof.bracketNs).toBe(0);
      },
    );
  },
);

test('in a time namespace the first page itself is not tried', () => {
  const inTimeNamespace = { monotonicNs: 1n, boottimeNs: 2n };
  expect(find(simulatedHost({ inTimeNamespace, btf: kernelBtf(NEWEST) })).refused).toEqual([]);
});

describe('BTF that is not to be believed', () => {
  test.each([
    ['mult', 4],
    ['shift', -4],
    ['cycleLast', 8],
    ['basetime', -16],
    ['basetime', -8],
    ['mode', -4],
  ] as const)('a wrong offset of %s (%i) is refused, and the table takes over', (field, by) => {
    const proved = find(simulatedHost({ btf: kernelBtf(moved(NEWEST, field, by)) }));
    expect(proved.layout).toBe(NEWEST);
    expect(proved.refused.map(({ layout }) => layout)).toContain('btf vdso_clock+0');
    expect(proved.refused.every(({ reason }) => reason !== '')).toBe(true);
  });

  test('a wrong place of hrtimer_res is refused: clock_getres says otherwise', () => {
    const proved = find(simulatedHost({ btf: kernelBtf({ ...NEWEST, hrtimerRes: 2400 }) }));
    expect(proved.layout).toBe(NEWEST);
  });

  test('a count that stands still while the words change is refused', () => {
    const btf = kernelBtf(moved(NEWEST, 'seq', 72));
    const proved = find(simulatedHost({ btf, updateEveryCycles: 1_000n }));
    expect(proved.layout).toBe(NEWEST);
    expect(proved.refused[0]?.reason).toContain('count stood still');
  });

  test('a max_cycles beyond which the fast path would overflow is refused', () => {
    // Eight bytes on lies the mask.
    const proved = find(simulatedHost({ btf: kernelBtf(moved(NEWEST, 'maxCycles', 8)) }));
    expect(proved.layout).toBe(NEWEST);
  });

  test.each([{}, { inTimeNamespace: { monotonicNs: 7n, boottimeNs: 9n } }])(
    'offsets beyond the page are refused, not read: %o',
    (options) => {
      for (const field of ['mode', 'seq', 'mult', 'basetime'] as const) {
        for (const by of [4_088, 100_000]) {
          const proved = find(simulatedHost({ ...options, btf: kernelBtf(moved(NEWEST, field, by)) }));
          expect(proved.layout, field).toBe(NEWEST);
          expect(proved.refused[0]).toMatchObject({
            layout: 'btf vdso_clock+0',
            reason: 'its words lie beyond the page',
          });
        }
      }
    },
  );

  test('bytes that are no BTF are reported, and the table takes over', () => {
    const proved = find(simulatedHost({ btf: new Uint8Array([1, 2, 3]) }));
    expect(proved.layout).toBe(NEWEST);
    expect(proved.btfProblem).not.toBeNull();
  });

  test('BTF without the structures is reported, and the table takes over', () => {
    const btf = new BtfBuilder();
    btf.struct('other', 4, [{ name: 'x', type: btf.int('int', 4) }]);
    const proved = find(simulatedHost({ btf: btf.build() }));
    expect(proved.layout).toBe(NEWEST);
    expect(proved.btfProblem?.message).toContain('neither struct vdso_time_data nor vdso_data');
  });
});

describe('pages that are not to be believed', () => {
  const attempt = (options: Parameters<typeof simulatedHost>[0]) => () => find(simulatedHost(options));

  test.each([
    ['zeros', 0],
    ['ones', 0xff],
    ['the same letter', 0x41],
  ])('a page of %s is proved by no layout', (_, byte) => {
    const fill = (page: DataView): void => {
      new Uint8Array(page.buffer).fill(byte);
    };
    for (const options of [{}, { maps: false }, { btf: kernelBtf(NEWEST) }]) {
      expect(attempt({ ...options, editPage: fill })).toThrow(code('ERR_PAGE_NOT_PROVED'));
    }
  });

  test.each([
    ['mult', (page: DataView) => page.setUint32(32, page.getUint32(32, true) + 40_000, true)],
    ['raw mult', (page: DataView) => page.setUint32(264, page.getUint32(264, true) + 40_000, true)],
    ['shift', (page: DataView) => page.setUint32(36, 23, true)],
    ['cycle_last', (page: DataView) => page.setBigUint64(8, page.getBigUint64(8, true) - 1_000n, true)],
    ['seconds of tai', (page: DataView) => page.setBigInt64(216, page.getBigInt64(216, true) + 1n, true)],
    [
      'nanoseconds of a coarse clock',
      (page: DataView) => page.setBigInt64(128, page.getBigInt64(128, true) + 1n, true),
    ],
    ['mask', (page: DataView) => page.setBigUint64(24, 5n, true)],
    ['mode', (page: DataView) => page.setUint32(4, 17, true)],
    ['resolution', (page: DataView) => page.setUint32(2328, 4_000_000, true)],
  ])('a page whose %s is wrong is not proved', (_, editPage) => {
    expect(attempt({ editPage })).toThrow(code('ERR_PAGE_NOT_PROVED'));
  });

  test.each(PAGE_CLOCKS)(
    'a system call that disagrees on %s by more than the bracket is evidence against the page',
    (clock) => {
      for (const errorNs of [1_000n, -1_000n]) {
        const clockErrorNs = (path: string, of: string): bigint =>
          path === 'syscall' && of === clock ? errorNs : 0n;
        expect(attempt({ clockErrorNs })).toThrow(code('ERR_PAGE_NOT_PROVED'));
      }
    },
  );

  test('a raw copy under another mode than the main one is refused, even where no counter is used', () => {
    const editPage = (page: DataView): void => page.setUint32(236, 1, true);
    expect(attempt({ mode: 'none-since-boot', editPage })).toThrow(code('ERR_PAGE_NOT_PROVED'));
  });

  test('a page that is never still proves nothing', () => {
    let count = 0;
    const editPage = (page: DataView): void => {
      count += 2;
      page.setUint32(0, count, true);
    };
    expect(attempt({ editPage })).toThrow(code('ERR_PAGE_NOT_PROVED'));
  });

  test('a writer that stopped half-way proves nothing', () => {
    const editPage = (page: DataView): void => page.setUint32(0, 1001, true);
    expect(attempt({ editPage })).toThrow(code('ERR_PAGE_NOT_PROVED'));
  });

  test('every attempt is in the cause', () => {
    const editPage = (page: DataView): void => page.setUint32(4, 17, true);
    const error = (() => {
      try {
        find(simulatedHost({ editPage, btf: kernelBtf(NEWEST) }));
      } catch (caught) {
        return caught as LatchclockError;
      }
    })();
    const attempts = error?.cause as { layout: string; page: string; reason: string }[];
    const tried = attempts.map(({ layout }) => layout);
    expect(tried).toEqual([
      'btf vdso_clock+0',
      'btf vdso_clock+128',
      ...KNOWN_LAYOUTS.map(({ name }) => name),
    ]);
    expect(attempts[0]).toMatchObject({ page: '[vvar] 0', reason: expect.stringContaining('mode') });
  });
});

describe('hosts without the page', () => {
  test('no vDSO is no page', () => {
    expect(() => find(simulatedHost({ vdso: null }))).toThrow(code('ERR_NO_KERNEL_PAGE'));
    expect(() => find(simulatedHost({ vdso: null, maps: false }))).toThrow(code('ERR_NO_KERNEL_PAGE'));
  });

  test('a map without [vvar] is no page', () => {
    expect(() => find(simulatedHost({ vvar: false }))).toThrow(code('ERR_NO_KERNEL_PAGE'));
  });

  test('no readable page below the vDSO is told as such', () => {
    const attempt = () => find(simulatedHost({ vvar: false, maps: false }));
    expect(attempt).toThrow(code('ERR_PAGE_NOT_PROVED'));
    expect(attempt).toThrow('no page can be read');
  });

  test('a disabled counter is told as such', () => {
    expect(() => find(simulatedHost({ counterState: 'disabled' }))).toThrow(code('ERR_COUNTER_DISABLED'));
  });

  test('a map longer than a mebibyte, with the vDSO at its end, is read to its end', () => {
    const host = simulatedHost();
    const own = Buffer.from(host.files.read('/proc/self/maps', 1 << 20)).toString();
    const line =
      '7f0000000000-7f0000001000 r--p 00000000 fe:00 1234                       /usr/lib/library.so\n';
    const files = { '/proc/self/maps': line.repeat(20_000) + own };
    expect(find(simulatedHost({ files })).page.region).toBe('[vvar]');
  });
});

describe('a snapshot of a proved page', () => {
  test('gives what the clocks give, to the nanosecond', () => {
    const host = simulatedHost({ inTimeNamespace: { monotonicNs: -3n * NS, boottimeNs: 10n } });
    const snapshot = readKernelPage(host.addon, find(host));
    for (const clock of PAGE_CLOCKS) {
      const ns = host.addon.readClock(
        2,
        {
          realtime: 0,
          monotonic: 1,
          'monotonic-raw': 4,
          boottime: 7,
          tai: 11,
          'realtime-coarse': 5,
          'monotonic-coarse': 6,
        }[clock],
      );
      expect(evaluate(kernelSegment(snapshot, clock), host.kernel.counter)).toBe(ns);
    }
  });

  test('is taken as soon as two copies in a row are equal and even', () => {
    let copies = 0;
    const changing = { on: false };
    const host = simulatedHost({
      editPage: (page) => {
        if (!changing.on) return;
        copies++;
        page.setUint32(0, Math.min(copies, 6), true);
      },
    });
    const proved = find(host);
    changing.on = true;
    expect(readKernelPage(host.addon, proved).main.seq).toBe(6);
  });

  test('is refused after many attempts, not awaited for ever', () => {
    let seq: number | null = null;
    const host = simulatedHost({ editPage: (page) => seq !== null && page.setUint32(0, seq++, true) });
    const proved = find(host);
    seq = 0;
    expect(() => readKernelPage(host.addon, proved)).toThrow(code('ERR_RETRIES'));
  });

  test('is refused while either count is odd', () => {
    for (const at of [0, 232]) {
      const odd = { on: false };
      const host = simulatedHost({ editPage: (page) => odd.on && page.setUint32(at, 1001, true) });
      const proved = find(host);
      odd.on = true;
      expect(() => readKernelPage(host.addon, proved)).toThrow(code('ERR_RETRIES'));
    }
  });
});

describe('the place of a clock for the native reader', () => {
  test('is its words in the proved layout, with the offset of the namespace', () => {
    const host = simulatedHost({ inTimeNamespace: { monotonicNs: 5n, boottimeNs: 6n } });
    const proved = find(host);
    expect(pageClock(proved, 'monotonic-raw')).toEqual({
      address: host.pageAddress,
      seq: 232,
      mode: 236,
      cycleLast: 240,
      maxCycles: 248,
      mult: 264,
      shift: 268,
      seconds: 336,
      nanoseconds: 344,
      coarse: false,
      namespaceNs: 5n,
    });
    expect(pageClock(proved, 'realtime-coarse')).toMatchObject({
      seconds: 120,
      coarse: true,
      namespaceNs: 0n,
    });
    expect(pageClock(proved, 'boottime')).toMatchObject({ seconds: 152, coarse: false, namespaceNs: 6n });
  });
});

const addon = getAddon();
const real = orNull(() => findKernelPage(addon, machineFiles));
const without = (...hidden: string[]): HostFiles => ({
  ...machineFiles,
  read: (path, mostBytes) => {
    if (hidden.includes(path)) throw new LatchclockError('ERR_FILE', 'hidden', { where: path });
    return machineFiles.read(path, mostBytes);
  },
});

describe.skipIf(real === null)(
  real === null ? 'this machine (skipped: its kernel page cannot be proved)' : 'this machine',
  () => {
    test('its page is proved by every clock that its mode gives', () => {
      expect(real?.proof.samplesPerClock).toBeGreaterThan(0);
      expect(real?.proof.clocks).toContain('monotonic-coarse');
    });

    test('its layout is one of the table', () => {
      const rows = KNOWN_LAYOUTS.filter((known) => compareLayouts(real?.layout ?? known, known).length === 0);
      expect(rows).toHaveLength(1);
    });

    test('the table alone finds the same offsets as its BTF', () => {
      const proved = findKernelPage(addon, without(BTF_PATH));
      expect(proved.layout.source).toBe('table');
      expect(compareLayouts(proved.layout, real?.layout ?? NEWEST)).toEqual([]);
    });

    test('it is found without /proc/self/maps', () => {
      const proved = findKernelPage(addon, without('/proc/self/maps'));
      expect(proved.page.address).toBe(real?.page.address);
      expect(compareLayouts(proved.layout, real?.layout ?? NEWEST)).toEqual([]);
    });
  },
);

describe('what is advised where there is no page to be read', () => {
  const errorOf = (options: Parameters<typeof simulatedHost>[0]): LatchclockError => {
    try {
      find(simulatedHost(options));
    } catch (error) {
      if (error instanceof LatchclockError) return error;
      throw error;
    }
    throw new Error('the page was found');
  };
  const MAPS = '/proc/self/maps';

  test('under gVisor: that it has a vDSO and a page of its own, and nothing of boot parameters', () => {
    const error = errorOf({
      files: {
        '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz-4.4.0-gvisor quiet\n',
        [MAPS]: '7ffd12346000-7ffd12348000 r-xp 00000000 00:00 0\n',
      },
    });
    expect(error.code).toBe('ERR_NO_KERNEL_PAGE');
    expect(error.message).toContain('gVisor has a vDSO and a parameter page of its own');
    expect(error.message).not.toContain('vdso=0');
  });

  test('where the kernel was booted with vdso=0: to boot without, and only there', () => {
    expect(errorOf({ vdso: null, files: { '/proc/cmdline': 'quiet vdso=0\n' } }).todo).toBe(
      'boot without vdso=0',
    );
    expect(errorOf({ vdso: null }).todo).not.toContain('vdso=0');
    expect(errorOf({ vvar: false }).todo).not.toContain('vdso=0');
  });

  test('to make BTF readable only where it cannot be read: one without our structures is no better then', () => {
    const editPage = (page: DataView): void => page.setUint32(NEWEST.main.mode, 77, true);
    expect(errorOf({ editPage }).todo).toBe(`make ${BTF_PATH} readable (CONFIG_DEBUG_INFO_BTF)`);
    const btf = new BtfBuilder();
    btf.int('unsigned int', 4);
    const error = errorOf({ editPage, btf: btf.build() });
    expect(error.todo).toContain('is there, but the kernel has neither struct vdso_time_data nor vdso_data');
    expect(error.todo).not.toContain('readable');
    expect(errorOf({ editPage, btf: kernelBtf(NEWEST) }).todo).toContain('does not give its clocks');
  });
});
