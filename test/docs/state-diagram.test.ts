import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { transition } from '../../src/supervisor/transition.ts';
import type { Effect } from '../../src/supervisor/replica-state.ts';
import { events, limits, now, states } from '../supervisor/support/replica-states.ts';

const file = fileURLToPath(new URL('../../ARCHITECTURE.md', import.meta.url));
const drawing = /```mermaid\nstateDiagram-v2\n[\s\S]*?```\n/u;

function inWords(effect: Effect): string | undefined {
  if (effect.kind === 'terminate') return effect.polite ? 'terminate' : 'kill';
  // Every state with a time of its own asks for its tick: what would be drawn at each arrow says nothing.
  return effect.kind === 'tick-at' ? undefined : effect.kind;
}

/** Every change of state that there is, as `transition()` makes it: arrows by their ends and effects, with all events that lead there. */
function arrows(): readonly string[] {
  const byWay = new Map<string, Set<string>>();
  for (const from of Object.values(states)) {
    for (const event of Object.values(events)) {
      const [to, effects] = transition(from, event, now, limits);
      if (to.kind === from.kind) continue;
      const what = effects.map(inWords).filter((word) => word !== undefined);
      const way = `${from.kind} --> ${to.kind}|${what.length === 0 ? '' : ` / ${what.join(', ')}`}`;
      byWay.set(way, (byWay.get(way) ?? new Set()).add(event.kind));
    }
  }
  return [...byWay].map(([way, kinds]) => {
    const [ends = '', what = ''] = way.split('|');
    // Mermaid takes no hyphen in a state's name.
    return `${ends.replace(/(\w)-(\w)/gu, '$1_$2')}: ${[...kinds].join(', ')}${what}`;
  });
}

function drawn(): string {
  const lines = ['[*] --> pending', ...arrows(), 'stopped --> [*]'];
  return ['```mermaid', 'stateDiagram-v2', ...lines.map((line) => `  ${line}`), '```', ''].join('\n');
}

test('the state diagram of ARCHITECTURE.md is what transition() does (UPDATE_DOCS=1 draws it anew)', async () => {
  const text = await readFile(file, 'utf8');
  assert.match(text, drawing);
  const renewed = text.replace(drawing, drawn());
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, renewed);
  else assert.equal(text, renewed, 'run UPDATE_DOCS=1 node --test test/docs/state-diagram.test.ts');
});

test('every state and every event is in the diagram', () => {
  const all = arrows().join('\n');
  for (const { kind } of Object.values(states)) assert.match(all, new RegExp(`\\b${kind.replace('-', '_')}\\b`, 'u'));
  // `serving` only changes what `ready` says of itself; `retry` and `take-back` have arrows.
  for (const { kind } of Object.values(events)) if (kind !== 'serving') assert.match(all, new RegExp(`[ ,]${kind}(?:,| /|$)`, 'mu'));
});
